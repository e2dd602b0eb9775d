"""Strip control characters from untrusted text, such as names of classes, files and groups."""

from __future__ import annotations


def clean(text: str) -> str:
    """Replace what would move the cursor or colour the terminal.

    Examples
    --------
    >>> clean("benign\\x1b[31m") == "benign\ufffd[31m"
    True
    """
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
