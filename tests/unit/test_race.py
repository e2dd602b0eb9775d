"""Races whose learning curves are looked up in place of a training: who goes on, and why."""

import json
from collections import Counter
from dataclasses import replace

import pytest

from pepr_utils.errors import InvalidTableError, RunError
from pepr_utils.measurement import race as racing
from pepr_utils.measurement.race import Budget, Candidate, Race, Racer, Spent
from pepr_utils.measurement.run import Run
from pepr_utils.measurement.sweep.state import cached_record
from pepr_utils.results import Epoch, Record, load_result_set, write_record
from pepr_utils.results.record_files import record_path
from pepr_utils.scoring import RaceRules

EPOCHS = 4
#: Cost of a whole training (kWh), so that R is 0, 0.25, 0.5, 1, and validation accuracy by epoch.
FIELD = {
    "tiny": (1.0, (0.50, 0.55, 0.56, 0.57)),
    "small": (2.0, (0.70, 0.75, 0.78, 0.80)),  # PePR 0.56, 0.6, 0.624, 0.64
    "large": (3.0, (0.69, 0.90, 0.90, 0.90)),  # PePR 0.46, 0.6, 0.6, 0.6
    "huge": (5.0, (0.80, 0.90, 0.99, 1.00)),  # PePR 0.4, 0.45, 0.495, 0.5
}


class World:
    """A field whose trainings are looked up; `trained` are the epochs in their order."""

    def __init__(self, folder, field=FIELD, *, fails=(), dies_after=None, seeds=(1,), test=0.5):
        self.folder, self.field, self.fails, self.seeds = folder, dict(field), fails, seeds
        self.dies_after, self.test = dies_after, test
        self.trained, self.said, self.asked = [], [], []

    def race(self, rule="halving", *, known=True, cost="energy", **rules):
        candidates = tuple(
            Candidate(
                name,
                {f"{name}-{seed}": Run(name, "d", seed=seed) for seed in self.seeds},
                kwh if known else None, "a table" if known else "",
                Spent(kwh, 100.0 * kwh) if known else Spent(None, None),
            )
            for name, (kwh, _) in self.field.items()
        )  # fmt: skip
        return Race(
            self.folder, candidates, RaceRules(EPOCHS, rule, **rules), cost,
            n_images=1000, settings={"rule": rule, "data": "d", "cost": cost},
        )  # fmt: skip

    def sweep(self, until):
        """Train one wanted run after the other, as a sweep with one worker does."""
        failed = set()
        while True:
            wanted = []
            for name, epoch in until(failed).items():
                record = cached_record(record_path(self.folder, name))
                if name not in failed and (record is None or not record.has_reached(epoch)):
                    wanted.append((name, epoch))
            self.asked.append(wanted)
            if not wanted:
                return
            name, epoch = wanted[0]
            architecture, seed = name.rsplit("-", 1)
            self._train(Run(architecture, "d", seed=int(seed)), epoch or EPOCHS)
            if architecture in self.fails:
                failed.add(name)

    def _train(self, run, until):
        name, (kwh, curve) = run.architecture, self.field[run.architecture]
        identity = f"{name}-{run.seed}"
        before = cached_record(record_path(self.folder, identity))
        done = before.epochs if before is not None else ()
        known = {"run_id": identity, "architecture": name, "dataset": "d", "seed": run.seed}
        if name in self.fails:
            failed = Record(**known, status="failed", failure_reason="out of memory", attempt=2)
            write_record(failed, self.folder)
            return
        for epoch in range(len(done) + 1, until + 1):
            if self.dies_after is not None and len(self.trained) >= self.dies_after:
                raise KeyboardInterrupt
            self.trained.append((identity, epoch))
            new = Epoch(epoch=epoch, val_accuracy=curve[epoch - 1], test_accuracy=self.test,
                        energy_kwh=kwh / EPOCHS, train_time_s=25.0 * kwh)  # fmt: skip
            done = (*done, new)
            ended = {"status": "paused", "stop_reason": "as requested"}
            if epoch == EPOCHS:
                ended = {"status": "done", "test_accuracy": self.test, "energy_kwh": kwh}
            write_record(Record(**known, epochs=done, **ended), self.folder)

    def run(
        self, rule="halving", *, known=True, costs=None, budget=None, workers=1, finish=False,
        cost="energy", **rules
    ):  # fmt: skip
        """Race as the command does, from the start or from where it is; `costs`: as expected."""
        race = self.race(rule, known=known, cost=cost, **rules)
        expected = (replace(c, cost=(costs or {}).get(c.name, c.cost)) for c in race.candidates)
        race = racing.resumed(replace(race, candidates=tuple(expected)))
        racer = Racer(race, self.said.append, workers, budget, finish)
        self.sweep(racer.until)
        now = racer.outcome()
        return racing.as_dict(now, racer.why) | {"now": now}


