"""Studies: what is read, what is refused and where, and which runs follow."""

from contextlib import suppress

import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from pepr_utils.commands.status import status
from pepr_utils.errors import InvalidTableError, TrainingUnavailableError, UnknownNameError
from pepr_utils.measurement.run import Run
from pepr_utils.measurement.sweep import study as study_module
from pepr_utils.measurement.sweep.plan import (
    Plan,
    Planned,
    read_plan,
    read_requested,
    write_plan,
    write_requested,
)
from pepr_utils.measurement.sweep.study import StudyError, load_study, make_plan
from pepr_utils.results import Record, load_architectures, write_record
from pepr_utils.results.release import EXPERIMENTS

SMALL = """\
blocks:
  - datasets: phantom
    architectures: [dla46_c, resnet14t]
    protocols: demo
    pretrained: [true, false]
    seeds: [1, 2]
"""


@pytest.fixture
def errors(tmp_path):
    """Write a study, load it, and return the lines of the error without the file's name."""

    def read(text, name="study.yaml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(StudyError) as caught:
            load_study(path)
        lines = str(caught.value).split("\n")
        assert all(line.startswith(str(path)) for line in lines)
        return [line.removeprefix(str(path)).removeprefix(":") for line in lines]

    return read


@pytest.fixture
def runs(tmp_path):
    def read(text):
        path = tmp_path / "study.yaml"
        path.write_text(text)
        return [planned.run for planned in make_plan(load_study(path)).runs]

    return read


def test_the_papers_study_is_what_the_authors_released():
    names = load_architectures()["architecture"]
    expected = {
        Run(name, dataset, "paper", pretrained == "true", float(fraction), 1)
        for dataset, pretrained, fraction in EXPERIMENTS.values()
        for name in names
    }
    study = load_study("paper")
    planned = [run for block in study.blocks.values() for run in block.runs()]
    assert len(planned) == 1048
    assert set(planned) == expected


def test_the_demo_needs_neither_network_nor_gpu():
    plan = make_plan(load_study("demo"))
    assert not plan.missing
    assert {(p.run.dataset, p.run.protocol, p.run.pretrained) for p in plan.runs} == {
        ("phantom", "demo", False)
    }
    assert len({p.run_id for p in plan.runs}) == len(plan.runs) == 9


def test_a_block_is_every_combination(runs):
    found = runs(SMALL)
    assert len(found) == len(set(found)) == 8
    assert found[:2] == [
        Run("dla46_c", "phantom", "demo", True, 1.0, 1),
        Run("resnet14t", "phantom", "demo", True, 1.0, 1),
    ]
    assert {run.seed for run in found} == {1, 2}


def test_a_run_of_several_blocks_counts_once_and_for_the_first(tmp_path):
    path = tmp_path / "twice.yaml"
    again = SMALL.removeprefix("blocks:\n").replace("[1, 2]", "[2, 3]")
    path.write_text(SMALL + again)
    plan = make_plan(load_study(path))
    assert len(plan.runs) == 12
    assert [p.block for p in plan.runs] == ["block 1"] * 8 + ["block 2"] * 4
    assert plan.study == "twice"


def test_architectures_by_condition(runs):
    text = SMALL.replace("[dla46_c, resnet14t]", "all").replace(
        "protocols: demo", "protocols: fast"
    )
    table = load_architectures()
    small = table.loc[table["n_parameters"] < 3e6, "architecture"].tolist()
    found = runs(text + "    where: n_parameters < 3e6\n")
    assert [run.architecture for run in found[: len(small)]] == small
    both = SMALL + "    where: n_parameters < 3e6\n"
    assert {run.architecture for run in runs(both)} == {"dla46_c"}


def test_fractions_may_be_written_as_1_or_1e_1(runs):
    found = runs(SMALL + "    train_fractions: [1, 1e-1, .5]\n")
    assert sorted({run.train_fraction for run in found}) == [0.1, 0.5, 1.0]


BAD = """\
name: [x]
seeds: 3
blocks:
  - datasets: [dermo, phantom]
    architectures: resnet18x
    where: n_params < 3
    protocol: papr
    protocols: [papr, 3]
    pretrained: [maybe, 1]
    train_fractions: [2, true, .nan, 10%]
    seeds: [-1, 1.5, true]
    seeds: 1
  - 17
  - datasets: phantom
    architectures: all
    protocols: fast
    seeds: []
  - datasets:
    architectures: dla34
    protocols: demo
  - datasets: phantom
    protocols: demo
  - datasets: phantom
    protocols: demo
    architectures: [all, halonet26t]
"""

#: Line, and part of its message.
BAD_MESSAGES = [
    (1, "name: is ['x']; allowed: text of 1 to 80 characters"),
    (2, "unknown key 'seeds'; allowed: name, blocks"),
    (4, "unknown data set 'dermo'; allowed: phantom, lidc, derma"),
    (4, "did you mean 'derma'?"),
    (5, "unknown architecture 'resnet18x'"),
    (5, "did you mean 'resnet18d'?"),
    (6, "the condition 'n_params < 3' is not understood"),
    (7, "unknown key 'protocol'"),
    (7, "did you mean 'protocols'?"),
    (8, "unknown protocol 'papr'; allowed: paper, fast, demo; did you mean 'paper'?"),
    (8, "is 3; allowed: paper, fast, demo; put text in quotes"),
    (9, "is 'maybe'; allowed: true (fine-tuned), false (from scratch)"),
    (9, "is 1; allowed: true"),
    (10, "train_fraction is 2.0; allowed: above 0 and at most 1"),
    (10, "true and false are not numbers"),
    (10, "train_fraction is nan"),
    (10, "is '10%'; allowed: numbers above 0"),
    (12, "the key 'seeds' appears twice; the first is on line 11"),
    (13, "blocks: is 17"),
    (17, "seeds: is empty; allowed: whole numbers"),
    (18, "datasets: is nothing; allowed: names such as derma"),
    (21, "no architectures; allowed: architectures: [a, b]"),
    (23, "8 architectures do not take the images of 32 px of protocol 'demo': bat_resnext26ts"),
]


def test_every_error_is_reported_at_once_with_its_line(errors, monkeypatch):
    known = study_module.find_architecture

    def without_timm(name):
        if name == "resnet18x":
            raise TrainingUnavailableError("timm is not installed")
        return known(name)

    monkeypatch.setattr(study_module, "find_architecture", without_timm)
    found = errors(BAD)
    for line, message in BAD_MESSAGES:
        assert any(f.startswith(f"{line}: ") and message in f for f in found), (line, message)
    assert {int(f.split(":")[0]) for f in found} == {line for line, _ in BAD_MESSAGES}
    assert found == sorted(found, key=lambda f: int(f.split(":")[0]))


@pytest.mark.parametrize("seed", ["-1", "1.5", "true"])
def test_a_seed_is_a_whole_number(errors, seed):
    (found,) = errors(SMALL.replace("[1, 2]", seed))
    assert found.startswith("6: seeds: ")


def test_a_model_of_timm_is_an_architecture(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(study_module, "find_architecture", asked.append)
    path = tmp_path / "study.yaml"
    path.write_text("blocks:\n  - {datasets: phantom, architectures: test_vit, protocols: demo}\n")
    (run,) = load_study(path).blocks["block 1"].runs()
    assert (run.architecture, asked) == ("test_vit", ["test_vit"])


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("# only a comment\n", "", "empty; a study has at least one block"),
        ("only text", "1", "no study"),
        ("- a\n- b\n", "1", "no study"),
        ("name: x\n", "1", "no 'blocks'; allowed: a list of blocks"),
        ("blocks: []\n", "1", "blocks: is empty"),
        ("blocks:\n  - {datasets: [phantom\n", "3", "not YAML"),
        ("blocks:\n\t- x\n", "2", "not YAML"),
        ("a: 1\n---\nb: 2\n", "2", "not YAML: but found another document"),
        (b"\x93NUMPY\x01\x00v\x00{'descr'", "", "not YAML"),
        ("blocks: &a [*a]\n", "", "not YAML: maximum recursion"),
        ("name: !!python/object/apply:os.system [id]\n", "1", "not YAML: could not determine"),
        ("? [a]\n: 1\n", "1", "not YAML: found unhashable key"),
        ("7: x\n", "1", "Keys should be strings"),
        ("name: 7\n", "1", "name: is 7; allowed: text of 1 to 80 characters; put text in quotes"),
    ],
)
def test_files_that_are_no_studies_are_refused(errors, content, line, message):
    found = errors(content)
    assert any(f.startswith(f"{line}:" if line else " ") and message in f for f in found), found


