"""Checks of the meter itself: two methods beside each other that do not agree."""

from __future__ import annotations

from collections.abc import Iterator

from pepr_utils.results.audit.finding import Finding, count, rows_of, span
from pepr_utils.results.audit.registry import check
from pepr_utils.results.result_set import ResultSet

#: The card's counter and samples of its power may differ by this share.
APART = 0.05


@check("meters-disagree")
def disagree(result_set: ResultSet) -> Iterator[Finding]:
    """Energies of a card whose counter and whose samples of power differ by more than 5 %."""
    runs = result_set.finished
    bad = runs[runs["gpu_disagreement"].gt(APART)]
    if len(bad):
        yield Finding(
            "meters-disagree",
            "warning",
            rows_of(bad),
            ("gpu_counter_kwh", "gpu_polled_kwh", "gpu_disagreement"),
            f"{count(bad, 'run')} with a window of more than 10 s in which the card's energy "
            f"counter and the samples of its power are {span(bad['gpu_disagreement'] * 100)} % "
            "apart: samples were missed, or others used the card",
        )