def _outcomes(found):
    return {row["architecture"]: row["outcome"] for row in found["candidates"]}


def test_halves_go_by_the_score_and_ties_to_the_cheaper(tmp_path):
    world = World(tmp_path)
    found = world.run()
    # After epoch 1: 0.56 (small), 0.5 (tiny), 0.46, 0.4. After epoch 2: 0.6 and 0.55.
    assert [line for line in world.said if line.startswith("training")] == [
        "training to epoch 1 of 4: tiny, small, large, huge",
        "training to epoch 2 of 4: tiny, small",
        "training to epoch 4 of 4: small",
    ]
    assert found["winner"] == "small"
    assert _outcomes(found) == {
        "tiny": "eliminated", "small": "winner", "large": "eliminated", "huge": "eliminated",
    }  # fmt: skip
    assert Counter(world.trained).most_common(1)[0][1] == 1
    tie = World(tmp_path / "tie", {"a": (2.0, (0.5,) * 4), "b": (1.0, (0.5,) * 4),
                                   "c": (1.0, (0.5,) * 4)})  # fmt: skip
    assert tie.run()["winner"] == "b"


def test_test_accuracy_decides_nothing(tmp_path):
    one, other = World(tmp_path / "one", test=0.1), World(tmp_path / "other", test=0.9)
    assert one.run()["winner"] == other.run()["winner"]
    assert one.trained == other.trained


def test_what_is_spent_and_saved_is_counted_in_epochs(tmp_path):
    found = World(tmp_path).run()
    # Four first epochs, a second of tiny and small, two more of small.
    spent = (1 + 2 + 3 + 5) / 4 + (1 + 2) / 4 + 2 * 2 / 4
    assert found["spent"] == pytest.approx({"kwh": spent, "seconds": 100 * spent})
    assert found["training_all"]["kwh"] == pytest.approx(11.0)
    assert found["training_all"]["candidates_forecast"] == 3
    assert found["share_of_training_all"] == pytest.approx(spent / 11)


def test_a_race_goes_on_where_it_was_killed_wherever_that_is(tmp_path):
    whole = World(tmp_path / "whole")
    winner = whole.run()["winner"]
    for moment in range(len(whole.trained)):
        killed = World(tmp_path / str(moment), dies_after=moment)
        with pytest.raises(KeyboardInterrupt):
            killed.run()
        killed.dies_after = None
        assert killed.run()["winner"] == winner
        assert sorted(killed.trained) == sorted(whole.trained)  # each epoch once


def test_eliminated_runs_say_so_and_are_not_finished(tmp_path):
    World(tmp_path).run()
    record = cached_record(record_path(tmp_path, "huge-1"))
    assert (record.status, record.epochs_done) == ("paused", 1)
    assert record.stop_reason == (
        "eliminated in a race: score 0.4000 after epoch 1, the best has 0.5600"
    )
    assert load_result_set(tmp_path).finished["run_id"].tolist() == ["small-1"]


