"""The report: its sentences against winners found by hand, foreign text, files, the chart."""

import errno
import itertools
import math
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

import pepr_utils as pu
from pepr_utils.errors import InvalidTableError, PeprError
from pepr_utils.printable import clean
from pepr_utils.reporting import charts, drawing, report
from pepr_utils.reporting.content import compose, drawn
from pepr_utils.scoring import normalize

#: R by min-max: small 0, middle 10/40, large 40/40, other 30/40.
MODELS = pd.DataFrame(
    {
        "model": ["large", "small", "other", "middle"],
        "accuracy": [0.95, 0.8, 0.6, 0.9],
        "energy_wh": [50, 10, 40, 20],
        "memory_gb": [12, 2, None, 4],
    }
)
HOSTILE = [
    "<!--<script>", "</script><script>alert(1)</script>", "\\input{/etc/passwd}", "a|b", "`x`",
    '=cmd|\'/C calc\'!A0', "![x](http://127.0.0.1:1/x.png)", "*a* _b_ ~c~ $d$ #1 & 100 %",
    "{{ 7 * 7 }}", "http://example.org", "\x1b[31mred\nnew line", "网络 ünï ± – “q”", "^[a]{b}--",
]  # fmt: skip


def _ranking(table=MODELS, performance="accuracy", cost="energy_wh", **how):
    return pu.score(table, performance=performance, cost=cost, **how).ranking


def _content(ranking, maximum=None, minimum=None, audited="why not"):
    return compose(
        ranking, name="models.csv", audited=audited, maximum=maximum or {}, minimum=minimum or {},
        chance=None, provenance={},
    )  # fmt: skip


def _said(*arguments, **named):
    (section,) = _content(*arguments, **named).sections
    return {s.kind: s for s in section.statements}


# --- the answer


def test_the_answer_names_the_winners_found_by_hand():
    said = _said(_ranking(), maximum={"energy_wh": 30}, minimum={"accuracy": 0.85})
    named = {kind: s.model for kind, s in said.items()}
    assert named == {
        "best": "small", "within": "middle", "inside": "middle", "highest": "large",
        "lowest": "small", "firm": "",
    }  # fmt: skip
    assert "accuracy 0.8000 at 10 Wh, PePR 0.8000" in said["best"].text
    assert "accuracy 0.9000 at 20 Wh, PePR 0.7200; 1 of 4 models meet them" in said["within"].text
    assert "0.1500 more accuracy than small, at 5 times its cost" in said["highest"].text
    assert "0.0800 of score ahead of the next, middle (PePR 0.7200)" in said["firm"].text
    assert "not known" in said["firm"].text


def test_a_missing_value_meets_no_budget_and_none_may_meet_it():
    assert _said(_ranking(), maximum={"memory_gb": 100})["within"].text.endswith(
        "3 of 4 models meet them"
    )
    none = _said(_ranking(), maximum={"energy_wh": 9})["within"]
    assert (none.model, none.text) == ("none", "no model meets them")


def test_of_errors_the_lowest_is_best():
    table = MODELS.assign(error=1 - MODELS["accuracy"])
    said = _said(_ranking(table, "error", better="low"))
    assert (said["best"].model, said["highest"].model) == ("small", "large")
    assert said["highest"].lead == "Lowest error"
    assert "error 0.0500" in said["highest"].text
    assert "0.1500 less error than small" in said["highest"].text


def test_equal_scores_are_said():
    table = pd.DataFrame({"model": ["a", "b", "c"], "auc": [0.8, 0.4, 0.8], "kwh": [9, 1, 9]})
    assert "as high: a, c" in _said(_ranking(table, "auc", "kwh"))["best"].text


def test_the_interval_says_which_models_could_lead():
    apart = _said(_ranking(n_test=10_000))["firm"].text
    near = _said(_ranking(n_test=30))["firm"].text
    assert "its lead over every other model is more than chance" in apart
    assert "its lead over 1 other model (middle) may be chance" in near


def test_repeated_runs_are_one_row_with_their_spread():
    table = pd.concat(
        [MODELS.assign(seed=1), MODELS.assign(seed=2, accuracy=MODELS["accuracy"] - 0.02)]
    )
    (section,) = _content(_ranking(table)).sections
    rows = {row[1]: dict(zip(section.headings, row, strict=True)) for row in section.rows}
    assert rows["small"]["accuracy"] == "0.7900 ± 0.01414"
    assert rows["small"]["runs"] == "2"


def test_several_costs_are_one_cost_and_one_model_has_no_rival():
    ranking = _ranking(MODELS.dropna(), cost={"energy_wh": 1, "memory_gb": 1})
    said = _said(ranking)
    assert said["lowest"].lead == "Lowest cost (R)"
    assert said["best"].model == "small"
    assert "no other model" in _said(_ranking(MODELS[:1]))["firm"].text


