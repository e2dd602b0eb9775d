"""The chapter on speed: figures of another run of the benchmarks, by hand."""

import pytest

from paper.chapters import speed as page


def case(architecture, plain, bare, protocol="fast-2"):
    return {
        "architecture": architecture, "protocol": protocol, "channels": 1, "image_size": 32,
        "plain_over_ours": plain, "timm_over_ours": 1.0, "bare_over_ours": bare,
    }  # fmt: skip


def test_ratios_are_summarised_by_protocol_and_rival():
    training = page.rows({"training": {"rows": [case("a", 1.0, 0.9), case("b", 2.0, 1.0),
                                                case("c", 1.6, 0.8)]}}, "training")  # fmt: skip
    found = page.summary(training).set_index("rival")
    assert found.loc["plain loop", ["median", "lowest", "highest", "cases"]].tolist() == [
        1.6, 1.0, 2.0, 3,
    ]  # fmt: skip
    assert found.loc["bare step", "median"] == pytest.approx(0.9)


def test_every_earlier_figure_has_one_of_today():
    table = page.before_and_now(page.figures())
    assert len(table) == 10
    assert table["now"].notna().all()
    assert (table["now / before"] * table["before"]).tolist() == pytest.approx(list(table["now"]))


def test_shown_columns_have_plain_headings_and_their_formats():
    frame, formats = page.shown(page.figures(), "scoring", rows=",", type="", s=".3f")
    assert list(frame) == ["rows", "type", "ours (s)"]
    assert formats == {"rows": ",", "ours (s)": ".3f"}
