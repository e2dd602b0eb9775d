"""The page to choose a model, in a browser: its numbers are `pepr_utils`', its view an address."""

import io
import random
import time
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import pytest

from paper.chapters import choose
from pepr_utils.results import load_result_set
from pepr_utils.results.groups import by_architecture
from pepr_utils.scoring import normalize, pareto_front, pepr, score_intervals, select

pytestmark = [pytest.mark.book, pytest.mark.slow]

PAGE = "notebooks/choose"
COSTS = {
    "energy": ("energy_kwh", 1e3),
    "memory": ("reserved_memory_gb", 1.0),
    "time": ("released_train_time_s", 1.0),
    "emissions": ("co2eq_g", 1.0),
}
RULES = ["minmax", "max", "quantile", "log"]
OWN = """model;accuracy;wh;gb;note
small;0.80;1.5;0;a
middle;0.86;4;2.5;"b; c"
large;0.87;30;8;
unknown;;3;1;
tie;0.80;1.5;1;
"""


@pytest.fixture
def page(visit):
    """The page as it opens."""
    page = visit("file", PAGE, query="#alpha=1")
    page.driver.refresh()
    wait(page, "window.peprChoose && document.querySelector('.pepr-live svg')")
    return page


def wait(page, condition, seconds=10):
    """Wait until a condition holds on the page."""
    end = time.monotonic() + seconds
    while not page.ask(condition):
        assert time.monotonic() < end, condition
        time.sleep(0.05)


def rows(page):
    """The table of the page, from the CSV that it offers."""
    return pd.read_csv(io.StringIO(page.ask("peprChoose.csv()")))


def go(page, **state):
    """Open a view by its address, and return its table."""
    script = """const done = arguments[1];
        addEventListener("hashchange", () => done(peprChoose.csv()), {once: true});
        location.hash = arguments[0];"""
    text = page.driver.execute_async_script(
        script, urlencode(state, doseq=True) + "&x=" + str(time.time())
    )
    return pd.read_csv(io.StringIO(text))


def agree(found, expected):
    """Hold the page's table against a ranking of `pepr_utils`, to 1e-9."""
    ranked = found[found["within_budget"]].reset_index(drop=True)
    assert list(ranked["model"]) == list(expected["model"])
    assert list(ranked["rank"]) == list(range(1, len(ranked) + 1))
    for ours, theirs in (
        ("score", "pepr"),
        ("resource", "resource"),
        ("performance", "performance"),
    ):
        assert np.abs(ranked[ours] - expected[theirs].to_numpy()).max() < 1e-9, ours
    assert list(ranked["pareto"]) == list(expected["pareto"])


@pytest.mark.parametrize("name", ["published", "published-repaired"])
def test_random_views_of_one_experiment_agree_with_select(page, name):
    results, rng = load_result_set(name), random.Random(name)
    ids = {
        e["id"]: key
        for e, key in zip(choose.embedded(results)["experiments"], results.experiments, strict=True)
    }
    for _ in range(12):
        data, method, alpha = (
            rng.choice(list(ids)),
            rng.choice(RULES),
            round(10 ** rng.uniform(0, 3), 3),
        )
        runs = results.finished.query("experiment == @ids[@data]")
        runs = runs.sort_values("n_parameters", kind="stable")
        costs = rng.sample(list(COSTS), rng.choice([1, 1, 2, 3, 4]))
        shares = [rng.randint(1, 100) / 100 for _ in costs]
        weights = {COSTS[c][0]: s / sum(shares) for c, s in zip(costs, shares, strict=True)}
        limit = rng.choice(list(COSTS))
        column, factor = COSTS[limit]
        most = float(f"{runs[column].astype(float).quantile(rng.uniform(0.3, 1)) * factor:.4g}")
        state = {"set": name, "data": data, "rule": method, "alpha": alpha, f"max-{limit}": most}
        if len(costs) > 1:
            state |= {"cost": "several"} | {f"weight-{c}": 0 for c in COSTS}
            state |= {f"weight-{c}": s for c, s in zip(costs, shares, strict=True)}
        else:
            state["cost"] = costs[0]
        expected = select(
            runs,
            cost=weights,
            maximum={column: most / factor * (1 + 1e-12)},
            alpha=alpha,
            method=method,
        ).ranking
        if len(costs) > 1:  # the page's axis is the joint resource
            everyone = select(runs, cost=weights, alpha=alpha, method=method).ranking
            front = pareto_front(everyone["test_accuracy"], everyone["resource"])
            expected["pareto"] = front[expected.index]
        agree(
            go(page, **state),
            expected.rename(columns={"architecture": "model", "test_accuracy": "performance"}),
        )


