"""CSV tables as people make them: what a lenient reader would shift, rename or drop is refused."""

import pytest

from pepr_utils.errors import InvalidTableError
from pepr_utils.results import load_result_set, score_runs

HEADER = "architecture,dataset,test_accuracy,energy_kwh"


def _load(tmp_path, content):
    path = tmp_path / "mine.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_result_set(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"{HEADER}\nr,w,0.9,0.5,0.25\n", "row 1 has 5 values and the header 4"),
        (f"{HEADER}\na,w,0.9,0.5\nb,w,0.9,0.5,\n", "row 2 has 5 values"),
        (f"{HEADER}\na,w,0.9\n", "row 1 has 3 values"),
        (f"{HEADER},energy_kwh\na,w,0.9,1,2\n", "column 'energy_kwh' appears twice"),
        (f"{HEADER},experiment\na,w,0.9,1,x\n", "column 'experiment' is derived here from dataset"),
        (f"{HEADER}\na,w,0.9,1\x00\n", "not a table"),
        (f'{HEADER}\na,w,0.9,1"\n"x', "not a readable CSV table|values and the header"),
        (f"{HEADER},seed\na,w,0.9,1,99999999999999999999\n", "column 'seed' is '9999"),
        (f"{HEADER},note\na,w,{'9' * 200},1,x\n", r"is '9{59}\.\.\."),
    ],
)
def test_what_cannot_be_read_safely_is_refused(tmp_path, content, message):
    with pytest.raises(InvalidTableError, match=message) as caught:
        _load(tmp_path, content)
    assert "\n" not in str(caught.value)


def test_byte_order_mark_spaces_and_empty_lines_are_harmless(tmp_path):
    loaded = _load(
        tmp_path, "\ufeffarchitecture, dataset,test_accuracy,energy_kwh\n\na,w,0.9,1\n\n"
    )
    assert loaded.runs["dataset"].tolist() == ["w"]


def test_failed_runs_need_no_values_get_no_score_and_set_no_bound(tmp_path):
    text = f"{HEADER},status\na,w,0.9,1,done\nb,w,0.8,2,done\nc,w,,,failed\nd,w,0.9,50,failed\n"
    scored = score_runs(_load(tmp_path, text).runs)
    assert scored["pepr"].tolist()[:2] == [0.9, 0.4]
    assert scored["pepr"].isna().tolist() == [False, False, True, True]


def test_a_finished_run_without_a_value_is_refused(tmp_path):
    with pytest.raises(
        InvalidTableError, match="row 1, column 'energy_kwh' is empty; allowed: a fin"
    ):
        _load(tmp_path, f"{HEADER},status\na,w,0.9,,done\n")
