"""What becomes of a page's figures and of notebooks on the site, and links to a repository."""

import json
import subprocess

import altair as alt
import nbformat
import pandas as pd
import pytest

from paper.site import repository, show, show_table, site_files
from paper.site.chapters import BookError

FRAME = pd.DataFrame({"model": ["a", "b"], "cost": [0.1, 0.9], "score": [0.8, 0.5]})
CHART = alt.Chart(FRAME).mark_point().encode(x="cost:Q", y="score:Q")


def _shown(frame=FRAME):
    return show(CHART, frame, name="cost", alt="Words.").html()


def test_pictures_and_tables_of_a_page_are_files_beside_it(tmp_path):
    body = _shown() + show_table(FRAME, name="models").html()
    page = site_files.take_out(body, "../", "notebooks/score", tmp_path)
    assert "base64" not in page
    for address in ("src", "href"):
        assert (
            f'{address}="../figures/notebooks/score/cost.{"svg" if address == "src" else "csv"}"'
            in page
        )
    assert pd.read_csv(tmp_path / "figures/notebooks/score/models.csv").equals(FRAME)
    assert (tmp_path / "figures/notebooks/score/cost.svg").read_text().startswith("<svg")
    assert site_files.take_out(body, "", "index", tmp_path).count('href="figures/index/') == 2


def test_two_figures_of_one_name_must_be_the_same_on_a_page(tmp_path):
    both = _shown() + _shown(FRAME.head(1))
    with pytest.raises(BookError, match=r"another figure or table is named 'cost'; rename one"):
        site_files.take_out(both, "../", "notebooks/score", tmp_path)


def test_a_page_that_is_written_again_leaves_no_file_behind(tmp_path):
    site_files.take_out(_shown(), "../", "notebooks/score", tmp_path)
    site_files.take_out(_shown(FRAME.head(1)), "../", "notebooks/score", tmp_path)
    assert len(pd.read_csv(tmp_path / "figures/notebooks/score/cost.csv")) == 1
    site_files.take_out("", "../", "notebooks/score", tmp_path)
    assert list(tmp_path.rglob("*.csv")) == []


def test_a_long_framed_page_is_a_file(tmp_path):
    inner = "<p>&lt;" + "x" * 30_000
    body = f'<iframe srcdoc="{inner.replace("&", "&amp;").replace("<", "&lt;")}"></iframe>'
    page = site_files.take_out(body, "../", "notebooks/howto", tmp_path)
    assert page == '<iframe src="../figures/notebooks/howto/page.html"></iframe>'
    assert (tmp_path / "figures/notebooks/howto/page.html").read_text() == inner


def test_a_notebook_to_download_keeps_its_pictures_and_tables_only():
    output = nbformat.v4.new_output("display_data", {"text/html": _shown(), "text/plain": "Words."})
    cell = nbformat.v4.new_code_cell("1", outputs=[output])
    text = nbformat.writes(nbformat.v4.new_notebook(cells=[cell]))
    slim = nbformat.reads(site_files.slim_notebook(text, "set up"), as_version=4)
    assert [cell.source for cell in slim.cells] == ["set up", "1"]
    kept = slim.cells[1].outputs[0].data["text/html"]
    assert "image/svg+xml" in kept
    assert "application/json" not in kept
    assert "text/csv" not in kept


SEARCH_SCRIPT = '<script src="_static/searchtools.js"></script>\n'
PROVENANCE = '<p class="pepr-provenance">commit <code></code> · pepr-utils</p>\n'


def _searched(site):
    script = (site / "search-texts.js").read_text().splitlines()[0]
    return json.loads(script.removeprefix("const peprTexts = ").removesuffix(";"))


def test_the_search_is_given_what_pages_say(tmp_path):
    inner = '<section id="one"><h1>Title</h1>' + show_table(FRAME, name="m").html() + "</section>"
    page = tmp_path / "page.html"
    page.write_text(f"{SEARCH_SCRIPT}<article>{inner}<script>x</script></article>")
    (tmp_path / "search.html").write_text("<head></head>")
    site_files.mend_pages(tmp_path, "c1")
    assert _searched(tmp_path)["page.html"].startswith(
        '<div role="main"><section id="one">Title model cost score'
    )
    assert "search-texts.js" in (tmp_path / "search.html").read_text()


def test_pages_that_stay_keep_their_text_and_get_the_new_commit(tmp_path):
    for name in ("old", "new"):
        written = f"{SEARCH_SCRIPT}<article>{name} &amp; <b>bold</b>{PROVENANCE}</article>"
        (tmp_path / f"{name}.html").write_text(written)
    (tmp_path / "search.html").write_text("<head></head>")
    site_files.mend_pages(tmp_path, "c1")
    first = _searched(tmp_path)
    assert first["old.html"] == '<div role="main">old &amp; bold</div>'
    (tmp_path / "new.html").write_text(f"{SEARCH_SCRIPT}<article>newer</article>{PROVENANCE}")
    site_files.mend_pages(tmp_path, "c2 + <uncommitted>")
    assert _searched(tmp_path) == first | {"new.html": '<div role="main">newer</div>'}
    for name in ("old", "new"):
        assert "commit <code>c2 + &lt;uncommitted&gt;</code>" in (
            tmp_path / f"{name}.html"
        ).read_text("utf-8")
    assert (tmp_path / "search.html").read_text().count("search-texts.js") == 1


@pytest.fixture
def checkout(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    return tmp_path


def test_the_repositorys_address_is_the_setting_or_gits_remote(checkout):
    assert repository.repository_address(checkout) == ""
    remote = ["git", "-C", checkout, "remote", "add", "origin", "git@github.com:someone/pepr.git"]
    subprocess.run(remote, check=True)
    assert repository.repository_address(checkout) == "https://github.com/someone/pepr"
    given = "https://gitlab.com/group/pepr"
    assert repository.repository_address(checkout, given) == given


def test_without_an_address_nothing_that_needs_it_is_offered():
    assert repository.theme_options("") == {}
    assert repository.launch_buttons("", "notebooks/score") == []
    assert repository.clone_cell("") == ""
    assert not any("http" in text for text in repository.substitutions("").values())


def test_with_an_address_pages_lead_to_it():
    address = "https://github.com/someone/pepr"
    options = repository.theme_options(address)
    assert options["repository_url"] == address
    assert options["use_edit_page_button"]
    assert f"git clone {address}" in repository.substitutions(address)["clone"]
    assert f"git clone --quiet --depth 1 {address}" in repository.clone_cell(address)
    (group,) = repository.launch_buttons(address, "notebooks/score")
    assert [button["url"] for button in group["buttons"]] == [
        "https://mybinder.org/v2/gh/someone/pepr/main"
        "?urlpath=lab%2Ftree%2Fnotebooks%2Fscore.md%3Ffactory%3DJupytext%20Notebook",
        "https://colab.research.google.com/github/someone/pepr/blob/gh-pages/_sources/"
        "notebooks/score.ipynb",
    ]


def test_what_pages_say_is_read_back_from_the_script_of_the_search():
    texts = {"a.html": 'x = 1; "y"\u2028\x85z\n'}
    script = site_files._TEXTS.format(texts=json.dumps(texts, ensure_ascii=False))
    assert site_files._texts_of(script) == texts
