"""Figures 1 and 4b: regions added up by hand, and both joins with ImageNet-1k on planted names."""

import csv

import pandas as pd
import pytest

from paper.chapters import access, imagenet
from paper.figures import access as access_figure
from paper.figures import imagenet as imagenet_figure
from pepr_utils.errors import NotAvailableError, UnknownNameError
from pepr_utils.results import load_result_set


@pytest.fixture
def table():
    rows = [
        ("a", "North", 2013, 10, 1_000_000),
        ("b", "North", 2013, 20, 2_000_000),
        ("c", "South", 2013, 1, 4_000_000),
        ("a", "North", 2022, 30, 1_000_000),
        ("c", "South", 2022, 2, 4_000_000),
        ("d", "South", 2022, 2, 1_000_000),
    ]
    columns = ["country", "region", "year", "publications", "population"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.assign(per_million=1e6 * frame["publications"] / frame["population"])


def test_a_region_is_all_publications_over_all_inhabitants(table):
    frame = access.data(table).set_index(["region", "year"])
    assert frame.loc[("North", 2013), "per_million"] == pytest.approx(10.0)
    assert frame.loc[("South", 2022), ["countries", "per_million"]].tolist() == [2, 0.8]
    only = access.in_one_year(table)
    assert only[["year", "country"]].to_numpy().tolist() == [[2013, "b"], [2022, "d"]]
    assert access.steepest(table, 2)["country"].tolist() == ["a", "d"]
    words = access_figure.describe(frame.reset_index())
    assert "North 10 and 30; South 0.25 and 0.8." in words
    assert access_figure.chart(frame.reset_index()).to_dict(validate=True)


def test_the_regions_of_the_release(released):
    """Read again with the standard library alone."""
    table = access.countries()
    lines = released["regions_papers_data_2023.csv"].decode().splitlines()
    rows = [r for r in csv.DictReader(lines) if r["Region_updated"] == "Western Europe"]
    expected = 1e6 * sum(int(r["num_papers"]) for r in rows) / sum(int(r["pop"]) for r in rows)
    frame = access.data(table)
    found = frame[(frame["region"] == "Western Europe") & (frame["year"] == 2022)]
    assert found["per_million"].iloc[0] == pytest.approx(expected)
    assert round(access.without(table, "Northern Europe", "Norway", 2022)) == 684
    both = access.neighbours(table).set_index("country")
    assert both.loc["Norway"].tolist() == [52_141, 49_551]
    assert both["population, 2022"].isna()["Micronesia"]
    assert len(both) == len(access.NEIGHBOURS)
    with pytest.raises(UnknownNameError, match="unknown release 'demo'; allowed: published"):
        access.countries("demo")


@pytest.fixture
def planted(monkeypatch):
    """Names as timm has them, best first; `small` and `tiny` are models of the small set."""
    rows = [
        ("xsmall_v2.in1k", 224, 90.0),
        ("small.other", 256, 85.0),
        ("large.pinned", 384, 84.0),
        ("large.pinned", 288, 83.0),
        ("large.pinned", 192, 80.0),
    ]
    frame = pd.DataFrame(rows, columns=["weights", "image_size", "top1_percent"])
    monkeypatch.setattr(imagenet, "validation", lambda: frame)


@pytest.fixture
def with_weights(small_set):
    from dataclasses import replace

    runs = small_set.runs
    tags = runs["architecture"].map({"small": "small.other", "large": "large.pinned"})
    return replace(small_set, runs=runs.assign(weights=tags.astype("string")))


def test_a_join_by_weights_takes_the_size_nearest_256(planted, with_weights):
    """Reserved memory on ward, fine-tuned: 5, 1, 3 for small, large, tiny, so R = 1, 0, 0.5."""
    frame = imagenet.data(with_weights).set_index("architecture")
    assert frame["resource"].to_dict() == {"small": 1.0, "large": 0.0, "tiny": 0.5}
    assert frame.loc["large", ["matched", "image_size", "top1"]].tolist() == [
        "large.pinned", 288, 0.83
    ]  # fmt: skip
    assert frame.loc["small", "pepr"] == pytest.approx(0.85 / 2)
    assert frame.loc["tiny", "match"] == "none"
    assert pd.isna(frame.loc["tiny", "pepr"])
    alpha = imagenet.data(with_weights, alpha=4.0).set_index("architecture")
    assert alpha.loc["small", "pepr"] == pytest.approx(4 * 0.85 / 5)


def test_the_released_join_takes_the_first_name_that_contains(planted, with_weights):
    frame = imagenet.data(with_weights, join="released").set_index("architecture")
    assert frame["matched"].fillna("").to_dict() == {
        "tiny": "", "small": "xsmall_v2.in1k", "large": "large.pinned"
    }  # fmt: skip
    assert frame["match"].to_dict() == {
        "tiny": "none", "small": "another model", "large": "same weights"
    }  # fmt: skip
    listed = imagenet.mismatches(with_weights)
    assert listed["architecture"].tolist() == ["small", "tiny"]
    assert listed.loc[0, ["top-1, joined", "top-1"]].tolist() == [0.9, 0.85]
    numbers = imagenet.numbers(with_weights, imagenet.data(with_weights))
    assert (numbers["imagenet-n"], numbers["imagenet-n-other-model"]) == ("2", "1")
    assert numbers["imagenet-p-top1"] == "n/a"
    with pytest.raises(UnknownNameError, match="unknown join 'name'; allowed: weights, released"):
        imagenet.data(with_weights, join="name")


def test_the_published_join(published):
    frame = imagenet.data(published).set_index("architecture")
    assert (frame["match"] == "same weights").all()
    assert frame.loc["resnet18d", "matched"] == "resnet18d.ra2_in1k"
    assert frame["top1"].between(0.6, 0.9).all()
    memory = published.runs.query("dataset == 'derma' and pretrained and train_fraction == 1")
    low, high = memory["reserved_memory_gb"].min(), memory["reserved_memory_gb"].max()
    row = memory[memory["architecture"] == "vgg13"].iloc[0]
    resource = (row["reserved_memory_gb"] - low) / (high - low)
    assert frame.loc["vgg13", "pepr"] == pytest.approx(frame.loc["vgg13", "top1"] / (1 + resource))
    listed = imagenet.mismatches(published).set_index("architecture")
    assert listed.loc["resnet152d", "joined"] == "seresnet152d.ra2_in1k"
    assert (listed["match"] == "none").sum() == sum(
        n.startswith(("gluon_", "adv_")) for n in frame.index
    )
    chart = imagenet_figure.chart(frame.reset_index(), "pepr", "PePR-M").to_dict(validate=True)
    shown = [t["field"] for t in chart["layer"][-1]["encoding"]["tooltip"]]
    assert {"architecture", "top1", "reserved_memory_gb", "pepr"} <= set(shown)
    assert "Scatter plot of 131 models" in imagenet_figure.describe(
        frame.reset_index(), "top1", "Top-1"
    )


def test_a_set_without_memory_has_no_figure(tmp_path, planted):
    path = tmp_path / "mine.csv"
    path.write_text("architecture,dataset,test_accuracy,energy_kwh\na,w,0.8,1\nb,w,0.7,2\n")
    mine = load_result_set(path)
    frame = imagenet.data(mine)
    assert frame.empty
    assert "no fine-tuned runs" in imagenet_figure.describe(frame, "pepr", "PePR-M")
    assert imagenet_figure.chart(frame, "pepr", "PePR-M").to_dict()["mark"]["type"] == "text"
    assert imagenet.mismatches(mine).empty
    with pytest.raises(NotAvailableError, match="reserved memory"):
        imagenet.memory_runs(mine)
