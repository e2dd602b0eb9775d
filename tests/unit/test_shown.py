"""What `show` and `show_table` put on a page."""

import base64
import json
import re

import altair as alt
import pandas as pd
import pytest

from paper.site import show, show_table
from pepr_utils.errors import PeprError

FRAME = pd.DataFrame({"model": ["a</script>", "b"], "cost": [0.1, 0.9], "score": [0.8, 0.5]})


def _chart():
    return alt.Chart(FRAME).mark_point().encode(x="cost:Q", y="score:Q", tooltip="model:N")


def _spec(html):
    found = re.findall(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    assert len(found) == 1
    return json.loads(found[0])


def test_a_chart_is_shown_live_as_picture_and_in_words():
    bundle = show(_chart(), FRAME, name="cost", alt='A "falling" line.')._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"}
    assert bundle["text/plain"] == 'A "falling" line.'
    assert 'alt="A &quot;falling&quot; line."' in bundle["text/html"]
    picture = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', bundle["text/html"])[1]
    assert b"<svg" in base64.b64decode(picture)


def test_the_specification_survives_the_page_and_carries_its_data():
    spec = _spec(show(_chart(), FRAME, name="cost", alt="Words.").html())
    assert spec["description"] == "Words."
    assert spec["width"] == "container"
    (rows,) = spec["datasets"].values()
    assert rows == {"model": ["a</script>", "b"], "cost": [0.1, 0.9], "score": [0.8, 0.5]}


def test_a_width_of_ones_own_stays_and_so_does_ones_own_configuration():
    chart = _chart().properties(width=200).configure_axis(titleFontSize=20)
    spec = show(chart, FRAME, name="cost", alt="Words.").spec
    assert spec["width"] == 200
    assert spec["config"]["axis"]["titleFontSize"] == 20
    assert spec["config"]["axis"]["labelFontSize"] == 12


def test_a_chart_of_many_marks_has_a_light_picture():
    frame = pd.DataFrame({"x": range(2000)})
    chart = alt.Chart(frame).mark_point().encode(x="x:Q", y="x:Q")
    kind, content = show(chart, frame, name="many", alt="Points.").picture()
    assert kind == "image/png"
    assert content.startswith(b"\x89PNG")


def test_more_rows_than_altair_likes():
    frame = pd.DataFrame({"x": range(6000)})
    shown = show(alt.Chart(frame).mark_tick().encode(x="x:Q"), frame, name="many", alt="Ticks.")
    assert len(next(iter(shown.spec["datasets"].values()))) == 6000


@pytest.mark.parametrize(
    ("html", "rows"),
    [
        (show(_chart(), FRAME, name="a-b", alt="Words.").links, 2),
        (show_table(FRAME.set_index("model"), name="a-b").html(), 2),
    ],
)
def test_the_data_is_in_the_link(html, rows):
    found = re.search(r'download="a-b.csv" href="data:text/csv;base64,([^"]+)"', html)
    lines = base64.b64decode(found[1]).decode().splitlines()
    assert lines[0] == "model,cost,score"
    assert len(lines) == rows + 1


@pytest.mark.parametrize("name", ["", "Cost", "a b", "../a", "-a"])
def test_a_name_must_serve_as_a_file_name(name):
    with pytest.raises(PeprError, match="allowed: lower-case letters"):
        show(_chart(), FRAME, name=name, alt="Words.")


def test_a_chart_without_words_is_refused():
    with pytest.raises(PeprError, match="'cost' has no alternative text"):
        show(_chart(), FRAME, name="cost", alt=" ")


def test_a_table_escapes_formats_links_and_marks():
    frame = FRAME.assign(runs=[1, 2], page=["https://example.org/a", None])
    marks = pd.DataFrame({"cost": ["differs", None]})
    formats = {"cost": ".2f", "score": lambda v: f"{v:.0%}"}
    html = show_table(frame, name="t", formats=formats, marks=marks, links={"model": "page"}).table
    row = '<th scope="row"><a href="https://example.org/a">a&lt;/script&gt;</a></th>'
    assert row in html
    assert '<td class="num pepr-differs" title="differs">0.10</td>' in html
    assert '<td class="num">80%</td>' in html
    assert '<th scope="col">model</th>' in html
    assert "page" not in re.sub(r"<a [^>]*>", "", html)


def test_a_table_with_headings_over_groups_of_rows_and_one_format():
    frame = pd.DataFrame(
        {"set": ["derma", "derma", "lidc"], "model": ["a", "b", "a"], "score": [0.25, None, 1.0]}
    )
    html = show_table(frame, name="t", formats=".1f", group="set").table
    assert html.count('<tr><th scope="rowgroup" colspan="2">derma</th></tr>') == 1
    assert html.count('scope="rowgroup"') == 2
    assert '<th scope="row">a</th><td class="num">0.2</td>' in html
    assert '<td class="num">–</td>' in html
    assert "<td>derma</td>" not in html


def test_long_texts_may_wrap():
    frame = pd.DataFrame(
        {"name": ["x"], "meaning": ["a text that is longer than the limit of one line"]}
    )
    assert '<td class="long">a text' in show_table(frame, name="t").table


def test_a_table_to_filter_names_the_places_of_its_columns():
    frame = pd.DataFrame({"model": ["a"], "page": ["x.html"], "kind": ["b"], "size": ["c"]})
    shown = show_table(frame, name="t", links={"model": "page"}, filters=["size", "kind"])
    assert 'data-filters="2 1"' in shown.html()
    assert "data-filters" not in show_table(frame, name="t").html()
