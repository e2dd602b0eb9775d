"""Every command with hostile arguments and files: a result or one message, within a minute.

Each case is made from a seed: a command, options by what click knows of them, values that people
and programs have sent. Nothing is trained and no command is metered.
"""

import contextlib
import importlib
import io
import json
import math
import os
import random
import re
import sys
import zipfile
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pepr_utils import cli

N, FAST, SEED = 2000, 200, 19
#: What may not reach a terminal: control characters but newlines, and marks of direction.
_RAW = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
NAMES = ["\x1b]0;x\x07", "\u202egpj", "<!--<script>", "=1+1", "a\nb", "ü 网络", "x" * 300]
WORDS = [
    *NAMES, "", "acc", "kwh", "model", "group", "=", "acc=0.5", "kwh=1 kWh", "energy_kwh=kwh",
    "model=model", "nan", "inf", "-1", "0", "1", "0.5", "1e999", "9" * 400, "-" * 5000 + "1",
    "(" * 5000, "~nouser", "~nouser/x", "/dev/null", ".", "..", "/", "\udcff", "E", "M", "1/2",
    "1/0", "resnet18d", "n_parameters < 1e6", "a.b" * 200, "tcp://127.0.0.1:1", "{}", "[]", "%s",
]  # fmt: skip
#: What keeps a command from its work, or from minutes of it.
ALWAYS = {
    "sweep": ["--dry-run"], "run": ["--check"], "race": ["--draws", "2"], "data verify": ["--no"],
}  # fmt: skip


def _files(folder):
    """Write the files, and return their paths: of tables, studies, data sets and records."""
    good = pd.DataFrame({"model": ["a", "b", "c"], "acc": [0.5, 0.7, 0.9], "kwh": [1.0, 2.0, 9.0]})
    named = pd.DataFrame(
        {"model": NAMES, "acc": np.linspace(0.5, 0.9, len(NAMES)), "kwh": range(1, len(NAMES) + 1)}
    )
    frames = {
        "good": good,
        "named": named.assign(group=NAMES[::-1]),
        "columns": named.rename(columns={"acc": NAMES[0], "kwh": NAMES[2]}),
        "infinite": good.assign(unused=[math.inf, -math.inf, math.nan]),
        "twice": pd.concat([good, good]),
        "mixed": good.assign(kwh=[0.017, 14.0, 0.02]),
        "empty": good.iloc[:0],
        "one": good.iloc[:1],
        "objects": good.assign(acc=["0.5", "?", "\0"]),
    }
    for name, frame in frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
        frame.to_parquet(folder / f"{name}.parquet")
        frame.to_json(folder / f"{name}.json", orient="records")
    named.to_csv(folder / f"{NAMES[0]}{NAMES[1]}.csv", index=False)
    binary = pa.table({"model": pa.array([b"\xff\xfe", b"b"]), "acc": [0.5, 0.6], "kwh": [1, 2]})
    pq.write_table(binary, folder / "binary.parquet")
    absent = pa.Table.from_pandas(good).replace_schema_metadata(
        {"pandas": json.dumps({"index_columns": ["nowhere"], "columns": [], "column_indexes": []})}
    )
    pq.write_table(absent, folder / "absent.parquet")
    nested = pa.table({"model": [{"a": [1]}], "acc": [[0.5]], "kwh": [{"b": 2}]})
    pq.write_table(nested, folder / "nested.parquet")
    texts = {
        "nul.csv": "model,acc,kwh\na\0,0.5,1\n", "quote.csv": 'model,acc,kwh\n"a,0.5,1\n',
        "deep.json": "[" * 100_000, "list.json": "[1, 2]", "text.json": '"x"', "nan.json": "[NaN]",
        "study.yaml": "name: x\nruns: 3\n", "deep.yaml": "[" * 5000,
        "tag.yaml": "!!python/object:os.x {}",
        "anchors.yaml": "a: &a [1, 1]\nb: &b [*a, *a]\nc: [*b, *b]\n", "nul.yaml": "name: \0",
        "names.yaml": f"name: a\nblocks: [datasets: {json.dumps(NAMES)}]\n",
        "huge.csv": "model,acc,kwh\na,1e999,1\nb,0.5," + "9" * 5000 + "\n",
        "manifest.csv": "path,label,split\n~nouser/x.png,a,train\n\0,b,test\n",
    }  # fmt: skip
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "bytes.csv").write_bytes(bytes(range(256)) * 20)
    (folder / "cut.parquet").write_bytes((folder / "good.parquet").read_bytes()[:-9])
    with zipfile.ZipFile(folder / "brackets.npz", "w") as archive:
        header = b"{'descr': " + b"[" * 3000
        archive.writestr(
            "train_images.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
        )
    np.savez(folder / "odd.npz", train_images=np.array(["a"]), train_labels=np.zeros((2, 2, 2)))
    images = folder / "images"
    for name in (b"\xff", b"ok"):
        place = images / os.fsdecode(name)
        place.mkdir(parents=True)
        (place / "a.png").write_bytes(b"no image")
    runs = folder / "records" / "runs"
    runs.mkdir(parents=True)
    record = {"run_id": "r1", "status": "done", "architecture": NAMES[0], "dataset": NAMES[1],
              "test_accuracy": 0.8, "energy_kwh": 0.1}  # fmt: skip
    (runs / "r1.json").write_text(json.dumps(record))
    bad = folder / "bad-records" / "runs"
    bad.mkdir(parents=True)
    (bad / "R 1.json").write_text(json.dumps(record | {"run_id": "R 1"}))
    return sorted(map(str, folder.iterdir()))


