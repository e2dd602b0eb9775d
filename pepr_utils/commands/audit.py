"""`pepr audit`: run the checks on a result set and print what they find."""

from __future__ import annotations

import json
from typing import Any

import click

from pepr_utils.commands.table_options import reading_options, say_how_read
from pepr_utils.commands.text_table import echo

#: How many architectures of a finding are named on the terminal; `--json` has every row.
_NAMED = 4


@click.command()
@click.argument("result_set", metavar="SET", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array, one object per finding.")
@click.option(
    "--check", "checks", multiple=True, metavar="NAME", help="Run this check only; repeatable."
)
@click.option("--list", "list_checks", is_flag=True, help="List the checks and what they look for.")
@reading_options
def audit(
    result_set: str | None,
    as_json: bool,
    checks: tuple[str, ...],
    list_checks: bool,
    reading: dict[str, Any],
) -> None:
    """Look for faults in a result set.

    SET is a name (see `pepr data list`), a folder of records or a table. Every check runs on
    every set. A finding is an error (the values cannot be right as they stand), a warning (they are
    doubtful) or a note (good to know). The exit code is 1 if there is an error or a warning, 0 if
    there is none, and 2 if the set cannot be read.

    \b
    Example:
      pepr audit my_results.csv
      pepr audit published --check copied-energy --json
    """
    from pepr_utils.audit import CHECKS
    from pepr_utils.audit import audit as run_audit
    from pepr_utils.audit.finding import SEVERITIES, count
    from pepr_utils.results import load_result_set
    from pepr_utils.results.power import implied_power

    if list_checks:
        for name, function in CHECKS.items():
            echo(f"{name:<20} {(function.__doc__ or '').strip().splitlines()[0]}")
        return
    if result_set is None:
        raise click.UsageError("no SET; name one, such as: pepr audit published")
    loaded = load_result_set(result_set, **reading)
    say_how_read(loaded.name, loaded.taken)
    findings = run_audit(loaded, checks or None)
    if as_json:
        echo(json.dumps([finding.as_dict() for finding in findings], indent=1))
    else:
        for finding in findings:
            echo(f"{finding.severity:<8} {finding.check:<20} {finding.evidence}")
            names = list(dict.fromkeys(row.architecture for row in finding.rows))
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            echo(
                f"{'':<8} {count(finding.rows, 'row')} ({', '.join(names[:_NAMED])}{more}); "
                f"columns {', '.join(finding.columns)}"
            )
        graded = [[f for f in findings if f.severity == severity] for severity in SEVERITIES]
        words = ", ".join(count(g, s) for g, s in zip(graded, SEVERITIES, strict=True))
        echo(
            f"{loaded.name}: {count(loaded.finished, 'finished run')}, "
            f"{count(checks or CHECKS, 'check')}: {words if findings else 'nothing found'}"
        )
        unchecked = implied_power(loaded)["possible"].isna().sum()
        if unchecked:
            echo(
                f"power could not be checked in {unchecked:,} of them: no time, no energy, or "
                "nothing known of the device (power_limit_w, or a device of data/devices.toml)"
            )
    if any(finding.severity != "note" for finding in findings):
        click.get_current_context().exit(1)
