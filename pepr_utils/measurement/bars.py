"""A progress bar for one run: what it does, how far it is, images per second."""

from __future__ import annotations

from types import TracebackType

from tqdm import tqdm

from pepr_utils.measurement.measuring import Step


class Bar:
    """A bar that follows the steps of a run; its `update` is what `measure` calls.

    Parameters
    ----------
    name : str
        What the bar calls the run.
    shown : bool
        Whether to draw it.
    """

    def __init__(self, name: str, *, shown: bool) -> None:
        self.name, self.before = name, Step("data")
        self.bar = tqdm(unit=" images", disable=not shown, leave=False, unit_scale=True)

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.close()

    def update(self, step: Step) -> None:
        """Show a step."""
        same = (step.stage, step.epoch) == (self.before.stage, self.before.epoch)
        if not same or not self.bar.total:
            words = {"data": "images", "model": "model"}
            stage = words.get(step.stage, f"epoch {step.epoch}/{step.epochs}")
            self.bar.reset(total=step.total or None)
            self.bar.set_description(f"{self.name}: {stage}", refresh=False)
        self.bar.update(step.done - (self.before.done if same else 0))
        self.before = step
