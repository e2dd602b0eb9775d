"""`pepr claims`: check what the paper states against a result set, claim by claim."""

from __future__ import annotations

import json

import click


@click.command()
@click.argument("result_set", metavar="[SET]", default="published")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array, one object per claim.")
@click.option(
    "--outcome",
    "outcomes",
    multiple=True,
    metavar="WORD",
    help="Only claims with this outcome, or what starts it: 'not reproduced'; repeatable.",
)
@click.option(
    "--section",
    "sections",
    multiple=True,
    metavar="NAME",
    help="Only claims of this section: abstract, 1, 2, 3, 'table 1', 4, appendix; repeatable.",
)
@click.option(
    "--notes",
    is_flag=True,
    help="Print below each claim what was found in the published data; not with other data.",
)
def claims(
    result_set: str,
    as_json: bool,
    outcomes: tuple[str, ...],
    sections: tuple[str, ...],
    notes: bool,
) -> None:
    """Check every claim of the paper against a result set.

    SET is a name (see `pepr data list`), a folder of records or a CSV file; without it, the
    authors' data. The outcome of each claim is reproduced, reproduced under another reading (which
    is named), not reproduced, or not checkable where the set does not have what is needed.

    The exit code is 1 if an outcome is not the one that the ledger records, 0 if each is, and 2 if
    the set cannot be read. What is recorded holds for the published set: another set, or part of
    it, gives 1 wherever an outcome differs, and the last line counts these.
    The code is decided over every claim of the chosen sections; --outcome chooses what is printed.

    \b
    Example:
      pepr claims
      pepr claims --outcome "not reproduced" --notes
      pepr claims results/mine --section "table 1" --json
    """
    from pepr_utils.commands.text_table import echo
    from pepr_utils.errors import unknown_name
    from pepr_utils.ledger import OUTCOMES, check_claims, differing, load_claims
    from pepr_utils.ledger.schema import SECTIONS
    from pepr_utils.results import load_result_set

    ledger = load_claims()
    for word in outcomes:
        if word not in OUTCOMES and not any(outcome.startswith(word) for outcome in OUTCOMES):
            raise unknown_name("outcome", word, OUTCOMES)
    for name in sections:
        if name.lower() not in SECTIONS:
            raise unknown_name("section", name, SECTIONS)
    chosen = {name.lower() for name in sections}
    entries = [claim for claim in ledger if not chosen or claim.section in chosen]
    loaded = load_result_set(result_set)
    checked = found = check_claims(loaded, entries)
    if outcomes:
        exact = {w for w in outcomes if w in OUTCOMES}
        starts = tuple(w for w in outcomes if w not in OUTCOMES)
        found = [
            one
            for one in found
            if one.outcome in exact or (starts and one.outcome.startswith(starts))
        ]
    if as_json:
        echo(json.dumps([one.as_dict() for one in found], indent=1))
    else:
        for line in _lines(found, checked, loaded.name, notes=notes):
            echo(line)
    if differing(checked):
        click.get_current_context().exit(1)


def _lines(found: list, checked: list, name: str, *, notes: bool) -> list[str]:
    from pepr_utils.commands.text_table import count, wrapped
    from pepr_utils.ledger import OUTCOMES, differing

    lines = []
    for one in found:
        entry = one.as_dict()
        how = f": {entry['reading']}" if entry["reading"] else ""
        lines += wrapped(f"{entry['id']} ({entry['where']})")
        lines += _indented(entry["statement"])
        lines += _indented(f"{entry['outcome']}{how}")
        if entry["missing"]:
            lines += _indented(f"missing: {entry['missing']}")
        else:
            lines += _indented(f"expected {entry['expected']}; computed {entry['computed']}")
        if not entry["as_recorded"]:
            lines += _indented(f"the ledger records: {entry['recorded']}")
        if notes and entry["note"]:
            lines += _indented(entry["note"])
        lines.append("")
    counts = [(sum(one.outcome == outcome for one in checked), outcome) for outcome in OUTCOMES]
    printed = f", {len(found)} of them printed" if len(found) < len(checked) else ""
    lines += wrapped(
        f"{name}: {count(len(checked), 'claim')}{printed}: "
        + ", ".join(f"{n} {w}" for n, w in counts)
    )
    differ = len(differing(checked))
    lines += wrapped(
        f"{differ} differ from what the ledger records of the published set"
        if differ
        else "each as the ledger records"
    )
    return lines


def _indented(text: str) -> list[str]:
    import textwrap

    from pepr_utils.commands.text_table import WIDTH, clean

    return textwrap.wrap(
        clean(text), WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
    )
