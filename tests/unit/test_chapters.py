"""Chapters and what they depend on."""

from pathlib import Path

import pytest

from paper.site.chapters import BookError, dependencies, read_chapters
from paper.site.tasks import chapter_tasks

ROOT = Path(__file__).parents[2]


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


def test_a_chapter_depends_on_those_files_of_a_pattern_that_are_there(tmp_path):
    book = _book(tmp_path, 'pepr: {files: ["runs/*.json"]}\n')
    assert read_chapters(book)[0].files == ()
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "r1.json").write_text("{}")
    assert read_chapters(book)[0].files == ("runs/r1.json",)


def test_a_listed_chapter_must_exist(tmp_path):
    with pytest.raises(BookError, match=r"lists 'b', but there is no b\.md"):
        read_chapters(_book(tmp_path, "", toc="root: b\n"))


def test_a_chapter_depends_on_its_text_its_files_and_what_executes_it(tmp_path):
    (chapter,) = read_chapters(_book(tmp_path, "pepr: {files: [_toc.yml]}\n"))
    names = {Path(p).name for p in dependencies(chapter, tmp_path)}
    assert names == {"a.md", "_toc.yml", "execute.py"}


def test_a_page_that_also_shows_a_measured_set_waits_for_it():
    tasks = {task["name"]: task["task_dep"] for task in chapter_tasks(ROOT)}
    assert "chapter:notebooks/fine_tune" in tasks["notebooks/choose"]
    assert "chapter:notebooks/choose" not in tasks["notebooks/fine_tune"]


def test_no_line_of_a_chapter_is_a_comment_by_accident():
    """MyST leaves out a line that begins with a per cent sign, as a wrapped sentence may."""
    texts = {c.source: c.source.read_text("utf-8") for c in read_chapters(ROOT)}
    left_out = [
        (path.name, line)
        for path, text in texts.items()
        for line in text.splitlines()
        if line.lstrip().startswith("%")
    ]
    assert texts
    assert not left_out