def _commands():
    for name, (module, attribute, _) in cli.COMMANDS.items():
        command = getattr(importlib.import_module(module), attribute)
        if isinstance(command, click.Group):
            yield from ((f"{name} {sub}", one) for sub, one in command.commands.items())
        else:
            yield name, command


def _value(rng, option, files, out):
    kind = option.type
    if isinstance(kind, click.Choice) and rng.random() < 0.8:
        return rng.choice(kind.choices)
    if isinstance(kind, (click.types.IntParamType, click.types.FloatParamType)):
        return rng.choice(["0", "1", "2", "0.5", "-1", "nan", "inf", "1e999", "9" * 400, "x"])
    if option.name in ("output", "chart", "append") and rng.random() < 0.7:
        return (
            f"{out}/{rng.choice(['x', *NAMES])}{rng.choice(['', '.csv', '.md', '.tex', '.json'])}"
        )
    return rng.choice(files) if rng.random() < 0.3 else rng.choice(WORDS)


def _arguments(rng, name, command, files, out):
    arguments = []
    known = {"performance": "acc", "cost": "kwh", "label": "model"} if rng.random() < 0.7 else {}
    for option in command.params:
        if isinstance(option, click.Argument):
            good = [f for f in files if f.endswith((".csv", ".parquet", ".json", "records"))]
            arguments += [rng.choice(rng.choices([good, files, WORDS], [8, 2, 1])[0])]
        elif option.name in known:
            arguments += [option.opts[0], known[option.name]]
        elif rng.random() < (0.9 if option.required else 0.04):
            flag = option.is_flag
            value = [] if flag else [_value(rng, option, files, out) for _ in range(option.nargs)]
            arguments += [option.opts[0], *value]
    return [*name.split(), *ALWAYS.get(name, []), *arguments]


def _called(arguments):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main()
        except SystemExit as ended:
            return ended.code or 0, out.getvalue(), err.getvalue()
    raise AssertionError(f"no exit code: {arguments}")


#: What ended in an unexpected error, or in a number, before.
BEFORE = [
    ["meter", "--pue", "nan", "--", "true"],
    ["meter", "--interval", "nan", "--", "true"],
    ["meter", "--simulate", "inf", "--", "true"],
    ["race", "--simulate", "published", "--alpha", "nan"],
    ["score", "IN/good.csv", "--performance", "acc", "--cost", "kwh", "--n-test", "9" * 400],
    ["score", "~nouser/x.csv"],
    ["score", "x" * 300],
    ["score", "IN/good.csv", "--join", "~nouser", "--on", "model"],
    ["data", "show", "IN/bad-records"],
    ["meter", "x" * 300],
]


@pytest.mark.parametrize("arguments", BEFORE, ids=lambda a: "-".join(a)[:40])
def test_what_was_unexpected_is_one_message(tmp_path, monkeypatch, arguments):
    _files(tmp_path)
    arguments = [a.replace("IN", str(tmp_path)) for a in arguments]
    monkeypatch.setattr(sys, "argv", ["pepr", *arguments])
    code, said, err = _called(arguments)
    assert (code, said) == (2, "")
    assert err.count("Error: ") == 1
    assert not re.search(r"unexpected [A-Z]|Traceback|a-za-z", err)


def test_every_command_prints_by_the_one_that_cleans():
    folder = Path(cli.__file__).parent
    found = {
        path.name for path in folder.rglob("*.py")
        if re.search(r"click\.echo\(|(?<![\w.])print\(", _code(path))
    }  # fmt: skip
    assert found == {"text_table.py", "meter.py"}


def _code(path):
    return re.sub(r"^\s*(>>>|\.\.\.).*", "", path.read_text(), flags=re.M)


@pytest.mark.parametrize(
    "seeds",
    [
        pytest.param(range(FAST), id=f"{FAST}-calls"),
        pytest.param(range(FAST, N), id=f"{N - FAST}-calls", marks=pytest.mark.slow),
    ],
)
def test_hostile_calls_end_in_a_result_or_one_message(tmp_path, monkeypatch, seeds):
    inputs, out = tmp_path / "in", tmp_path / "out"
    inputs.mkdir()
    out.mkdir()
    monkeypatch.chdir(out)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    files, commands, faults = _files(inputs), list(_commands()), []
    for seed in seeds:
        rng = random.Random(SEED * N + seed)
        arguments = _arguments(rng, *rng.choice(commands), files, out)
        monkeypatch.setattr(sys, "argv", ["pepr", *arguments])
        code, said, err = _called(arguments)
        if (
            code not in (0, 1, 2, 126, 127)
            or "Traceback" in err
            or re.search(r"unexpected [A-Z]", err)
            or (code == 2 and err.count("Error: ") != 1)
            or _RAW.search(said + err)
        ):
            faults.append((arguments, code, (said + err)[-300:]))
    assert sorted(map(str, inputs.iterdir())) == files
    assert not faults, f"{len(faults)} of {len(seeds)}:\n" + "\n".join(map(repr, faults[:20]))
