"""The `pepr` command in the process of the test."""

import sys
from types import SimpleNamespace

import pytest

from pepr_utils import cli


@pytest.fixture
def pepr(monkeypatch, capfd):
    """Run the command as `main` does, in this process; variables are set for the whole test."""

    def run(*arguments, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["pepr", *map(str, arguments)])
        with pytest.raises(SystemExit) as exited:
            cli.main()
        out, err = capfd.readouterr()
        return SimpleNamespace(code=exited.value.code or 0, out=out, err=err)

    return run
