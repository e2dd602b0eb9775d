"""Chapters, their dependencies, and the stubs that stand in for them."""

from pathlib import Path

import nbformat.v4 as v4
import pytest

from paper.site.chapters import BookError, dependencies, read_chapters
from paper.site.stub import stub_notebook, without_stubs


def _book(root, header, *, toc="root: a\n"):
    (root / "_toc.yml").write_text(f"format: jb-book\n{toc}")
    (root / "a.md").write_text(f"---\nkernelspec: {{name: python3}}\n{header}---\n# A\n")
    return root


def test_a_header_says_what_a_chapter_needs(tmp_path):
    header = "pepr: {result_set: demo, parameters: {alpha: 2}, files: [_toc.yml]}\n"
    (chapter,) = read_chapters(_book(tmp_path, header))
    assert chapter.is_notebook
    assert chapter.parameters == {"result_set": "demo", "alpha": 2}
    assert chapter.files == ("_toc.yml",)


def test_chapters_come_in_the_order_of_the_toc(tmp_path):
    toc = "root: a\nparts:\n- chapters:\n  - file: b\n    sections: [{file: c}]\n  - file: d\n"
    for name in "bcd":
        (tmp_path / f"{name}.md").write_text("# Prose\n")
    chapters = read_chapters(_book(tmp_path, "", toc=toc))
    assert [c.docname for c in chapters] == ["a", "b", "c", "d"]
    assert [c.is_notebook for c in chapters] == [True, False, False, False]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("pepr: {result: demo}\n", "unknown key 'result'; allowed: result_set"),
        ("pepr: {files: [data/x.csv]}\n", "no file 'data/x.csv'"),
        ("pepr: [\n", "a.md: its header is not YAML"),
    ],
)
def test_a_header_with_a_fault_is_refused(tmp_path, header, message):
    with pytest.raises(BookError, match=message):
        read_chapters(_book(tmp_path, header))


def test_a_listed_chapter_must_exist(tmp_path):
    with pytest.raises(BookError, match=r"lists 'b', but there is no b\.md"):
        read_chapters(_book(tmp_path, "", toc="root: b\n"))


def test_a_chapter_depends_on_its_text_its_files_and_what_executes_it(tmp_path):
    (chapter,) = read_chapters(_book(tmp_path, "pepr: {files: [_toc.yml]}\n"))
    names = {Path(p).name for p in dependencies(chapter, tmp_path)}
    assert names == {"a.md", "_toc.yml", "execute.py", "stub.py"}


STUBBED = """\
(sec-a)=
# The title

There are {glue:text}`n:s` models.

## A part

```{math}
:label: eq-a
x = 1
```

```python
not_labelled()
```

$$ y = 2 $$ (eq-b)
"""


def _stub():
    figure = {"name": "fig-a", "caption": "Of {glue:text}`n:s` models."}
    cells = [
        v4.new_markdown_cell(STUBBED),
        v4.new_code_cell("secret = 1"),
        v4.new_code_cell("show()", metadata={"mystnb": {"figure": figure}}),
    ]
    return stub_notebook(v4.new_notebook(cells=cells), "no mirror\nand no network")


def test_a_stub_keeps_title_and_labels_and_says_why():
    text, figure = _stub().cells
    for kept in ("(sec-a)=", "# The title", "## A part", ":label: eq-a", "$$ y = 2 $$ (eq-b)"):
        assert kept in text.source
    assert text.source.index("no mirror and no network") < text.source.index("## A part")
    assert "no mirror and no network" in text.source
    assert "models" not in text.source
    assert "not_labelled" not in text.source
    assert figure.metadata["mystnb"]["figure"]["name"] == "fig-a"
    assert figure.metadata["mystnb"]["figure"]["caption"] == "Of *not available* models."
    assert "secret" not in str(_stub())


def test_a_stub_needs_a_title():
    untitled = v4.new_notebook(cells=[v4.new_markdown_cell("no title")])
    with pytest.raises(BookError, match="no title"):
        stub_notebook(untitled, "why")


@pytest.mark.parametrize(
    ("role", "docname", "replaced"),
    [
        ("{glue:text}`../notebooks/lost.ipynb::n:s`", "book/index", True),
        ("{glue:text}`lost.ipynb::n:s`", "notebooks/other", True),
        ("{glue:text}`/notebooks/lost.ipynb::n:s`", "book/index", True),
        ("{glue:md}`../notebooks/lost.ipynb::n`", "book/index", True),
        ("{glue:text}`../notebooks/found.ipynb::n:s`", "book/index", False),
        ("{glue:text}`n:s`", "notebooks/other", False),
    ],
)
def test_values_of_stubs_are_replaced(role, docname, replaced):
    text = without_stubs(f"Stays.\n\na {role} b\n\nc {role} d", docname, {"notebooks/lost"})
    lost = "*Not available: this needs data that could not be downloaded.*"
    assert text == (f"Stays.\n\n{lost}" if replaced else f"Stays.\n\na {role} b\n\nc {role} d")


def test_a_quoted_figure_of_a_stub_is_replaced():
    block = "```{glue} figure-a\n:doc: ../notebooks/lost.ipynb\n```"
    text = without_stubs(f"Before.\n\n{block}\n\nAfter.", "book/index", {"notebooks/lost"})
    assert "```" not in text
    assert text.startswith("Before.")
    assert text.endswith("After.")
