"""What a printer makes of the tables: every row and column, nothing that scrolls."""

import pytest

pytestmark = [pytest.mark.book, pytest.mark.slow]

#: The pages with the longest and the widest tables.
PAGES = (
    "claims_tables", "statistics_tables", "audit_tables", "table_1", "race", "study", "curve",
    "model_space",
)  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_no_table_is_cut_off_on_paper(visit, name):
    page = visit("file", f"notebooks/{name}", width=718)  # A4 less margins of 10 mm, at 96 dpi
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        cut = page.ask(
            """[...document.querySelectorAll('.pepr-table-box')].filter(box => {
              const scrolls = /auto|scroll|hidden/.test(getComputedStyle(box).overflow);
              const table = box.querySelector('table').getBoundingClientRect();
              return (scrolls && box.scrollHeight > box.clientHeight + 2)
                || table.right > innerWidth + 2;
            }).map(box => box.innerText.slice(0, 80))"""
        )
        shown = page.ask("[...document.querySelectorAll('.pepr-filter')].some(m => m.offsetParent)")
    finally:
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert (cut, shown) == ([], False)
