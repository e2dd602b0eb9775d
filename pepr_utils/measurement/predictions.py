"""The test predictions of a run, image by image, kept beside its record."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from pepr_utils.measurement.files import write_whole
from pepr_utils.results.predictions import FOLDER


def write_predictions(
    folder: Path, run_id: str, *, probabilities: np.ndarray, labels: np.ndarray
) -> Path:
    """Write ``folder/predictions/<run_id>.npz``: a few kilobytes, written whole.

    Parameters
    ----------
    folder : pathlib.Path
        The result set's folder.
    run_id : str
        The run.
    probabilities : numpy.ndarray
        n x classes; kept as float16, beside the class that they single out.
    labels : numpy.ndarray
        n, or n x labels.
    """
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        probabilities=probabilities.astype(np.float16),
        predicted=probabilities.argmax(axis=1).astype(np.uint16),
        labels=labels.astype(np.uint16),
    )
    return write_whole(Path(folder) / FOLDER / f"{run_id}.npz", buffer.getvalue())
