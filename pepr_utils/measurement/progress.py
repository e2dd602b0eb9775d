"""The progress of a run: the steps that `measure` reports, and a bar that shows them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tqdm import tqdm


@dataclass(frozen=True)
class Step:
    """A step of a run.

    Attributes
    ----------
    stage : {"data", "model", "train"}
        What is done now.
    epoch : int
        The epoch that is being trained, from 1; 0 before.
    epochs : int
        All of them.
    done, total : int
        Images of this stage or epoch.
    """

    stage: str
    epoch: int = 0
    epochs: int = 0
    done: int = 0
    total: int = 0


Watch = Callable[[Step], None]


class Bar:
    """A progress bar of a run; its `update` is a `Watch`.

    Parameters
    ----------
    name : str
        Name of the run.
    shown : bool
        Whether to draw it.
    """

    def __init__(self, name: str, *, shown: bool) -> None:
        self.name, self.before = name, Step("data")
        self.bar = tqdm(unit=" images", disable=not shown, leave=False, unit_scale=True)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_error: object) -> None:
        self.bar.close()

    def update(self, step: Step) -> None:
        """Show a step."""
        same = (step.stage, step.epoch) == (self.before.stage, self.before.epoch)
        if not same or not self.bar.total:
            stages = {"data": "images", "model": "model"}
            stage = stages.get(step.stage, f"epoch {step.epoch}/{step.epochs}")
            self.bar.reset(total=step.total or None)
            self.bar.set_description(f"{self.name}: {stage}", refresh=False)
        self.bar.update(step.done - (self.before.done if same else 0))
        self.before = step
