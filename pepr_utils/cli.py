"""The `pepr` command: a thin shell around the package, subcommands loaded when they are used."""

from __future__ import annotations

import importlib
import io
import math
import os
import sys
from collections import Counter
from typing import Any

import click

from pepr_utils.commands.text_table import echo
from pepr_utils.errors import NotInstalledError, PeprError

#: Extras without which a subcommand cannot do its work; the others work with the base install.
EXTRAS = {
    "claims": "book",
    "run": "train",
    "sweep": "sweep,train",
    "race": "sweep,train",
    "meter": "meter",
    "report": "report",
}

#: Subcommand -> (module, attribute, one-line help); the module is imported when the command runs.
COMMANDS = {
    "data": (
        "pepr_utils.commands.data",
        "data",
        "Look into result sets; verify the embedded data.",
    ),
    "score": (
        "pepr_utils.commands.score",
        "score",
        "Rank the models of a table by performance per resource unit.",
    ),
    "pareto": (
        "pepr_utils.commands.pareto",
        "pareto",
        "Show the models that no other beats in performance and cost.",
    ),
    "select": (
        "pepr_utils.commands.select",
        "select",
        "Choose the best model within budgets of energy, memory or more.",
    ),
    "compare": (
        "pepr_utils.commands.compare",
        "compare",
        "Compare two tables' rankings: who moved, and do they agree.",
    ),
    "report": (
        "pepr_utils.commands.report",
        "report",
        "Write a page about the models of a table, for a colleague.",
    ),
    "audit": (
        "pepr_utils.commands.audit",
        "audit",
        "Look for faults in a result set: copies, impossible powers, misfiled rows.",
    ),
    "claims": (
        "pepr_utils.commands.claims",
        "claims",
        "Check every claim of the paper against a result set.",
    ),
    "run": (
        "pepr_utils.commands.run",
        "run",
        "Train and meter architectures on a data set.",
    ),
    "sweep": (
        "pepr_utils.commands.sweep",
        "sweep",
        "Measure all runs of a study, or forecast time and energy.",
    ),
    "race": (
        "pepr_utils.commands.race",
        "race",
        "Find the model with the best score without training all to the end.",
    ),
    "status": (
        "pepr_utils.commands.status",
        "status",
        "Show the progress of a folder's runs, and why some failed.",
    ),
    "meter": (
        "pepr_utils.commands.meter",
        "meter",
        "Measure energy, emissions, memory and time of any command.",
    ),
}


class _LazyGroup(click.Group):
    """A group whose subcommands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[name]
        return _strict(getattr(importlib.import_module(module), attribute))

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (ModuleNotFoundError, NotInstalledError) as error:
            module = (error.name or "").partition(".")[0]
            if module in ("", "pepr_utils", *sys.stdlib_module_names):
                raise
            name = ctx.invoked_subcommand or ""
            if isinstance(error, NotInstalledError) and name not in EXTRAS:
                raise  # of one option; the message names its extra
            raise NotInstalledError.of(error, f"`pepr {name}`", EXTRAS.get(name, "")) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry[2]) for name, entry in COMMANDS.items()])


def _strict(command: click.Command) -> click.Command:
    """Make a command refuse what click takes: an option twice, of which one counts; nan and inf."""
    for inner in getattr(command, "commands", {}).values():
        _strict(inner)
    make_parser = type(command).make_parser

    def checking(ctx: click.Context) -> Any:
        parser = make_parser(command, ctx)
        parse = parser.parse_args

        def parse_args(args: list[str]) -> tuple:
            values, rest, order = parse(args)
            for option, n in Counter(order).items():
                if n > 1 and isinstance(option, click.Option) and _counts_once(option):
                    name = "/".join([*option.opts[-1:], *option.secondary_opts[-1:]])
                    raise click.UsageError(f"{name} is given {n} times; keep one", ctx)
            for option in set(order):
                value = values.get(option.name)
                if isinstance(option.type, click.types.FloatParamType) and _is_no_number(value):
                    name = option.opts[-1]
                    raise click.UsageError(f"{name} is {value}; allowed: a finite number", ctx)
            return values, rest, order

        parser.parse_args = parse_args
        return parser

    command.make_parser = checking
    return command


def _is_no_number(value: object) -> bool:
    try:
        return not math.isfinite(float(str(value)))
    except ValueError:
        return False  # click says what is wrong with it


def _counts_once(option: click.Option) -> bool:
    return not (option.multiple or option.count or (option.is_flag and not option.secondary_opts))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pepr-utils", prog_name="pepr")
def pepr() -> None:
    """Performance per resource unit: score and choose models by what they cost.

    \b
    Example:
      pepr data show published # what is in it
      pepr score models.csv --performance accuracy --cost energy_wh
      pepr report models.csv --performance accuracy --cost energy_wh -o report.html
      pepr audit published     # what is doubtful in it
      pepr claims              # which claims of the paper are reproduced
      pepr run --help          # train and meter models on your images
      pepr sweep paper --output results/paper --dry-run   # forecast of the whole study
      pepr race --help         # the best model for a part of the energy
      pepr meter -- python train.py   # what your command consumes
    """


def main() -> None:
    """Run the command line; an expected error is one line on stderr and exit code 2."""
    try:
        # Outside standalone mode click gives back the code that ctx.exit was given.
        sys.exit(pepr.main(standalone_mode=False) or 0)
    except click.exceptions.Exit as exit_:
        sys.exit(exit_.exit_code)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        echo(shown.getvalue().rstrip("\n"), err=True)
        sys.exit(error.exit_code)
    except click.Abort:
        echo("interrupted", err=True)
        sys.exit(130)
    except PeprError as error:
        echo(f"Error: {error}", err=True)
        sys.exit(2)
    except OSError as error:  # of a file or the system, such as a name of over 255 bytes
        if os.environ.get("PEPR_DEBUG"):
            raise
        what = f"{error.filename!r}: " if error.filename is not None else ""
        echo(f"Error: {what}{error.strerror or error}; name another file", err=True)
        sys.exit(2)
    except Exception as error:
        if os.environ.get("PEPR_DEBUG"):
            raise
        echo(
            f"Error: unexpected {type(error).__name__}: {error}; set PEPR_DEBUG=1 to see where",
            err=True,
        )
        sys.exit(2)
