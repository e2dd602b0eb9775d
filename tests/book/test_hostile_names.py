"""Names of models that hold code: on a page they are text, and what follows them is there."""

import altair as alt
import pandas as pd
import pytest

from paper.chapters import choose
from paper.site import show, show_table
from pepr_utils.results import load_result_set
from tests.unit.test_report import HOSTILE

pytestmark = pytest.mark.book


def test_hostile_names_are_text_on_a_page(driver, tmp_path):
    names = [*HOSTILE, "<img src=x onerror=document.title='run'>", "'\"><b>", "&lt;"]
    frame = pd.DataFrame({"model": names, "acc": 0.5, "wh": range(len(names))})
    table = frame.rename(columns={"acc": "test_accuracy"}).assign(
        dataset=names[0], energy_kwh=frame["wh"] + 1, model=names
    )
    table.rename(columns={"model": "architecture"}).to_csv(tmp_path / "set.csv", index=False)
    results = load_result_set(tmp_path / "set.csv")
    chart = alt.Chart(frame).mark_point().encode(x="wh", y="acc", tooltip="model")
    parts = [
        show(chart, frame, name="chart", alt=names[0]).html(),
        show_table(frame.rename(columns={"acc": names[0]}), name="table").html(),
        choose.fragment([results]),
    ]
    page = tmp_path / "page.html"
    page.write_text(
        "<!DOCTYPE html><meta charset=utf-8><title>still</title>"
        + "".join(f"<section>{part}</section>" for part in parts)
        + "<p id=last>here</p>"
    )
    driver.get(page.as_uri())

    def ask(script):
        return driver.execute_script(f"return {script}")

    assert ask("document.title") == "still"
    assert ask("document.querySelector('body > #last').textContent") == "here"
    assert ask("document.querySelectorAll('body > section').length") == len(parts)
    assert ask("document.querySelectorAll('b, section img:not([src^=\"data:\"])').length") == 0
    assert ask("[...document.querySelectorAll('tbody th')].map(c => c.textContent)") == names
    data = ask("[...document.scripts].map(s => JSON.parse(s.textContent))")
    assert len(data) == 2
    assert {row for rows in data[0]["datasets"].values() for row in rows["model"]} == set(names)
