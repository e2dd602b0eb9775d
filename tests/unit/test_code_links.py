"""From a number or a name on a page to the line of code that it comes from."""

import json
import re
from pathlib import Path

import pytest

from paper.site import code

ROOT = Path(__file__).parents[2]
FROZEN = json.loads((ROOT / "tests" / "frozen" / "glued.json").read_text("utf-8"))


def _line(place):
    file, line = place
    return Path(file).read_text("utf-8").splitlines()[line - 1]


@pytest.mark.parametrize(
    ("name", "file", "starts"),
    [
        ("pepr_utils.load_result_set", "results/load.py", "def load_result_set("),
        ("pepr_utils.results.ResultSet.full_data", "results/result_set.py", "    def full_data("),
        ("pepr_utils.results.LARGE_ABOVE", "results/architectures.py", "LARGE_ABOVE = "),
        ("paper.site.show", "site/shown_chart.py", "def show("),
        ("paper.figures.arms", "figures/arms.py", '"""'),
    ],
)
def test_a_name_leads_to_its_definition_through_what_passes_it_on(name, file, starts):
    place = code.find(name)
    assert place[0].as_posix().endswith(file)
    assert _line(place).startswith(starts)


def test_a_name_of_another_library_leads_nowhere():
    assert code.find("pandas.DataFrame") is None
    assert code.find("pepr_utils.nothing") is None


NOTEBOOK = """\
---
kernelspec: {name: python3}
---
A "n-quoted" number.

```{code-cell} ipython3
---
tags: [hide-input]
---
from paper.chapters.common import fixed
found = {"n-runs": "1"}
```

```{code-cell} ipython3
:tags: [hide-input]
show_numbers({f"{group}-median": 1})
```
"""


def test_a_number_leads_to_the_line_that_names_it(tmp_path):
    notebook = tmp_path / "page.md"
    notebook.write_text(NOTEBOOK)
    assert _line(code.origin(notebook, "n-runs")) == 'found = {"n-runs": "1"}'
    assert _line(code.origin(notebook, "small-median")) == 'show_numbers({f"{group}-median": 1})'
    assert code.origin(notebook, "n-quoted") == (notebook, 16)  # in prose only: where all are glued


@pytest.mark.parametrize("page", list(FROZEN))
def test_every_number_of_the_book_leads_to_a_line_that_names_it(page):
    for key in FROZEN[page]:
        place = code.origin(ROOT / "notebooks" / f"{page}.md", key)
        line = _line(place)
        if page == "claims" and line.strip().startswith(("def ", "found[", "show_numbers(")):
            continue  # the claim's check, or what shows a claim that has none
        literals = re.findall(r'"([^"]*)"', line)
        patterns = [re.sub(r"\\{.*?\\}", ".+", re.escape(text)) for text in literals]
        assert any(re.fullmatch(pattern, key) for pattern in patterns), f"{key}: {line}"


def test_a_number_leads_to_the_key_that_it_is_assigned_to(tmp_path):
    notebook = tmp_path / "page.md"
    names = 'names = ("n-runs",)'
    notebook.write_text(NOTEBOOK.replace("found =", f"{names}\nfound =", 1))
    assert _line(code.origin(notebook, "n-runs")) == 'found = {"n-runs": "1"}'


def test_names_in_shown_code_become_links():
    shown = code._highlighted("from paper.figures import arms as a\na.chart(x)\nf(chart=1)\n")
    linked = code.link_names(shown, {"a": "paper.figures.arms"}, "notebooks/page")
    line = code.find("paper.figures.arms.chart")[1]
    address = f"../code/paper/figures/arms.py.html#L{line}"
    assert f'<a href="{address}"><span class="n">a</span>' in linked
    assert re.sub("<[^>]+>", "", linked) == re.sub("<[^>]+>", "", shown)
    assert linked.count("<a ") == 3  # the package, the alias, the call


def test_the_expression_of_a_number_is_what_computes_it(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(NOTEBOOK.replace('{"n-runs": "1"}', '{"n-runs": len(runs), "n": 2}'))
    assert code.expression(code.origin(path, "n-runs"), "n-runs") == "len(runs)"
    assert code.expression(code.origin(path, "n"), "n") == "2"
