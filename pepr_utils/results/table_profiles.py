"""Columns under another name or unit: other tools' files, units in names, and percentages."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import pandas as pd

from pepr_utils.errors import InvalidTableError
from pepr_utils.results.tables import columns
from pepr_utils.results.units import UNITS, same_quantity, unit_of


@dataclass(frozen=True)
class Alias:
    """Where the values of a column come from: another column, times a factor.

    Attributes
    ----------
    source : str
        The column in the file.
    factor : fractions.Fraction
        What its values are multiplied by.
    said : str
        What is said about it.
    """

    source: str
    factor: Fraction
    said: str


@dataclass(frozen=True)
class Profile:
    """Another tool's file: how it is recognised, and what its columns are, by its documentation.

    Attributes
    ----------
    name : str
        Of the tool.
    needs : tuple of str
        Columns that all its files have.
    aliases : dict
        Our column -> theirs and the factor between them.
    prefixes : tuple of str
        What may be left out before a column's name.
    """

    name: str
    needs: tuple[str, ...]
    aliases: dict[str, tuple[str, Fraction]]
    prefixes: tuple[str, ...] = ()


ONE, PERCENT = Fraction(1), Fraction(1, 100)
PROFILES = (
    # codecarbon/output_methods/emissions_data.py and the page "Output": kWh, kg of CO2eq, seconds.
    Profile(
        "CodeCarbon's emissions.csv",
        ("project_name", "duration", "emissions", "energy_consumed"),
        {
            "energy_kwh": ("energy_consumed", ONE),
            "co2eq_g": ("emissions", Fraction(1000)),
            "duration_s": ("duration", ONE),
            "model": ("project_name", ONE),
        },
    ),
    # timm, results/README.md: top1 and top5 in percent, param_count in millions.
    Profile(
        "timm's results",
        ("model", "top1", "top1_err", "top5", "param_count"),
        {
            "accuracy": ("top1", PERCENT),
            "top5_accuracy": ("top5", PERCENT),
            "n_parameters": ("param_count", Fraction(10**6)),
        },
    ),
    # timm, benchmark.py: step times in ms for a batch, param_count in millions.
    Profile(
        "timm's training benchmark",
        ("model", "train_samples_per_sec", "train_step_time", "train_batch_size"),
        {"n_parameters": ("param_count", Fraction(10**6))},
    ),
    Profile(
        "timm's inference benchmark",
        ("model", "infer_samples_per_sec", "infer_step_time", "infer_batch_size"),
        {"n_parameters": ("param_count", Fraction(10**6))},
    ),
    # MLCommons' converter of MLPerf Tiny's logs, cm-result.json: uJ per inference. The unit of an
    # accuracy there differs from row to row (% or AUC), so that it is not taken.
    Profile(
        "MLPerf Tiny's summary",
        ("Benchmark", "Division", "Organization", "median_throughput"),
        {
            "energy_per_inference_j": ("median_energy_cost", Fraction(1, 10**6)),
            "model": ("__System", ONE),
        },
    ),
    # mlflow.search_runs and `mlflow experiments csv`: metrics.*, params.*, tags.*.
    Profile(
        "MLflow's runs",
        ("run_id", "experiment_id", "status", "artifact_uri"),
        {"model": ("tags.mlflow.runName", ONE)},
        ("metrics.", "params.", "tags."),
    ),
    # The CSV that MLflow's page of an experiment downloads: metrics and params by their own names.
    Profile(
        "MLflow's runs",
        ("Start Time", "Duration", "Run ID", "Name", "Source Type", "Status"),
        {"model": ("Name", ONE)},
    ),
    # The runs table of Weights & Biases, exported as CSV; Runtime is in seconds.
    Profile(
        "Weights & Biases' runs",
        ("Name", "State", "Runtime", "Created"),
        {"model": ("Name", ONE), "duration_s": ("Runtime", ONE)},
    ),
)
#: Short names of quantities, as people write them before a unit, and the column that they are.
_QUANTITIES = {
    "energy": "energy_kwh",
    "memory": "peak_memory_gb",
    "time": "train_time_s",
    "training_time": "train_time_s",
    "co2": "co2eq_g",
    "co2eq": "co2eq_g",
    "co2e": "co2eq_g",
    "emissions": "co2eq_g",
}


def says_percent(column: str) -> bool:
    """Whether a column's name says that its values are percentages.

    Examples
    --------
    >>> says_percent("acc_%"), says_percent("accuracy (pct)"), says_percent("percentile")
    (True, True, False)
    """
    return "%" in column or bool({"pct", "percent"} & set(re.split(r"[^a-z]+", column.lower())))


def recognised(header: Collection[str]) -> Profile | None:
    """Return the profile of the tool that wrote a file with this header, if it is a known one."""
    return next((p for p in PROFILES if set(p.needs) <= set(header)), None)


def aliases(header: Collection[str]) -> dict[str, Alias]:
    """Find the columns of ours that a header has under another name or in another unit.

    A column that is there under its own name has no alias, nor one that two columns could be.

    Examples
    --------
    >>> {name: str(alias.factor) for name, alias in aliases(["model", "energy_wh"]).items()}
    {'energy_kwh': '1/1000'}
    """
    found: dict[str, Alias] = {}
    if profile := recognised(header):
        for name, (source, factor) in profile.aliases.items():
            if source in header and name not in header:
                times = "" if factor == ONE else f" {_operation(factor)}"
                found[name] = Alias(source, factor, f"{name} = {source}{times}")
        for prefix in profile.prefixes:
            for column in header:
                name = column.removeprefix(prefix)
                if name != column and name not in header:
                    found.setdefault(name, Alias(column, ONE, f"{name} = {column}"))
    twice = set()
    for column in header:
        name = _of_another_unit(column)
        if name is not None and name not in header and name not in (recognised_names(profile)):
            twice |= {name} & set(found)
            found[name] = converted(name, column)
    return {name: alias for name, alias in found.items() if name not in twice}


def recognised_names(profile: Profile | None) -> Collection[str]:
    """Columns that a profile defines."""
    return profile.aliases if profile else ()


def converted(name: str, source: str, unit: str | None = None) -> Alias:
    """Return the alias of a column in another unit than its name says."""
    to = unit_of(name)
    of = unit_of(unit) if unit else unit_of(source)
    if unit == "%":
        return Alias(source, PERCENT, f"{name} = {source} / 100")
    if unit and (of is None or to is None or of[0] != to[0]):
        known = ", ".join(UNITS[to[0]]) if to else "none, since its name ends in no unit"
        raise InvalidTableError(
            f"{name!r} cannot be made of {unit!r}; allowed units: {known}, or %"
        )
    if to is None or of is None or of == to:
        return Alias(source, ONE, f"{name} = {source}")
    if of[0] != to[0]:
        raise InvalidTableError(
            f"{name!r} is in {to[1]} and {source!r} in {of[1]}; allowed: two units of one quantity"
        )
    factor = Fraction(UNITS[of[0]][of[1]], UNITS[to[0]][to[1]])
    return Alias(source, factor, f"{name} = {source} {_operation(factor)}")


def _operation(factor: Fraction) -> str:
    if factor.numerator == 1:
        return f"/ {factor.denominator:,}"
    return f"x {factor.numerator:,}" if factor.denominator == 1 else f"x {float(factor):g}"


def _of_another_unit(column: str) -> str | None:
    """Return the dictionary's column for the same quantity in another unit."""
    unit = unit_of(column)
    if unit is None:
        return None
    stem = re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_").rpartition("_")[0]
    for name in {**dict.fromkeys(columns("runs")), **dict.fromkeys(_QUANTITIES.values())}:
        ours = unit_of(name)
        if ours and ours[0] == unit[0] and stem == name.rpartition("_")[0]:
            return name
    ours = _QUANTITIES.get(stem)
    return ours if ours and same_quantity(ours, column) else None