def test_the_mean_of_experiments_is_that_of_the_papers_figures(page, published):
    for method, alpha, cost, letter in (("minmax", 1, "energy", "E"), ("log", 37.5, "memory", "M")):
        frame = by_architecture(published, alpha=alpha, method=method, cost=letter)
        frame["resource"] = frame.filter(like="R: ").mean(axis=1)
        frame["pareto"] = pareto_front(frame["test_accuracy"], frame["resource"])
        frame = frame.sort_values("pepr", ascending=False, kind="stable")
        agree(
            go(page, data="mean", rule=method, alpha=alpha, cost=cost),
            frame.rename(columns={"architecture": "model", "test_accuracy": "performance"}),
        )


def test_bounds_of_ones_own_clip(page, published):
    runs = published.finished
    runs = runs[runs["experiment"].str.startswith("lidc/pretrained/1/")].sort_values(
        "n_parameters", kind="stable"
    )
    wh = runs["energy_kwh"] * 1e3
    found = go(page, data="lidc-pretrained-100", rule="fixed", lower=10, upper=50, alpha=2)
    score = pepr(
        runs["test_accuracy"],
        normalize(wh, method="fixed", lower=10, upper=50, outside="clip"),
        alpha=2,
    )
    expected = dict(zip(runs["architecture"], score, strict=True))
    assert np.abs(found["score"] - found["model"].map(expected)).max() < 1e-9


def test_how_firm_a_lead_is_agrees_with_the_intervals(page, published):
    found = go(page, data="pneumonia-pretrained-100").set_index("model")
    runs = published.finished
    runs = runs[runs["experiment"].str.startswith("pneumonia/pretrained/1/")].set_index(
        "architecture"
    )
    expected = score_intervals(runs["test_accuracy"], runs["energy_kwh"], n_test=608)["leads"]
    assert (found["share_leads"] - expected).abs().max() < 0.07
    found = go(page, data="mean").set_index("model")
    view = choose.default_view(published).set_index("architecture")
    assert (found["share_on_front"] - view["stays"]).abs().max() < 0.07


