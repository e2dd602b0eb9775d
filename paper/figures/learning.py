"""Learning curves: training loss and test accuracy of each model, epoch by epoch."""

from __future__ import annotations

import altair as alt
import pandas as pd

from paper.figures.common import nothing_to_draw, tips
from paper.site.theme import PALETTE
from pepr_utils.results import ResultSet

#: More models than colours: then all lines are grey, and the pointer says which is which.
_MOST_COLOURED = len(PALETTE)

#: What can be drawn, with the title of its axis.
QUANTITIES = {"train_loss": "Training loss", "test_accuracy": "Test accuracy"}


def data(result_set: ResultSet) -> pd.DataFrame:
    """Epochs of all finished runs, with the architecture of each.

    Returns
    -------
    pandas.DataFrame
        One row per run and epoch: run_id, architecture, epoch, train_loss, train_accuracy,
        val_accuracy, test_accuracy. Empty where the set has no epochs.
    """
    runs = result_set.finished[["run_id", "architecture"]]
    columns = ["epoch", "train_loss", "train_accuracy", "val_accuracy", "test_accuracy"]
    return runs.merge(result_set.epochs[["run_id", *columns]], on="run_id")


def chart(frame: pd.DataFrame, *, quantity: str) -> alt.Chart:
    """One line per run over its epochs; a note where the frame is empty."""
    if frame.empty or frame[quantity].isna().all():
        return nothing_to_draw("this result set has no epochs")
    few = frame["architecture"].nunique() <= _MOST_COLOURED
    colour = (
        alt.Color("architecture:N", title="Architecture", scale=alt.Scale(range=list(PALETTE)))
        if few
        else alt.value("#777777")
    )
    # On a linear axis one model with a large loss would flatten the others.
    loss = quantity == "train_loss" and (frame[quantity].dropna() > 0).all()
    title = f"{QUANTITIES[quantity]} (log scale)" if loss else QUANTITIES[quantity]
    scale = alt.Scale(type="log") if loss else alt.Scale(zero=False)
    return (
        alt.Chart(frame)
        .mark_line(point=True, opacity=0.9 if few else 0.4)
        .encode(
            x=alt.X("epoch:Q", title="Epoch", axis=alt.Axis(format="d", tickMinStep=1)),
            y=alt.Y(f"{quantity}:Q", title=title, scale=scale),
            color=colour,
            detail="run_id:N",
            tooltip=tips(
                "architecture",
                "epoch",
                "train_loss|training loss|.3f",
                "train_accuracy|training accuracy|.3f",
                "val_accuracy|validation accuracy|.3f",
                "test_accuracy|test accuracy|.3f",
            ),
        )
        .properties(height=300)
    )


def describe(frame: pd.DataFrame, *, quantity: str) -> str:
    """Write the alternative text from the chart's data."""
    if frame.empty:
        return "Nothing is drawn: this result set has no epochs."
    ordered = frame.sort_values("epoch").groupby("run_id")[quantity]
    first, last = ordered.first(), ordered.last()
    rising = "rises" if quantity == "test_accuracy" else "falls"
    moved = (last > first) if rising == "rises" else (last < first)
    return (
        f"{QUANTITIES[quantity]} of {len(last)} runs over {frame['epoch'].max()} epochs. From "
        f"first to last it {rising} in {moved.sum()} of them; at the end it lies between "
        f"{last.min():.3f} and {last.max():.3f}."
    )
