"""Collect what has to stay identical while the code is rearranged.

`python tests/frozen/collect.py` writes it down, after `make paper`; `test_frozen.py` compares.
A commit that changes a value here says which, and why it was wrong before.
"""

import contextlib
import hashlib
import json
import re
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent
CHAPTERS = ROOT / "_build" / "chapters" / "notebooks"

#: Glued values that are measured when the site is built, or name the machine that built it.
MEASURED = {
    "fine_tune": {
        "device",
        "n-above-majority",
        "best-pepr-model",
        "best-pepr",
        "most-accurate-model",
        "best-accuracy",
        "total-energy",
        "total-time",
        "energy-method",
    },
    "metering": {"methods", "power-low", "power-high", "power-spread", "usable-methods"},
}
#: Pages of figures that `make bench` takes anew.
TIMED = {"speed"}

#: Commands of the README on its own example tables, and on the published data.
COMMANDS = [
    "score models.csv --performance accuracy --cost energy_wh",
    "select models.csv --performance accuracy --cost energy_wh --max memory_gb=8 "
    "--max energy_wh=20Wh --objective performance",
    "pareto models.csv --performance accuracy --cost energy_wh",
    "score mine.csv",
    "audit mine.csv",
    "data show published",
    "data show published-repaired",
    "select published --max energy_kwh=20Wh",
    "audit published",
    "claims --notes",
]


def glued(chapters: Path = CHAPTERS) -> dict[str, dict[str, str]]:
    """Return each page's glued values, less those that are measured anew."""
    found = {}
    for path in sorted(p for p in chapters.glob("*.ipynb") if p.stem not in TIMED):
        cells = json.loads(path.read_text("utf-8"))["cells"]
        outputs = [output for cell in cells for output in cell.get("outputs", ())]
        marks = [(o["metadata"].get("scrapbook"), o) for o in outputs if "metadata" in o]
        values = {
            mark["name"]: "".join(output["data"]["application/papermill.record/text/plain"])
            for mark, output in marks
            if mark and "application/papermill.record/text/plain" in output["data"]
        }
        left = MEASURED.get(path.stem, set())
        found[path.stem] = {k: "measured" if k in left else v for k, v in values.items()}
    return found


def pepr(arguments: str, folder: Path) -> str:
    """Run a `pepr` command in a folder; return exit code and what it printed."""
    from click.testing import CliRunner

    from pepr_utils.cli import pepr as command

    with contextlib.chdir(folder):
        done = CliRunner().invoke(command, arguments.split())
    return f"exit code {done.exit_code}\n{done.stdout}{done.stderr}"


def example_tables(folder: Path) -> Path:
    """Write the README's two tables, for its commands."""
    readme = (ROOT / "README.md").read_text("utf-8")
    for name in ("models.csv", "mine.csv"):
        table = re.search(rf"results/{name} <<END\n(.*?)END\n", readme, re.DOTALL)
        (folder / name).write_text(table[1])
    return folder


def commands() -> dict[str, str]:
    """Return what the README's commands print."""
    with tempfile.TemporaryDirectory() as folder:
        example_tables(Path(folder))
        return {command: pepr(command, Path(folder)) for command in COMMANDS}


def tables() -> dict[str, list]:
    """Return claims and audit of the published data, as `--json` prints them."""
    found = {}
    for command in ("claims", "audit"):
        with tempfile.TemporaryDirectory() as folder:
            text = pepr(f"{command} published --json", Path(folder))
        found[command] = shortened(json.loads(text.partition("\n")[2]))
    return found


def shortened(entries: list[dict]) -> list[dict]:
    """Keep the rows of long findings by their hash alone."""
    return [
        {
            key: hashlib.sha256(json.dumps(value).encode()).hexdigest() if key == "rows" else value
            for key, value in entry.items()
        }
        for entry in entries
    ]


def columns() -> dict[str, list[str]]:
    """Return the columns of a record and of both tables, in their order."""
    from pepr_utils.results import data_dictionary
    from pepr_utils.results.schema import Record

    dictionary = data_dictionary()
    tables = {name: list(part["column"]) for name, part in dictionary.groupby("table")}
    return {"record": list(Record.model_fields), **tables}


def run_ids() -> list[dict]:
    """Return twenty known runs with their names."""
    from pepr_utils.measurement import Run, run_id

    models = ["dla46_c", "resnet18d", "vit_tiny_patch16_224"]
    runs = [
        Run(name, "phantom", protocol=protocol, pretrained=pretrained)
        for name in models
        for protocol in ("demo", "fast", "paper")
        for pretrained in (False, True)
    ]
    runs += [Run("resnet18d", "phantom", seed=7), Run("resnet18d", "phantom", train_fraction=0.1)]
    return [
        {
            "architecture": run.architecture,
            "protocol": run.protocol,
            "pretrained": run.pretrained,
            "train_fraction": run.train_fraction,
            "seed": run.seed,
            "run_id": run_id(run),
        }
        for run in runs
    ]


def write() -> None:
    """Write all of it down, in this file's folder."""
    parts = {"glued": glued(), "commands": commands(), "columns": columns(), "run_ids": run_ids()}
    for name, value in (parts | tables()).items():
        text = json.dumps(value, indent=1, ensure_ascii=False)
        (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