def test_the_costs_nobody_knows_come_from_first_epochs_and_the_bounds_stay(tmp_path):
    world = World(tmp_path)
    found = world.run(known=False)
    assert found["winner"] == "small"
    assert {row["expected_from"] for row in found["candidates"]} == {"its own first epochs"}
    assert [row["expected_cost"] for row in found["candidates"]] == [1.0, 2.0, 3.0, 5.0]
    assert found["cost_bounds"] == [1.0, 5.0]
    assert world.said[0].startswith("the energy of tiny, small, large, huge is not known")
    only = World(tmp_path / "exact")
    only.run("exact", costs={"huge": None})
    assert only.trained[:2] == [("huge-1", 1), ("tiny-1", 1)]


def test_expected_costs_are_corrected_by_the_first_epochs_before_anyone_goes(tmp_path):
    """Costs on another scale, as of another machine, must not set the bounds of R."""
    found = World(tmp_path).run(costs={name: 1000 * kwh for name, (kwh, _) in FIELD.items()})
    assert (found["winner"], found["cost_bounds"]) == ("small", [1.0, 5.0])
    assert found["candidates"][0]["expected_from"] == "a table, corrected by its own first epochs"


def test_bounds_that_a_measurement_breaks_are_restated_aloud(tmp_path):
    world = World(tmp_path)
    found = world.run("exact", costs={"tiny": 1.5})
    assert (found["bounds_restated"], found["cost_bounds"]) == (True, [1.0, 5.0])
    assert [line for line in world.said if "restated" in line] == [
        "the bounds of R are restated: 1 to 5 kWh, since a training took less or more than the 1.5 "
        "to 5 expected"
    ]


def test_exact_stops_where_no_other_can_win(tmp_path):
    world = World(tmp_path, FIELD | {"small": (2.0, (0.9, 0.9, 0.9, 0.95))})
    found = world.run("exact")
    # small reaches 0.76; R = 0.5 allows 0.667 at most.
    assert world.asked == [[("tiny-1", None)], [("small-1", None)], []]
    assert (found["winner"], found["by_proof"]) == ("small", True)
    assert _outcomes(found)["huge"] == "eliminated"
    reasons = {row["architecture"]: row["reason"] for row in found["candidates"]}
    assert reasons["large"] == "cannot score above 0.6667, 0.7600 is reached"
    two = World(tmp_path / "two", world.field)
    assert two.run("exact", workers=2)["winner"] == "small"
    assert len(two.asked[0]) == 2


def test_a_cautious_race_keeps_those_within_the_noise(tmp_path):
    close = FIELD | {"large": (2.0, (0.69, 0.75, 0.78, 0.79))}
    brave, cautious = World(tmp_path / "a", close), World(tmp_path / "b", close)
    assert len(brave.run()["now"].step.eliminated) == 3
    cautious.run(n_images=1000)  # 0.01 is less than 1,000 images can tell
    assert {("small-1", EPOCHS), ("large-1", EPOCHS)} <= set(cautious.trained)


def test_seeds_count_by_their_mean(tmp_path):
    world = World(tmp_path, seeds=(1, 2))
    found = world.run()
    assert found["winner"] == "small"
    assert len(world.trained) == 2 * 8
    assert found["spent"]["kwh"] == pytest.approx(2 * 4.5)


def test_a_candidate_that_fails_is_out_and_the_others_race(tmp_path):
    found = World(tmp_path, fails=("small",)).run(known=False)
    assert _outcomes(found)["small"] == "failed"
    assert found["winner"] == "large"  # two of three go on, and 0.6 is more than tiny's 0.57
    row = next(r for r in found["candidates"] if r["architecture"] == "small")
    assert row["reason"] == "out of memory"
    with pytest.raises(RunError, match=r"1 of 4 candidates can be .*small failed: out of memory"):
        World(tmp_path / "one", fails=("small", "large", "huge")).run(known=False)


def test_a_cost_that_was_not_measured_is_an_error_with_another(tmp_path):
    world = World(tmp_path)
    with pytest.raises(RunError, match=r"the memory of tiny was not measured.*as time"):
        world.run(known=False, cost="memory")


