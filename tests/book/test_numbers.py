"""Every computed number on the site leads to what computed it, and says how when pointed at."""

import re

import pytest
from bs4 import BeautifulSoup

from tests.book.test_pages import DOCNAMES

pytestmark = [pytest.mark.book, pytest.mark.slow]


@pytest.mark.parametrize("docname", DOCNAMES)
def test_each_number_is_a_link_to_the_line_that_computes_it(site, docname):
    page = BeautifulSoup((site / f"{docname}.html").read_text("utf-8"), "html.parser")
    for number in page.select(".pasted-text"):
        link = number.find_parent("a", class_="pepr-number")
        assert link is not None, number
        assert re.search(r"code/(notebooks|paper|pepr_utils)/.+#L\d+$", link["href"])
        said = link["title"].split(" · ")
        assert re.match(r"[\w.-]+ = .", said[0])
        assert re.fullmatch(r"\S+, line \d+", said[-1])