_CONSUMED = re.compile(
    r"(?i)Actual consumption(?:\s*for\s+(?P<epochs>\d+)\s+epoch(?:\(s\)|s)?)?:?\s*"
    r"Time:\s*(?:(?P<days>\d+) days?,\s*)?(?P<h>\d+):(?P<min>\d\d):(?P<s>[\d.]+)\s*"
    r"Energy:\s*(?P<kwh>[\d.eE+-]+)\s+kWh\s*CO2eq:\s*(?P<g>[\d.eE+-]+|nan)\s+g"
)


def carbontracker_logs(paths: list[Path]) -> pd.DataFrame | None:
    """Read carbontracker's output logs, one row for each; None if none of the files is one.

    Only what it calls the actual consumption is read, never its prediction.
    """
    rows = []
    for path in paths:
        try:
            found = _CONSUMED.findall(path.read_text(encoding="utf-8", errors="replace"))
        except OSError as error:
            raise InvalidTableError(f"{path}: cannot be read ({error.strerror})") from None
        if not found:
            continue
        epochs, days, hours, minutes, seconds, kwh, grams = found[-1]
        time = timedelta(int(days or 0), float(seconds), 0, 0, int(minutes), int(hours))
        rows.append(
            {
                "model": re.sub(r"_carbontracker_output$|_output$", "", path.stem),
                "energy_kwh": float(kwh),
                "co2eq_g": float(grams),
                "duration_s": time.total_seconds(),
                "epochs": int(epochs or 1),
            }
        )
    return pd.DataFrame(rows) if rows else None
