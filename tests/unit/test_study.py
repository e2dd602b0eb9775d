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
    make_plan,
    read_asked,
    read_plan,
    write_asked,
    write_plan,
)
from pepr_utils.measurement.sweep.study import StudyError, load_study
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
def faults(tmp_path):
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


def test_the_demo_needs_neither_network_nor_card():
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


def test_numbers_as_people_write_them(runs):
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
    protocols: demo
  - datasets: phantom
    protocols: demo
  - datasets: phantom
    protocols: demo
    architectures: [all, halonet26t]
"""

#: Line, what has to be said on it.
BAD_SAYS = [
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
    (8, "is 3; allowed: paper, fast, demo"),
    (9, "is 'maybe'; allowed: true (fine-tuned), false (from scratch)"),
    (9, "is 1; allowed: true"),
    (10, "train_fraction is 2.0; allowed: above 0 and at most 1"),
    (10, "true and false are no numbers"),
    (10, "train_fraction is nan"),
    (10, "is '10%'; allowed: numbers above 0"),
    (11, "seed is -1; allowed: a whole number from 0"),
    (11, "is 1.5; allowed: whole numbers"),
    (11, "is True; allowed: whole numbers"),
    (12, "the key 'seeds' appears twice; the first is on line 11"),
    (13, "blocks: is 17"),
    (17, "seeds: is empty; allowed: whole numbers"),
    (18, "datasets: is nothing; allowed: names such as derma"),
    (18, "no architectures; allowed: architectures: [a, b]"),
    (20, "no architectures; allowed: architectures: [a, b]"),
    (22, "8 architectures do not take the images of 32 px of protocol 'demo': bat_resnext26ts"),
]


def test_every_fault_is_named_at_once_with_its_line(faults, monkeypatch):
    known = study_module.find_architecture

    def without_timm(name):
        if name == "resnet18x":
            raise TrainingUnavailableError("timm is not installed")
        return known(name)

    monkeypatch.setattr(study_module, "find_architecture", without_timm)
    found = faults(BAD)
    for line, words in BAD_SAYS:
        assert any(f.startswith(f"{line}: ") and words in f for f in found), (line, words, found)
    assert {int(f.split(":")[0]) for f in found} == {line for line, _ in BAD_SAYS}
    assert found == sorted(found, key=lambda f: int(f.split(":")[0]))


def test_a_name_of_timm_is_no_fault(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(study_module, "find_architecture", asked.append)
    path = tmp_path / "study.yaml"
    path.write_text("blocks:\n  - {datasets: phantom, architectures: test_vit, protocols: demo}\n")
    (run,) = load_study(path).blocks["block 1"].runs()
    assert (run.architecture, asked) == ("test_vit", ["test_vit"])


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        ("", "", "empty; a study has at least one block"),
        ("# nothing but words\n", "", "empty; a study has at least one block"),
        ("just words", "1", "no study"),
        ("- a\n- b\n", "1", "no study"),
        ("name: x\n", "1", "no 'blocks'; allowed: a list of blocks"),
        ("blocks: []\n", "1", "blocks: is empty"),
        ("blocks:\n  - {datasets: [phantom\n", "3", "not YAML"),
        ("blocks:\n\t- x\n", "2", "not YAML"),
        ("a: 1\n---\nb: 2\n", "2", "not YAML: expected a single document"),
        (b"\x93NUMPY\x01\x00v\x00{'descr'", "", "no text in UTF-8"),
        (b"PK\x03\x04\x00\x00\x00", "", "not YAML: unacceptable character"),
        ("a: " + "[" * 5000, "", "nested too deep"),
        ("blocks: &a [*a]\n", "", "nested too deep, or part of itself"),
        ("name: !!python/object/apply:os.system [id]\n", "1", "name: is ['id']"),
        ("name: x\nblocks: !!int\n", "2", "'' is no value that can be read"),
        ("name: x\nblocks: !!bool x\n", "2", "'x' is no value that can be read"),
        ("name: !!python/name:os.system x\nblocks: 3\n", "1", "the tag"),
        ("? [a]\n: 1\n", "1", "a key has to be a word"),
        ("name: x\nblocks: !mine\n  - {}\n", "2", "the tag !mine is not read"),
        ("blocks:\n  - !!set {a: 1}\n", "2", "the tag tag:yaml.org,2002:set is not read"),
        ("!mine name: x\n", "1", "the tag !mine is not read"),
        ("name: 7\n", "1", "name: is 7; allowed: text of 1 to 80 characters; to mean text, put it"),
        ("blocks: {datasets: 1.5}\n", "1", "datasets: is 1.5; allowed: names such as derma, folde"),
    ],
)
def test_strange_files_are_refused_kindly(faults, content, line, says):
    found = faults(content)
    assert any(f.startswith(f"{line}:" if line else " ") and says in f for f in found), found


_PIECES = st.sampled_from(
    ["blocks:", "\n", "  ", "- ", "datasets:", " phantom", " [", "]", ", ", "{", "}", ": ", "? ",
     "protocols:", " demo", "seeds:", " 1", "where:", " n_parameters < 2e6", "&a ", "*a", "!!int ",
     "!x ", '"', "'", "#", "%", "|", ">", "\t", "~", ".inf", "1:30", "0x", "\x00", "é", "---\n"]
)  # fmt: skip


@given(text=st.lists(_PIECES, max_size=25).map("".join) | st.binary(max_size=40))
def test_any_file_is_a_study_or_an_error_of_ours(text, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with suppress(StudyError):
        assert load_study(path).blocks


def test_a_byte_order_mark_is_no_fault(tmp_path):
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + SMALL.encode())
    assert list(load_study(path).blocks) == ["block 1"]


def test_more_runs_than_anyone_means(faults):
    seeds = ", ".join(map(str, range(10_000)))
    text = SMALL.replace("[dla46_c, resnet14t]", "all").replace("[1, 2]", f"[{seeds}]")
    text = text.replace("protocols: demo", "protocols: fast")
    assert faults(text) == ["2: 2,620,000 runs; allowed: at most 1,000,000"]


def test_two_blocks_of_one_name(faults):
    block = SMALL.removeprefix("blocks:\n").replace("- datasets", "- name: x\n    datasets")
    assert faults(f"blocks:\n{block}{block}") == [
        "8: name: 'x' is another block's too; name each differently"
    ]


SEVERAL = """\
blocks:
  - name: a
    datasets: dermo
    protocols: demo
  - name: a
    datasets: phantom
    architectures: [3, halonet26t]
    protocols: [demo, papr]
  - datasets: phantom
    architectures: all
    where: n_params < 3
    protocols: demo
    seeds: -1
  - datasets: phantom
    architectures: 3
    protocols: demo
  - name: block 3
    datasets: phantom
    architectures: dla34
    protocols: demo
    seed: 1