def test_each_group_has_its_section_and_a_line_of_the_summary(published):
    ranking = pu.score(published.runs).ranking
    content = _content(ranking, audited=published)
    best = ranking.models.model[ranking.order].groupby(ranking.models.groups).first()
    assert {row[0]: row[1] for row in content.summary[1:]} == best.to_dict()
    assert len(content.sections) == 8
    cautions = {s.label: s.statements[-1] for s in content.sections}
    assert "shared-values" in cautions["derma, from scratch, 100 %"].text
    severities = [f.severity for f in content.found]
    assert severities == sorted(severities, key=["error", "warning", "note"].index)


# --- foreign text


class _Page(HTMLParser):
    """Text of the table's cells, tags, and addresses of a page."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.cells, self.tags, self.addresses, self.texts, self._open = [], [], [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [v for k, v in attributes if k in ("src", "href", "srcset", "data")]
        if tag == "td":
            self._open, self.cells = True, [*self.cells, ""]

    def handle_endtag(self, tag):
        self._open = self._open and tag != "td"

    def handle_data(self, data):
        self.texts.append(data)
        if self._open:
            self.cells[-1] += data


def _named(names):
    values = [0.5 + 0.01 * i for i in range(len(names))]
    return pd.DataFrame({"model": names, "acc": values, "wh": [i + 1.0 for i in range(len(names))]})


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Files of a report whose models, columns and table have hostile names."""
    table = _named(HOSTILE).rename(columns={"acc": HOSTILE[0], "wh": HOSTILE[1]})
    scored = pu.score(table, performance=HOSTILE[0], cost=HOSTILE[1], label="model", each_row=True)
    folder = tmp_path_factory.mktemp("hostile")
    return {
        suffix: report(
            scored, folder / f"r{suffix}", name=HOSTILE[1], provenance={"Table": HOSTILE[0]}
        ).read_text()
        for suffix in (".html", ".md", ".tex")
    }


def test_a_page_shows_foreign_text_and_runs_none(hostile, tmp_path):
    page = _Page(hostile[".html"])
    assert {clean(name) for name in HOSTILE} <= set(page.cells)
    plain = _Page(
        report(
            pu.score(MODELS, performance="accuracy", cost="energy_wh"), tmp_path / "r.html"
        ).read_text()
    )
    assert page.tags.count("script") == plain.tags.count("script") == 2
    assert "49" not in [t.strip() for t in page.texts]
    assert [a for a in page.addresses if not a.startswith("#")] == []


def test_a_page_of_1048_runs_fits_a_mail_and_fetches_nothing(tmp_path, published):
    page = report(pu.score(published.runs), tmp_path / "r.html").read_text()
    assert len(page) < 1e6
    assert [a for a in _Page(page).addresses if not a.startswith("#")] == []
    style = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


@settings(max_examples=40)
@given(st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=4))
@example(HOSTILE)
def test_markdown_shows_any_name_as_it_is(names):
    names = [" ".join(clean(f"a{name}b").split()) for name in names]
    path = Path("unwritten")
    with pytest.MonkeyPatch.context() as patch:
        written = {}
        patch.setattr(drawing, "write", lambda t, content, what: written.update(page=content))
        patch.setattr(drawing, "check_target", lambda *a: None)
        scored = pu.score(_named(names), performance="acc", cost="wh", each_row=True)
        report(scored, path.with_suffix(".md"), top=99)
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(
        written["page"].decode()
    )  # fmt: skip
    after = [t for before, t in itertools.pairwise(tokens) if before.type == "td_open"]
    cells = ["".join(c.content for c in t.children) for t in after]
    kinds = {c.type for t in after for c in t.children}
    assert kinds <= {"text", "text_special"}
    assert sorted(cells[1::5]) == sorted(names)


def test_latex_has_only_commands_of_its_own(hostile):
    rest = hostile[".tex"]
    own = (
        "documentclass", "usepackage", "begin", "end", "section", "subsection", "textbf", "item",
        "small", "toprule", "midrule", "endhead", "bottomrule", "textbackslash", "textasciitilde",
        "textasciicircum", "textless", "textgreater", "textbar", "textpm", "textquotedbl",
        "textasciigrave", "textquotesingle",
    )  # fmt: skip
    import re

    assert set(re.findall(r"\\([a-zA-Z]+)", rest)) <= set(own)
    unescaped = re.sub(r"\\[&%$#_{}\\]", "", rest)
    assert not set("%$#_~^") & set(unescaped)
    assert unescaped.count("{") == unescaped.count("}")
    body = unescaped[unescaped.index("midrule") : unescaped.index("bottomrule")]
    assert {line.count("&") for line in body.splitlines() if "&" in line} == {4}


# --- files


