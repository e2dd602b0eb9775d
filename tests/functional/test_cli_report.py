"""`pepr report` and `--chart`: the files, the ranking beside that of `pepr score`, errors."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

MODELS = """\
model,accuracy,energy_wh,memory_gb
small,0.8,10,2
middle,0.9,20,4
large,0.95,50,12
other,0.6,40,
"""
COLUMNS = ("--performance", "accuracy", "--cost", "energy_wh")


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "models.csv"
    path.write_text(MODELS)
    return path


def _rows(text):
    """Cells of the first table of a Markdown file."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [line.strip("| ").replace("\\", "").split(" | ") for line in lines[2:]]


def test_the_ranking_is_that_of_pepr_score(pepr, table, tmp_path):
    out = tmp_path / "report.md"
    options = (*COLUMNS, "--alpha", "2", "--normalize", "max")
    assert pepr("report", table, *options, "-o", out).code == 0
    scored = json.loads(pepr("score", table, *options, "--json").out)
    assert [(r[0], r[1], r[4]) for r in _rows(out.read_text())] == [
        (str(m["rank"]), m["model"], f"{m['pepr']:.4f}") for m in scored
    ]


def test_the_report_of_the_published_data_has_the_winners_of_pepr_select(pepr, tmp_path):
    out = tmp_path / "report.md"
    budget = ("--max", "energy_kwh=20Wh")
    assert pepr("report", "published", *budget, "--top", "1", "-o", out).code == 0
    text = out.read_text().replace("\\", "")
    chosen = json.loads(pepr("select", "published", *budget, "--json").out)
    best = json.loads(pepr("score", "published", "--json", "--top", "1").out)
    assert len(chosen) == len(best) == 8
    for one, first in zip(chosen, best, strict=True):
        part = text.partition(f"## {one['group']}\n")[2].partition("\n## ")[0]
        assert f"(the highest PePR): **{first['model']}**" in part
        assert f"(energy_kwh at most 0.02): **{one['models'][0]['model']}**" in part
        assert f"{one['n_feasible']} of 131 models meet them" in part
    assert "shared-values" in text


def test_a_table_with_the_dictionarys_columns_is_audited(pepr, tmp_path):
    path, out = tmp_path / "runs.csv", tmp_path / "report.md"
    path.write_text(
        "architecture,dataset,test_accuracy,energy_kwh,train_time_s,device,power_limit_w\n"
        "a,clinic,0.87,17,600,x,300\nb,clinic,0.85,0.01,600,x,300\n"
    )
    assert pepr("report", path, "-o", out).code == 0
    assert "impossible-power" in out.read_text()


def test_where_it_comes_from_can_be_repeated_and_names_no_folder(pepr, table, tmp_path):
    out = tmp_path / "report.md"
    pepr("report", table, *COLUMNS, "-o", out)
    text = out.read_text().replace("\\", "")
    command = re.search(r"To repeat it: (.*)", text)[1]
    assert command == "pepr report models.csv --performance accuracy --cost energy_wh -o report.md"
    assert str(tmp_path) not in text
    first = out.read_text()
    subprocess.run(
        [sys.executable, "-c", "from pepr_utils.cli import main; main()", *command.split()[1:]],
        cwd=tmp_path, check=True, env=os.environ,
    )  # fmt: skip
    assert out.read_text() == first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Missing option '-o'"),
        (("-o", "r.docx"), "ends in '.docx'; allowed: a file that ends in .html, .md, .tex, .pdf"),
        (("-o", "nowhere/report.md"), "no folder 'nowhere'; make it first"),
        (("-o", "report.md", "--max", "price=3"), "unknown budget column of models.csv: 'price'"),
        (("-o", "report.md", "--max", "energy_wh=20kg"), "allowed units of energy"),
        (("-o", "report.md", "--lower", "3"), "--lower has no effect"),
    ],
)  # fmt: skip
def test_wrong_input_is_one_message_and_no_file(pepr, table, monkeypatch, arguments, message):
    monkeypatch.chdir(table.parent)
    done = pepr("report", table, *COLUMNS, *arguments)
    assert done.code == 2
    assert message in done.err
    assert [p.name for p in table.parent.iterdir()] == ["models.csv"]


def test_a_pdf_without_a_browser_says_what_to_install(pepr, table, tmp_path):
    done = pepr("report", table, *COLUMNS, "-o", tmp_path / "r.pdf", PATH=str(tmp_path))
    assert done.code == 2
    assert "apt install chromium" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.slow
def test_a_pdf_is_printed_where_there_is_a_browser(pepr, table, tmp_path):
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        pytest.skip("no Chromium on the PATH")
    out = tmp_path / "report.pdf"
    assert pepr("report", table, *COLUMNS, "-o", out).code == 0
    assert out.read_bytes().startswith(b"%PDF-")


@pytest.mark.slow
def test_a_killed_report_leaves_the_old_file(table, tmp_path):
    out = tmp_path / "report.html"
    out.write_text("old")
    command = [sys.executable, "-c", "from pepr_utils.cli import main; main()"]
    for seconds in (0.5, 1.5, 3.0):
        started = subprocess.Popen([*command, "report", table, *COLUMNS, "-o", out])
        time.sleep(seconds)
        started.send_signal(signal.SIGKILL)
        started.wait()
        assert out.read_text()[:3] == "old" or "</html>" in out.read_text()


@pytest.mark.parametrize("suffix", [".svg", ".png", ".html"])
@pytest.mark.parametrize("command", ["score", "select", "pareto", "compare"])
def test_a_chart_is_written_beside_what_is_printed(pepr, table, tmp_path, command, suffix):
    chart = tmp_path / f"chart{suffix}"
    tables = [table]
    if command == "compare":
        tables.append(tmp_path / "other.csv")
        tables[1].write_text(MODELS.replace("0.95,50", "0.85,25").replace("0.9,20", "0.91,45"))
    plain = pepr(command, *tables, *COLUMNS)
    done = pepr(command, *tables, *COLUMNS, "--chart", chart)
    assert (done.code, done.out) == (0, plain.out)
    content = chart.read_bytes()
    assert {".svg": b"<svg", ".png": b"\x89PNG", ".html": b"<!DOCTYPE html>"}[suffix] in content
    assert b"small" in content or suffix == ".png" or command == "compare"
    assert b'src="http' not in content


def test_a_chart_that_cannot_be_written_is_refused_first(pepr, table):
    done = pepr("score", table, *COLUMNS, "--chart", "chart.gif")
    assert (done.code, done.out) == (2, "")
    assert "allowed: a file that ends in .svg, .png, .html" in done.err