@pytest.mark.parametrize(
    ("amount", "message"),
    [
        (2.0, "takes 2.75 kWh, above the budget of 2 kWh; nothing was trained. The 3 cheapest fit: "
              "--architectures tiny,small,large"),
        (0.5, "The cheapest two take 750 Wh"),
    ],
)  # fmt: skip
def test_a_budget_below_the_first_rung_is_refused_before_anything(tmp_path, amount, message):
    world = World(tmp_path)
    with pytest.raises(RunError, match=message):
        world.run(budget=Budget("kwh", amount))
    with pytest.raises(RunError, match=r"training tiny to epoch 4, .* takes 1 kWh, above .* 900"):
        world.run("exact", budget=Budget("kwh", 0.9))
    assert not world.trained
    world.run(budget=Budget("kwh", 2.75))
    assert len(world.trained) == 4


def test_a_race_stops_before_its_budget_and_a_larger_one_goes_on(tmp_path):
    world = World(tmp_path)
    stopped = world.run(budget=Budget("kwh", 3.0))
    assert stopped["winner"] is None
    assert stopped["leader"] == "small"
    assert stopped["undecided_because"].startswith(
        "2.75 kWh of the budget of 3 kWh are spent, and training 2 to epoch 2 would take 750 Wh"
    )
    assert world.run(budget=Budget("seconds", 450.0))["winner"] == "small"
    assert sum(1 for _ in world.trained) == 8


def test_a_budget_of_costs_that_nobody_knows_is_held_against_two_of_them(tmp_path):
    world = World(tmp_path)
    found = world.run(known=False, budget=Budget("kwh", 1.0))
    assert world.trained == [("tiny-1", 1), ("small-1", 1)]
    assert found["undecided_because"].startswith(
        "750 Wh of the budget of 1 kWh are spent, and training 2 to epoch 1 would take 750 Wh more"
    )


def test_finishing_trains_the_eliminated_and_keeps_the_winner(tmp_path):
    world = World(tmp_path, FIELD | {"large": (3.0, (0.69, 0.9, 0.9, 1.0))})  # 0.667 in the end
    world.run()
    found = world.run(finish=True)
    assert (found["winner"], found["leader"]) == ("small", "large")
    assert found["undecided_because"] is None
    assert found["training_all"]["candidates_forecast"] == 0
    # What the race took is known afterwards too, against all as measured.
    assert found["share_of_training_all"] == pytest.approx(4.5 / 11)
    assert len(set(world.trained)) == len(world.trained) == 16


def test_a_folder_holds_one_race(tmp_path):
    world = World(tmp_path)
    world.run()
    with pytest.raises(RunError, match=r"holds another race \(rule 'halving', not 'both'\)"):
        racing.resumed(world.race("both"))
    fewer = World(tmp_path, {name: FIELD[name] for name in ("tiny", "small")})
    with pytest.raises(RunError, match="other architectures"):
        racing.resumed(fewer.race())
    (tmp_path / racing.FILE).write_text('{"settings": {}')
    with pytest.raises(InvalidTableError, match=r"race.json is damaged; remove it"):
        racing.resumed(world.race())
    (tmp_path / racing.FILE).unlink()
    assert world.run()["winner"] == "small"  # from the records alone
    assert len(world.trained) == 8


def test_how_sure_the_winner_is_by_the_closest_other(tmp_path):
    sure = World(tmp_path).run()["confidence"]
    # small against tiny after epoch 2: 0.75 / 1.25 - 0.55; with one image more of each kind.
    assert (sure["closest"], sure["after_epoch"]) == ("tiny", 2)
    assert sure["lead"] == pytest.approx(0.05)
    p, q = 751 / 1002, 551 / 1002
    variance = (0.8**2 * p * (1 - p) + q * (1 - q)) / 1002
    assert sure["noise"] == pytest.approx(1.959964 * variance**0.5)
    assert sure["images_needed"] is None  # it is beyond the noise


def test_the_state_is_plain_json(tmp_path):
    found = World(tmp_path).run()
    found.pop("now")
    assert json.loads(json.dumps(found)) == found
    saved = json.loads((tmp_path / racing.FILE).read_text())
    assert saved["winner"] == "small"
    assert [c["cost"] for c in saved["candidates"]] == [1.0, 2.0, 3.0, 5.0]
