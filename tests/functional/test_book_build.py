"""The build of a two-chapter book: what runs again, what a failure leaves."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAD = "---\nkernelspec: {name: python3, display_name: Python 3, language: python}\n"

pytestmark = pytest.mark.slow

CONSTANT = (
    HEAD
    + """\
pepr: {parameters: {alpha: 2}, files: [data/x.csv]}
---
# Constant

```{code-cell} ipython3
:tags: [parameters]
alpha = 1
```

```{code-cell} ipython3
from myst_nb import glue
glue("alpha", f"alpha-is-{alpha}", display=False)
```
"""
)

IMPORTING = """\
import sys

sys.path.insert(0, "notebooks")
import imported

alpha = 1"""

COUNTED = (
    HEAD
    + """\
pepr: {result_set: toy}
---
(sec-counted)=
# Counted

```{code-cell} ipython3
:tags: [parameters]
result_set = "toy"
```

```{code-cell} ipython3
---
mystnb:
  figure: {name: fig-counted, caption: "Counted {glue:text}`n:s`."}
---
from myst_nb import glue
glue("n", "n-is-7", display=False)
"seven"
```
"""
)

INDEX = """\
# Index

{glue:text}`constant.ipynb::alpha:s`, {numref}`fig-counted`, {ref}`sec-counted`.

{glue:text}`counted.ipynb::n:s` are counted.
"""

# The build file of the project, on a result set whose content the test decides.
DODO = """
import pathlib
from pepr_utils import results
from pepr_utils.errors import DataUnavailableError

def content_hash(name):
    content = pathlib.Path("toy.txt").read_text()
    if content == "lost":
        raise DataUnavailableError("toy.csv could not be downloaded")
    return content