"""


def test_faults_of_blocks_are_said_beside_those_of_values(faults):
    """What only a block whose values are right can show comes with the next try."""
    expected = [
        (2, "no architectures; allowed: architectures: [a, b]"),
        (3, "datasets: unknown data set 'dermo'"),
        (5, "name: 'a' is another block's too"),
        (7, "architectures: is 3"),
        (8, "protocols: unknown protocol 'papr'"),
        (11, "where: the condition 'n_params < 3'"),
        (13, "seeds: seed is -1"),
        (15, "architectures: is 3"),
        (17, "name: 'block 3' is another block's too"),
        (21, "unknown key 'seed'"),
    ]
    found = faults(SEVERAL)
    assert len(found) == len(expected)
    for fault, (line, words) in zip(found, expected, strict=True):
        assert fault.startswith(f"{line}: {words}"), found


def test_paths_start_at_the_study(tmp_path, monkeypatch, faults):
    images = tmp_path / "clinic"
    images.mkdir()
    (tmp_path / "derma").mkdir()
    monkeypatch.chdir(images)
    path = tmp_path / "study.yaml"
    path.write_text(SMALL.replace("phantom", "[clinic, ./clinic, derma]"))
    assert load_study(path).blocks["block 1"].datasets == [str(images), str(images), "derma"]
    assert "unknown data set 'nowhere'" in faults(SMALL.replace("phantom", "nowhere"))[0]


def test_an_unknown_study_is_told_from_a_file():
    with pytest.raises(UnknownNameError, match="unknown study 'papr'; allowed: demo, paper, or"):
        load_study("papr")


def test_a_data_set_that_is_not_there_is_said_and_its_runs_have_no_name(tmp_path, monkeypatch):
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


@settings(max_examples=12)
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
def test_a_part_that_is_none(paper, number, of):
    with pytest.raises(StudyError, match="allowed: I/N with I from 1 to N"):
        paper.part(number, of)


def test_what_pepr_run_was_asked_for_is_kept_by_each_command(tmp_path):
    one, two = (Run(name, "phantom", "demo", False) for name in ("dla34", "vgg11"))
    assert read_asked(tmp_path) == {}
    path = write_asked(tmp_path, {"r1": one, "r2": two})
    assert write_asked(tmp_path, {"r2": two, "r1": one}) == path  # the same command again
    write_asked(tmp_path, {"r3": two})
    assert read_asked(tmp_path) == {"r1": one, "r2": two, "r3": two}
    path.write_text("{")
    with pytest.raises(InvalidTableError, match=r"is damaged; remove it"):
        read_asked(tmp_path)


def test_status_counts_what_pepr_run_was_asked_for_and_has_not_done(tmp_path):
    known = {"run_id": "r1", "architecture": "dla34", "dataset": "phantom", "test_accuracy": 0.5}
    write_record(Record(**known, status="done"), tmp_path)
    asked = {f"r{i}": Run("dla34", "phantom", "demo", False, seed=i) for i in (1, 2)}
    write_asked(tmp_path, asked)
    told = CliRunner().invoke(status, [str(tmp_path)])
    assert told.exit_code == 1
    assert "1 of 2 runs done, 0 running, 0 failed, 1 waiting" in told.output
    write_plan(Plan("mine", (Planned(asked["r1"], "all", "r1"),)), tmp_path)  # and beside a study
    assert "study mine: 1 of 2 runs done" in CliRunner().invoke(status, [str(tmp_path)]).output
