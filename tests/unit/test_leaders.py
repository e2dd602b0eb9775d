"""The best models of each experiment, by hand and against the authors' table."""

import pytest

from paper.chapters.results import leaders

LABELS = {
    "derma": "derma, from scratch",
    "derma_pt": "derma, pretrained",
    "lidc": "lidc, pretrained",
    "pneumonia": "pneumonia, pretrained",
}


def _by_experiment(table, n):
    """Split a table of leaders into the models by score and the most accurate one."""
    return {
        label: (group["architecture"].iloc[:n].tolist(), group["architecture"].iloc[-1])
        for label, group in table.groupby("experiment", sort=False)
    }


def test_by_hand(small_set):
    """Fine-tuned ward, R = 0, 0.5, 1: at alpha 4 the scores are 0.8, 0.8 and 0.48."""
    table = leaders(small_set, n=2, alpha=1)
    assert _by_experiment(table, 2) == {
        "ward, pretrained": (["small", "large"], "large"),  # 0.8, 0.6
        "clinic, pretrained": (["large", "tiny"], "tiny"),  # 0.7, 0.6
        "ward, from scratch": (["small", "large"], "small"),  # 0.4, 0.2
    }
    assert table["rank"].tolist() == ["1", "2", "most accurate"] * 3
    first = table.iloc[0]
    assert (first["energy (Wh)"], first["memory (GB)"], first["test accuracy"]) == (1000, 5, 0.8)
    assert table["PePR-E"].iloc[:3].tolist() == pytest.approx([0.8, 0.6, 0.6])
    clinic = leaders(small_set, n=2, alpha=4).iloc[3:6]
    assert clinic["architecture"].tolist() == ["tiny", "large", "tiny"]
    assert clinic["PePR-E"].tolist() == pytest.approx([0.8, 0.7, 0.8])


def test_the_rule_and_the_cost_are_used(small_set):
    by_max = leaders(small_set, n=3, method="max")
    assert by_max["PePR-E"].iloc[:3].tolist() == pytest.approx([0.8 / 1.2, 0.9 / 1.6, 0.3])
    by_memory = leaders(small_set, n=3, cost="M")
    assert by_memory["architecture"].iloc[:3].tolist() == ["large", "small", "tiny"]
    assert by_memory["PePR-M"].iloc[:3].tolist() == pytest.approx([0.9, 0.4, 0.4])


@pytest.mark.parametrize("alpha", [1.0, 4.0])
def test_the_published_set(published, raw, alpha):
    found = _by_experiment(leaders(published, alpha=alpha), 5)
    expected = {}
    for dataset, label in LABELS.items():
        rows = raw[raw["dataset"] == dataset].set_index("model")
        score = alpha * rows["test_09"] / (alpha + rows["R"])
        expected[label] = (score.nlargest(5).index.tolist(), rows["test_09"].idxmax())
    assert found == expected