_PIECES = st.sampled_from(
    ["blocks:", "\n", "  ", "- ", "datasets:", " phantom", " [", "]", ", ", "{", "}", ": ", "? ",
     "protocols:", " demo", "seeds:", " 1", "where:", " n_parameters < 2e6", "&a ", "*a", "!!int ",
     "!x ", '"', "'", "#", "%", "|", ">", "\t", "~", ".inf", "1:30", "0x", "\x00", "é", "---\n"]
)  # fmt: skip


@given(text=st.lists(_PIECES, max_size=25).map("".join) | st.binary(max_size=40))
def test_any_file_is_a_study_or_a_study_error(text, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with suppress(StudyError):
        assert load_study(path).blocks


def test_a_byte_order_mark_is_ignored(tmp_path):
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + SMALL.encode())
    assert list(load_study(path).blocks) == ["block 1"]


@pytest.mark.parametrize("name", ["x", "block 1"])
def test_two_blocks_cannot_have_one_name(errors, name):
    block = SMALL.removeprefix("blocks:\n")
    named = block.replace("- datasets", f"- name: {name}\n    datasets")
    first = block if name == "block 1" else named
    (found,) = errors(f"blocks:\n{first}{named}")
    assert f"two blocks are named {name!r}" in found


def test_paths_start_at_the_study(tmp_path, monkeypatch, errors):
    images = tmp_path / "clinic"
    images.mkdir()
    (tmp_path / "derma").mkdir()
    monkeypatch.chdir(images)
    path = tmp_path / "study.yaml"
    path.write_text(SMALL.replace("phantom", "[clinic, ./clinic, derma]"))
    assert load_study(path).blocks["block 1"].datasets == [str(images), str(images), "derma"]
    assert "unknown data set 'nowhere'" in errors(SMALL.replace("phantom", "nowhere"))[0]