@pytest.mark.parametrize("suffix", [".md", ".html"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, suffix):
    target = tmp_path / f"report{suffix}"
    target.write_text("old")

    def full(self, content):
        with self.open("wb") as file:
            file.write(content[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(PeprError, match=r"report .* cannot be written: No space left on device"):
        report(pu.score(MODELS, performance="accuracy", cost="energy_wh"), target)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_what_is_no_ranking_is_refused(tmp_path):
    with pytest.raises(InvalidTableError, match=r"allowed: what pepr_utils\.score returns"):
        report(MODELS, tmp_path / "r.md")


# --- the chart


def _layers(spec):
    lines, front, marks, *names = [layer["data"]["values"] for layer in spec["layer"]]
    return SimpleNamespace(lines=lines, front=front, marks=marks, names=names)


@pytest.mark.parametrize(
    "how", [{}, {"alpha": 3}, {"method": "log"}, {"method": "max"}, {"better": "low"}]
)
def test_every_point_of_a_line_has_the_score_that_it_is_named_by(how):
    column = "error" if "better" in how else "accuracy"
    ranking = _ranking(MODELS.assign(error=1 - MODELS["accuracy"]), column, **how)
    (spec,) = charts(ranking)
    costs = MODELS["energy_wh"]
    best = ranking.table["pepr"].max()
    for point in _layers(spec).lines:
        p = 1 - point["performance"] if "better" in how else point["performance"]
        both = normalize([*costs, point["cost"]], method=how.get("method", "minmax"))
        score = p / (1 + both[-1] / how.get("alpha", 1))
        level = best if point["best"] else float(point["level"])
        assert score == pytest.approx(level, abs=1e-4)


def test_the_chart_shows_every_model_the_front_and_the_winner():
    ranking = _ranking()
    (spec,) = charts(ranking, within=ranking.models.numbers["accuracy"] > 0.85)
    layers = _layers(spec)
    assert {m["model"]: m["role"] for m in layers.marks} == {
        "small": "best score", "middle": "best within budget", "large": "Pareto front",
        "other": "over budget",
    }  # fmt: skip
    assert [m["cost"] for m in layers.front] == [10, 20, 50]
    assert {"small", "middle", "large"} <= {n["text"] for n in layers.names[0]}
    assert "Best score: small, 0.8 at 10." in spec["description"]
    assert "front has 3 models, from small (0.8 at 10) to large (0.95 at 50)" in spec["description"]


def test_costs_over_more_than_two_decades_have_a_logarithmic_axis():
    for costs, kind in (([1, 50, 101], "log"), ([1, 50, 99], None), ([0, 50, 101], None)):
        (spec,) = charts(_ranking(MODELS[:3].assign(energy_wh=costs)))
        assert spec["layer"][0]["encoding"]["x"]["scale"].get("type") == kind


def test_many_models_are_thinned_out_but_for_the_front():
    n = 10_001
    table = pd.DataFrame({"model": map(str, range(n)), "acc": [0.5] * n, "wh": range(n, 0, -1)})
    table.loc[7, "acc"] = 0.9
    ranking = _ranking(table, "acc", "wh", each_row=True)
    models = {m["model"] for m in _layers(charts(ranking)[0]).marks}
    assert len(models) <= drawing.MOST_MARKS + 10
    assert {"7", str(n - 1)} <= models


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.floats(0.01, 0.99), st.floats(0.1, 1e5), st.text("abc_", min_size=1, max_size=40)
        ),
        min_size=2, max_size=30,
    ),
    st.sampled_from([drawing.WIDE, drawing.NARROW]),
)  # fmt: skip
def test_names_do_not_overlap(models, width):
    frame = pd.DataFrame(models, columns=["acc", "wh", "name"])
    frame["model"] = frame["name"] + "-" + frame.index.astype(str)
    (spec,) = [
        drawing.chart(
            drawn(r, r.order), performance="acc", cost="wh", alpha=1, colours=drawing.ON_A_PAGE
        )
        for r in [_ranking(frame, "acc", "wh", label="model")]
    ]
    x, y = (spec["layer"][0]["encoding"][axis]["scale"] for axis in "xy")
    of = math.log10 if x.get("type") == "log" else float
    left, right = map(of, x["domain"])
    bottom, top = y["domain"]
    boxes = []
    for name in _layers(spec).names[0 if width == drawing.WIDE else 2]:
        across = (of(name["cost"]) - left) / (right - left) * width + name["dx"]
        down = (top - name["performance"]) / (top - bottom) * drawing.HEIGHT + name["dy"]
        long = 5.5 * len(name["text"])
        across -= {"left": 0, "center": long / 2, "right": long}[name["align"]]
        boxes.append((across, down - 6, across + long, down + 6))
    for i, one in enumerate(boxes):
        for other in boxes[:i]:
            apart = (
                one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
            )
            assert apart, (one, other)