results.content_hash = content_hash
"""


class Book:
    """A project folder with a book, and the commands on it."""

    def __init__(self, root):
        self.root = root
        shutil.copytree(ROOT / "book" / "_static", root / "book" / "_static")
        config = (ROOT / "_config.yml").read_text()
        toc = "format: jb-book\nroot: index\nchapters: [{file: constant}, {file: counted}]\n"
        files = {
            "book/references.bib": "", "data/x.csv": "x\n1\n",
            "_config.yml": config, "_toc.yml": toc,
            "dodo.py": DODO + (ROOT / "dodo.py").read_text(), "toy.txt": "f" * 64,
            "index.md": INDEX, "constant.md": CONSTANT, "counted.md": COUNTED,
        }  # fmt: skip
        for name, text in files.items():
            self.write(name, text)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def build(self, *tasks):
        """Run doit; return its exit code and what it printed."""
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-m", "doit", *tasks],
            cwd=self.root, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def executed(self, *tasks):
        """Build, and return the names of the chapters that were executed."""
        code, out = self.build(*(tasks or ["chapter"]))
        assert code == 0, out
        return {line.split()[0] for line in out.splitlines() if " executed," in line}

    def notebook(self, name):
        return self.root / "_build" / "chapters" / f"{name}.ipynb"

    def page(self, name):
        return (self.root / "_build" / "html" / f"{name}.html").read_text("utf-8")


@pytest.fixture
def book(tmp_path):
    return Book(tmp_path)


def test_only_what_changed_runs_again(book):
    book.write("notebooks/imported.py", "def value():\n    import read_by_it\n\nvalue()\n")
    book.write("notebooks/read_by_it.py", "VALUE = 1\n")
    book.write("notebooks/not_imported.py", "VALUE = 1\n")
    book.write("constant.md", CONSTANT.replace("alpha = 1", IMPORTING))
    assert book.executed() == {"constant", "counted"}
    assert book.executed() == set()
    book.write("toy.txt", "e" * 64)
    assert book.executed() == {"counted"}
    book.write("data/x.csv", "x\n2\n")
    assert book.executed() == {"constant"}
    book.write("notebooks/read_by_it.py", "VALUE = 2\n")
    assert book.executed() == {"constant"}
    book.write("notebooks/not_imported.py", "VALUE = 2\n")
    assert book.executed() == set()
    (book.root / "notebooks" / "imported.py").rename(book.root / "notebooks" / "moved.py")
    code, out = book.build("chapter")
    assert code != 0
    assert "No module named 'imported'" in out
    book.write("constant.md", CONSTANT.replace("alpha: 2", "alpha: 3"))
    assert book.executed() == {"constant"}
    assert b"alpha-is-3" in book.notebook("constant").read_bytes()


def test_a_failure_leaves_nothing_half_made_and_the_rest_is_built(book):
    book.write("constant.md", CONSTANT.replace("from myst_nb", "1 / 0\nfrom myst_nb"))
    code, out = book.build()
    assert code != 0
    assert "constant.md, code cell 3: ZeroDivisionError: division by zero" in out
    assert "Traceback" not in out
    assert "not built: constant failed" in out
    assert not book.notebook("constant").exists()
    assert book.notebook("counted").exists()
    assert list((book.root / "_build").rglob("*.tmp")) == []
    assert not (book.root / "_build" / "html").exists()
    book.write("constant.md", CONSTANT)
    assert book.executed() == {"constant"}


def test_an_interrupted_build_recovers(book):
    book.executed()
    before = book.notebook("constant").read_bytes()
    book.write(
        "constant.md", CONSTANT.replace("from myst_nb", "import os; os._exit(3)\nfrom myst_nb")
    )
    code, out = book.build("chapter")
    assert code != 0
    assert "its kernel died" in out
    book.notebook("constant").with_name(".constant.ipynb.tmp").write_text("{")
    book.write("constant.md", CONSTANT)
    assert book.executed() == {"constant"}
    assert book.notebook("constant").read_bytes() == before


def test_a_chapter_whose_data_is_missing_says_so_until_it_comes(book):
    book.write("toy.txt", "lost")
    code, out = book.build()
    assert code == 0, out
    assert "counted                          not executed, its data are missing" in out
    assert "toy.csv could not be downloaded" in book.page("counted")
    assert "<em>not available</em>" in book.page("index")
    assert "alpha-is-2" in book.page("index")
    assert "n-is-7" not in book.page("index")
    code, out = book.build()
    assert out.startswith("nothing to do: file://")
    assert out.rstrip().endswith("/_build/html/index.html is up to date")

    book.write("toy.txt", "d" * 64)
    assert book.executed("chapter", "site") == {"counted"}
    assert "n-is-7" in book.page("index")
    assert "d" * 12 in book.page("counted")
    assert "could not be downloaded" not in book.page("counted")


def test_a_warning_of_sphinx_fails_the_build_until_it_is_mended(book):
    book.write("index.md", INDEX + "\n{ref}`nowhere`\n")
    for _ in range(2):
        code, out = book.build()
        assert code != 0
        assert "index.md" in out
        assert "nowhere" in out


def test_a_site_that_is_changed_is_the_one_that_is_made_anew(book):
    toc = (book.root / "_toc.yml").read_text()
    book.write("_toc.yml", toc.replace("{file: constant}", "{file: other}, {file: constant}"))
    book.write("other.md", "# Other\n")
    assert book.build()[0] == 0
    html, anew = book.root / "_build" / "html", book.root / "anew"
    written = (html / "other.html").stat().st_mtime_ns

    # A value, which another page quotes; then a title, which all pages show, and a figure less.
    retitled = COUNTED.replace("# Counted", "# All that is counted").replace("figure:", "figures:")
    for changes in (
        {"constant.md": CONSTANT.replace("alpha: 2", "alpha: 3")},
        {"counted.md": retitled, "index.md": INDEX.replace("{numref}`fig-counted`", "no figure")},
    ):
        for name, text in changes.items():
            book.write(name, text)
        code, out = book.build()
        assert code == 0, out
        stayed = (html / "other.html").stat().st_mtime_ns == written
        assert stayed == ("constant.md" in changes)
        html.rename(anew)
        (book.root / "_build" / "site.sha256").unlink()
        assert book.build()[0] == 0
        assert _files(anew) == _files(html)
        shutil.rmtree(anew)
    assert "alpha-is-3" in book.page("index")
    assert "All that is counted" in book.page("other")


def _files(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_fault_in_a_header_is_one_line(book):
    book.write("counted.md", COUNTED.replace("result_set: toy", "results: toy"))
    code, out = book.build()
    assert code != 0
    assert "error: counted.md, `pepr:` in its header: unknown key 'results'" in out
    assert "Traceback" not in out


MAKER = (
    HEAD
    + """\
pepr: {makes: toy}
---
# Maker

```{code-cell} ipython3
:tags: [parameters]
result_set = "toy"
```

```{code-cell} ipython3
from pathlib import Path
if Path("toy.txt").read_text() == "gone":
    Path("toy.txt").write_text("c" * 64)
```
"""
)


def test_a_set_that_a_chapter_makes_is_made_before_it_is_read_and_once(book):
    chapters = "[{file: counted}, {file: constant}, {file: made}]"
    book.write("_toc.yml", f"format: jb-book\nroot: index\nchapters: {chapters}\n")
    book.write("made.md", MAKER)
    book.write("toy.txt", "gone")
    code, out = book.build("chapter")
    assert code == 0, out
    order = [line.split()[0] for line in out.splitlines() if " executed," in line]
    assert order == ["constant", "made", "counted"]
    assert ("c" * 64).encode() in book.notebook("made").read_bytes()
    assert ("c" * 64).encode() in book.notebook("counted").read_bytes()
    assert book.executed() == set()
    book.write("toy.txt", "gone")
    assert book.executed() == {"made"}


def test_a_chapter_reads_a_set_or_makes_it(book):
    book.write("counted.md", COUNTED.replace("result_set: toy}", "result_set: toy, makes: toy}"))
    code, out = book.build()
    assert code != 0
    assert "a chapter reads a set or makes it" in out
