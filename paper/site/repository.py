"""Where the project's repository is, and what pages offer once that is known.

The address is one setting, ``repository: url`` in ``_config.yml``; where it is empty it is that of
git's remote ``origin``. Without one, what needs it is left out.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from paper.site.build import run_git

BRANCH = "main"
#: The branch that the workflow publishes the site on; Colab reads notebooks only from a branch.
PAGES = "gh-pages"
_GITHUB = "https://github.com/"
_REMOTE = re.compile(
    r"(?:https?://(?:[^/@]+@)?|ssh://git@|git@|git://)(?P<host>[\w.-]+\.[a-z]+)(?::\d+)?[:/]"
    r"(?P<path>[\w.~/-]+?)(?:\.git)?/?$"
)


def repository_address(root: Path, setting: str = "") -> str:
    """Return the repository's address for a browser; empty where it is not known.

    Parameters
    ----------
    root : pathlib.Path
        A checkout, whose remote ``origin`` is asked where there is no setting.
    setting : str
        What ``_config.yml`` says.
    """
    return browser_address(setting or run_git(root, "config", "--get", "remote.origin.url"))


def browser_address(remote: str) -> str:
    """Turn the address of a remote into that of its web page; empty for a folder or a bare host.

    Examples
    --------
    >>> browser_address("git@github.com:someone/pepr.git")
    'https://github.com/someone/pepr'
    >>> browser_address("https://name:password@gitlab.com/group/pepr/")
    'https://gitlab.com/group/pepr'
    >>> browser_address("/srv/git/pepr.git")
    ''
    """
    found = _REMOTE.match(remote.strip())
    return f"https://{found['host']}/{found['path']}" if found else ""


def theme_options(address: str) -> dict[str, Any]:
    """Options of the theme: its buttons for the repository and for a change of the page."""
    host = urlsplit(address).netloc
    hosts = [name for name in ("github", "gitlab", "bitbucket") if name in host]
    if not hosts:
        return {}
    return {
        "repository_url": address,
        "repository_provider": hosts[0],
        "repository_branch": BRANCH,
        "use_repository_button": True,
        "use_edit_page_button": True,
    }


def substitutions(address: str) -> dict[str, str]:
    """What prose says with the address, or without one: ``{{ clone }}`` and ``{{ address }}``."""
    make = "`make paper` in a clone; it sets itself up."
    if not address:
        return {
            "clone": make,
            "address": "",
        }
    return {
        "clone": f"`git clone {address} pepr && cd pepr`, then {make.replace(' in a clone', '')}",
        "address": f"Its repository: <{address}>.",
    }


def clone_cell(address: str) -> str:
    """Code for a notebook's first cell, which sets Colab up; empty without an address."""
    if not address:
        return ""
    return (
        'import sys\n\nif "google.colab" in sys.modules:\n'
        f"    !git clone --quiet --depth 1 {address} /content/pepr\n"
        "    %cd /content/pepr\n"
        "    %pip install --quiet --editable '.[book]'"
    )


def launch_buttons(address: str, docname: str) -> list[dict[str, Any]]:
    """Buttons that open a notebook on Binder and on Colab; none but for a repository on GitHub.

    Parameters
    ----------
    address : str
        The repository's.
    docname : str
        The page, such as ``"notebooks/score"``.
    """
    if not address.startswith(_GITHUB):
        return []
    name = address.removeprefix(_GITHUB)
    lab = quote(f"lab/tree/{docname}.md?factory=Jupytext Notebook", safe="")
    addresses = {
        "Binder": f"https://mybinder.org/v2/gh/{name}/{BRANCH}?urlpath={lab}",
        "Colab": f"https://colab.research.google.com/github/{name}/blob/{PAGES}/_sources/"
        f"{docname}.ipynb",
    }
    buttons = [
        {"type": "link", "text": text, "tooltip": f"Launch on {text}", "url": url}
        for text, url in addresses.items()
    ]
    return [
        {
            "type": "group",
            "label": "launch-buttons",
            "icon": "fas fa-rocket",
            "tooltip": "Launch interactive content",
            "buttons": buttons,
        }
    ]
