"""The ledger's table in a browser: chosen by outcome and section, whole without scripts."""

import html

import pytest

from pepr_utils.ledger import OUTCOMES, load_claims

pytestmark = [pytest.mark.book, pytest.mark.slow]

_ROWS = "[...document.querySelectorAll('[data-filters] tbody tr')]"
_SHOWN = f"{_ROWS}.filter(row => row.offsetParent).map(row => row.textContent)"
_CHOOSE = """(() => {{
  const menu = document.querySelectorAll('.pepr-filter select')[{place}];
  menu.value = '{value}';
  menu.dispatchEvent(new Event('change'));
  return document.querySelector('.pepr-filter output').textContent;
}})()"""


def test_rows_are_chosen_by_outcome_and_section(visit):
    page, claims = visit("file", "notebooks/claims_tables"), load_claims()
    assert len(page.ask(_SHOWN)) == len(claims)
    options = "[...document.querySelector('.pepr-filter select').options].map(o => o.value)"
    assert set(page.ask(options)) == {"all", *OUTCOMES}
    expected = [claim for claim in claims if claim.recorded == "not reproduced"]
    counted = page.ask(_CHOOSE.format(place=0, value="not reproduced"))
    assert counted == f"{len(expected)} of {len(claims)}"
    assert len(page.ask(_SHOWN)) == len(expected)
    page.ask(_CHOOSE.format(place=1, value="table 1"))
    both = [claim for claim in expected if claim.section == "table 1"]
    assert [any(c.statement in text for c in both) for text in page.ask(_SHOWN)] == [True] * len(
        both
    )


def test_without_scripts_every_row_stands_in_the_page(site):
    text = (site / "notebooks" / "claims_tables.html").read_text("utf-8")
    for claim in load_claims():
        assert f">{html.escape(claim.statement)}</a>" in text, claim.id
    assert "<tr hidden" not in text