def upload(page, tmp_path, text, name="mine.csv"):
    """Choose a file for the table of one's own."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    page.driver.execute_script("document.getElementById('choose-own').open = true")
    page.driver.find_element("id", "choose-file").send_keys(str(tmp_path / name))
    said = "document.getElementById('choose-error').textContent"
    wait(page, f"{said} || document.getElementById('choose-name')")
    return page.ask("document.getElementById('choose-error').textContent")


def test_a_table_of_ones_own_is_ranked_by_the_same_rules(page, tmp_path):
    assert upload(page, tmp_path, OWN) == ""
    table = pd.read_csv(io.StringIO(OWN), sep=";")
    for cost, method, alpha in (("wh", "minmax", 1), ("wh", "log", 40), ("gb", "max", 2.5)):
        expected = select(
            table, performance="accuracy", cost=cost, method=method, alpha=alpha
        ).ranking
        found = go(page, set="own", cost={"wh": "c1", "gb": "c2"}[cost], rule=method, alpha=alpha)
        agree(found, expected.rename(columns={"accuracy": "performance"}))
    assert page.foreign == []


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("0.86", "86", ["Row 2", "middle", "accuracy", '"86"', "0 to 1", "divide"]),
        ("0.86", "good", ["Row 2", "accuracy", '"good"', "not a number"]),
        (";30;", ";-30;", ["Row 3", "large", "wh", '"-30"', "0 or more"]),
        (";2.5;", ";2;5;", ["Row 2", "more cells", "point"]),
        ("0.86", "0,86", ["Row 2", "accuracy", '"0,86"', "decimal point"]),
        (";gb;", ";wh;", ["Two columns", "wh", "Rename"]),
    ],
)
def test_a_fault_in_a_table_of_ones_own_is_named(page, tmp_path, old, new, named):
    message = upload(page, tmp_path, OWN.replace(old, new))
    if not message:  # a column that is not all numbers has to be chosen first
        page.ask("""(menu => { menu.value = "accuracy"; menu.dispatchEvent(new Event("change")); })(
            document.getElementById("choose-performance"))""")
        message = page.ask("document.getElementById('choose-error').textContent")
    for part in named:
        assert part in message


def test_the_logarithm_of_a_cost_of_zero_says_so(page, tmp_path):
    upload(page, tmp_path, OWN)
    go(page, set="own", cost="c2", rule="log")
    assert "gb is 0" in page.ask("document.getElementById('choose-answer').textContent")


def busy(page):
    """CPU seconds that the page has spent on scripts, styles and layout."""
    found = page.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    parts = ("ScriptDuration", "RecalcStyleDuration", "LayoutDuration")
    return sum(metric["value"] for metric in found if metric["name"] in parts)


def test_a_slider_is_answered_at_once_and_by_keyboard(page):
    """Within 50 ms of the processor's time on the machine that it was written on; here, in 100."""
    page.driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    for slider in ("choose-alpha", "choose-max-energy"):
        before = busy(page)
        page.driver.execute_script(
            """const slider = document.getElementById(arguments[0]);
            for (let k = 0; k < 15; k++) {
                slider.value = 20 * k + 7;
                slider.dispatchEvent(new Event("input"));
                document.body.offsetHeight;
            }""",
            slider,
        )
        assert (busy(page) - before) / 15 < 0.1, slider
    before = rows(page)["score"].iloc[0]
    page.driver.find_element("id", "choose-alpha").send_keys("\ue012" * 30)  # left
    assert rows(page)["score"].iloc[0] < before


def test_a_view_is_its_address(page):
    set_to = """(([id, value]) => {{ const e = document.getElementById(id); e.value = value;
        e.dispatchEvent(new Event("input")); e.dispatchEvent(new Event("change")); }})({})"""
    for step in (
        ["choose-view", "pneumonia-pretrained-100"],
        ["choose-rule", "log"],
        ["choose-alpha", 120],
        ["choose-max-energy", 90],
        ["choose-search", "net"],
    ):
        page.ask(set_to.format(step))
    page.driver.execute_script("document.querySelector('.pepr-choose-table tbody input').click()")
    seen = page.ask(
        "[peprChoose.csv(), document.getElementById('choose-answer').textContent, "
        "document.getElementById('choose-compare').textContent]"
    )
    wait(page, "location.hash.includes('compare')")
    page.driver.refresh()
    wait(page, "window.peprChoose")
    assert seen == page.ask(
        "[peprChoose.csv(), document.getElementById('choose-answer').textContent, "
        "document.getElementById('choose-compare').textContent]"
    )
    assert "log" in page.ask("location.hash")


def test_both_winners_are_seen_where_they_are_one_model(page):
    go(page, data="pneumonia-pretrained-100", **{"max-energy": 10})
    rings = page.ask(
        """[...[...document.querySelectorAll(".pepr-live .mark-symbol.role-mark")].at(-1)
        .querySelectorAll("path")].map(p => [p.getAttribute("transform"), p.getBBox().width])"""
    )
    (place, width), (other_place, other_width) = rings
    assert place == other_place
    assert abs(width - other_width) > 5


def test_a_budget_that_no_model_meets_is_named(page):
    go(page, data="pneumonia-pretrained-100", **{"max-energy": 0.5})
    said = page.ask("document.getElementById('choose-answer').textContent")
    assert "energy of at most 0.500\u00a0Wh is met by 0 of 131 (smallest:" in said


def test_without_scripts_the_ten_best_stand_in_the_page(site, published):
    text = (site / f"{PAGE}.html").read_text("utf-8")
    for model in choose.default_view(published)["architecture"].head(10):
        assert f'<th scope="row">{model}</th>' in text
    assert len(text) < 300_000
    assert "choose.js" not in (site / "notebooks" / "pareto.html").read_text("utf-8")