def test_a_linked_file_has_the_name_of_the_link(tmp_path):
    (tmp_path / "long_name_of_a_release.npz").write_bytes(b"")
    (tmp_path / "xrays.npz").symlink_to("long_name_of_a_release.npz")
    path = tmp_path / "study.yaml"
    path.write_text(SMALL.replace("phantom", "xrays.npz"))
    assert load_study(path).blocks["block 1"].datasets == [str(tmp_path / "xrays.npz")]


def test_an_unknown_study_is_named_with_the_known_ones():
    with pytest.raises(UnknownNameError, match="unknown study 'papr'; allowed: demo, paper, xray,"):
        load_study("papr")


def test_runs_of_a_missing_data_set_have_no_run_id_and_a_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("PEPR_DATA_CACHE", str(tmp_path))
    monkeypatch.delenv("PEPR_DATA_MIRROR", raising=False)
    path = tmp_path / "study.yaml"
    path.write_text(SMALL.replace("phantom", "[phantom, lidc]"))
    plan = make_plan(load_study(path))
    assert len(plan.runs) == 16
    assert len(plan.names()) == 8
    ((why, n),) = plan.missing.items()
    assert n == 8
    assert why.startswith("lidc.zip is not there")
    assert sum(plan.part(1, 2).missing.values()) == 4


def test_a_plan_is_written_whole_and_read_back(tmp_path):
    plan = make_plan(load_study("demo"))
    write_plan(plan, tmp_path, lambda run: 2.5 if run.seed == 1 else None)
    found, seconds = read_plan(tmp_path)
    assert found == plan
    assert {run.seed: s for run, s in seconds.items()} == {1: 2.5, 2: None}
    assert [p.name for p in tmp_path.iterdir()] == ["study.json"]
    assert read_plan(tmp_path / "nowhere") is None
    for damage in ("{", "[]", '{"study": "x", "runs": [{}]}', '{"study": "x", "runs": 3}'):
        (tmp_path / "study.json").write_text(damage)
        with pytest.raises(ValueError, match="is damaged"):
            read_plan(tmp_path)


@pytest.fixture(scope="module")
def paper():
    study = load_study("paper")
    return Plan("paper", tuple(Planned(r, n) for n, b in study.blocks.items() for r in b.runs()))


@settings(max_examples=6)
@given(of=st.integers(1, 40))
def test_every_run_is_in_exactly_one_part(paper, of):
    parts = [paper.part(number, of).runs for number in range(1, of + 1)]
    together = [planned for part in parts for planned in part]
    assert len(together) == len(paper.runs)
    assert set(together) == set(paper.runs)
    assert max(map(len, parts)) - min(map(len, parts)) <= 2


def test_parts_hold_small_and_large_models_alike(paper):
    sizes = load_architectures().set_index("architecture")["n_parameters"]
    parts = [paper.part(number, 16).runs for number in range(1, 17)]
    totals = pd.Series([sum(sizes[p.run.architecture] for p in part) for part in parts])
    assert totals.max() / totals.mean() < 1.1


@pytest.mark.parametrize(("number", "of"), [(0, 4), (5, 4), (1, 0)])
def test_a_part_that_does_not_exist_is_an_error(paper, number, of):
    with pytest.raises(StudyError, match="allowed: I/N with I from 1 to N"):
        paper.part(number, of)


def test_the_runs_of_each_pepr_run_are_written_down(tmp_path):
    one, two = (Run(name, "phantom", "demo", False) for name in ("dla34", "vgg11"))
    assert read_requested(tmp_path) == {}
    path = write_requested(tmp_path, {"r1": one, "r2": two})
    assert write_requested(tmp_path, {"r2": two, "r1": one}) == path  # the same command again
    write_requested(tmp_path, {"r3": two})
    assert read_requested(tmp_path) == {"r1": one, "r2": two, "r3": two}
    path.write_text("{")
    with pytest.raises(InvalidTableError, match=r"is damaged; remove it"):
        read_requested(tmp_path)


def test_status_counts_the_runs_that_pepr_run_has_left(tmp_path):
    known = {"run_id": "r1", "architecture": "dla34", "dataset": "phantom", "test_accuracy": 0.5}
    write_record(Record(**known, status="done"), tmp_path)
    requested = {f"r{i}": Run("dla34", "phantom", "demo", False, seed=i) for i in (1, 2)}
    write_requested(tmp_path, requested)
    shown = CliRunner().invoke(status, [str(tmp_path)])
    assert shown.exit_code == 1
    assert "1 of 2 runs done, 0 running, 0 failed, 1 waiting" in shown.output
    write_plan(
        Plan("mine", (Planned(requested["r1"], "all", "r1"),)), tmp_path
    )  # and beside a study
    assert "study mine: 1 of 2 runs done" in CliRunner().invoke(status, [str(tmp_path)]).output
