"""Convert and check the inputs of the scoring functions; errors name the value and its position."""

from __future__ import annotations

from typing import Any

import numpy as np

from pepr_utils.errors import ScoreInputError


def to_floats(
    values: Any, what: str, *, allow_nan: bool = False, allow_bool: bool = False
) -> np.ndarray:
    """Convert `values` to a double-precision array, all finite or, where allowed, NaN.

    Raises
    ------
    ScoreInputError
        If there is no value or one is not a finite number; the message has the value and its
        position.
    """
    array = as_floats(values, what, allow_bool=allow_bool)
    check_finite(array, values, what, allow_nan=allow_nan)
    return array


def to_fractions(values: Any, what: str, fix: str) -> np.ndarray:
    """Convert `values` to floats, all in [0, 1]; `fix` is the remedy. Single precision stays so."""
    array = as_floats(values, what, keep_float32=True)
    if not (array.min() >= 0 and array.max() <= 1):  # so it is with NaN
        check_finite(array, values, what)
        check_unit_interval(array, values, what, fix)
    return array


def as_floats(
    values: Any, what: str, *, allow_bool: bool = False, keep_float32: bool = False
) -> np.ndarray:
    """Convert `values` to a float array that has values.

    It is of double precision; with `keep_float32`, single precision stays so. What is missing in a
    nullable pandas column or masked in a masked array becomes NaN.
    """
    try:
        raw = np.asarray(values)
    except ValueError:
        raise ScoreInputError(f"{what} is ragged; allowed: a number or a regular array") from None
    if not raw.size:
        raise ScoreInputError(f"{what} is empty; at least one value is needed")
    if raw.dtype.kind == "c":
        raise ScoreInputError(f"{what} must be real numbers, got complex ones")
    if raw.dtype.kind in ("fiub" if allow_bool else "fiu"):
        single = keep_float32 and raw.dtype == np.float32
        array = raw if single else raw.astype(float, copy=False)
    elif raw.dtype.kind == "b":
        raise ScoreInputError(f"{what} must be numbers, got booleans")
    else:
        array = _floats_one_by_one(values, raw, what, allow_bool)
    if isinstance(values, np.ma.MaskedArray):
        array = np.where(np.ma.getmaskarray(values), np.nan, array)
    return array


def check_finite(array: np.ndarray, values: Any, what: str, *, allow_nan: bool = False) -> None:
    """Raise `ScoreInputError` unless every element is finite or, where allowed, NaN."""
    finite = np.isfinite(array)
    if finite.all():
        return
    bad = np.isinf(array) if allow_nan else ~finite
    if bad.any():
        raise ScoreInputError(
            f"{what}{position(values, bad)} is {first(array, bad)}; it must be a finite number"
        )


def to_number(value: Any, what: str) -> float:
    """Convert `value` to one finite float; an array or anything else raises `ScoreInputError`."""
    number = to_floats(value, what)
    if number.ndim:
        raise ScoreInputError(f"{what} is {value!r}; allowed: one number")
    return float(number)


def _floats_one_by_one(values: Any, raw: np.ndarray, what: str, allow_bool: bool) -> np.ndarray:
    array = np.empty(raw.shape, dtype=float)
    for place, value in np.ndenumerate(raw):
        try:
            array[place] = np.nan if _is_missing(value) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = False
        else:
            number = allow_bool or not isinstance(value, (bool, np.bool_))
        if not number:
            here = np.zeros(raw.shape, dtype=bool)
            here[place] = True
            raise ScoreInputError(
                f"{what}{position(values, here)} is {str(value)!r}; it must be a finite number"
            )
    return array


def _is_missing(value: Any) -> bool:
    """Whether an element is None or the NA of pandas, which need not have been imported."""
    return value is None or type(value).__name__ == "NAType"


def as_pandas(values: Any) -> Any:
    """Return the pandas form of a frame or column of another library, such as Polars."""
    return values.to_pandas() if hasattr(values, "to_pandas") else values


def check_unit_interval(array: np.ndarray, values: Any, what: str, fix: str) -> None:
    """Raise `ScoreInputError` unless every element lies in [0, 1]; `fix` is the remedy."""
    if array.min() < 0 or array.max() > 1:
        bad = (array < 0) | (array > 1)
        raise ScoreInputError(
            f"{what}{position(values, bad)} is {first(array, bad)}; allowed: 0 to 1; {fix}"
        )


def check_alpha(array: np.ndarray, values: Any) -> None:
    """Raise `ScoreInputError` unless every alpha is at least 1."""
    bad = array < 1
    if bad.any():
        raise ScoreInputError(
            f"alpha{position(values, bad)} is {first(array, bad)}; allowed: 1 or more"
        )


def first(array: np.ndarray, mask: np.ndarray) -> str:
    """Return the first flagged element, printed so that it can be searched for."""
    return f"{float(np.asarray(array)[mask].flat[0]):.12g}"


def group_codes(by: Any, values: np.ndarray, *, what: str) -> tuple[np.ndarray, int]:
    """Number the groups: a code for each value, and a number that all codes are below.

    Integer labels of a narrow range are their own codes, so that there may be codes that no value
    has.

    Raises
    ------
    ScoreInputError
        If the labels do not pair with the values, or one is missing.
    """
    import pandas as pd

    # A list of text and NaN would become text throughout, and NaN a group.
    labels = by if hasattr(by, "dtype") else np.asarray(by, dtype=object)
    if isinstance(labels, np.ma.MaskedArray):
        labels = np.where(np.ma.getmaskarray(labels), np.array(None), labels.data)
    if labels.shape != values.shape or values.ndim != 1:
        raise ScoreInputError(
            f"by has shape {labels.shape} and {what} {values.shape}; "
            f"allowed: one label for each {what}"
        )
    if isinstance(labels.dtype, np.dtype) and labels.dtype.kind in "iu":
        numbers = np.asarray(labels)
        low, high = int(numbers.min()), int(numbers.max())
        if high - low < numbers.size and high <= np.iinfo(np.intp).max:
            return np.subtract(numbers, low, dtype=np.intp, casting="unsafe"), high - low + 1
    if isinstance(labels.dtype, pd.CategoricalDtype):
        categories = pd.Categorical(labels)
        codes, uniques = np.asarray(categories.codes, dtype=np.intp), categories.categories
    else:
        codes, uniques = pd.factorize(labels)
    if codes.min() < 0:
        raise ScoreInputError(
            f"by{position(by, codes < 0)} is missing; every {what} needs a group label"
        )
    return codes, len(uniques)


def sorted_by_group(values: np.ndarray, codes: np.ndarray | None, n_groups: int) -> np.ndarray:
    """Return the order that sorts by group, and by value within each; equal values in any order."""
    order = np.argsort(values)
    if codes is None:
        return order
    # Of a type as small as will do: NumPy sorts 16 bits and fewer by radix.
    small = codes.astype(np.min_scalar_type(n_groups))
    return order[np.argsort(small[order], kind="stable")]


def position(values: Any, mask: np.ndarray) -> str:
    """Describe the place of the first flagged element: its index label, or else its position."""
    if np.ndim(mask) == 0:
        return ""
    place = np.unravel_index(int(np.argmax(mask)), mask.shape)
    if hasattr(values, "iloc") and np.ndim(values) == len(place):
        row = values.index[place[0]]
        column = f", column {values.columns[place[1]]!r}" if len(place) > 1 else ""
        return f" at row {row.item() if isinstance(row, np.generic) else row!r}{column}"
    return f" at position {', '.join(str(int(i)) for i in place)}"


def pandas_index(*inputs: Any) -> Any:
    """Return the index shared by the pandas Series among `inputs`, or None where there is none.

    Raises
    ------
    ScoreInputError
        If two Series have different indexes: silently aligning them could pair the wrong models.
    """
    for value in inputs:
        if hasattr(value, "columns"):
            raise ScoreInputError(
                "a DataFrame was given; allowed: a number, an array or one column"
            )
    indexes = [v.index for v in inputs if hasattr(v, "index") and hasattr(v, "iloc")]
    for index in indexes[1:]:
        if not index.equals(indexes[0]):
            raise ScoreInputError(
                "the inputs have different indexes, so their rows cannot be paired; "
                "allowed: equal indexes, or plain arrays of one length; align them first"
            )
    return indexes[0] if indexes else None


def like_input(result: np.ndarray, index: Any, name: str) -> Any:
    """Return `result` as a Series if the input had an index, as a float if it was a scalar."""
    if index is not None and result.shape == (len(index),):
        import pandas as pd

        return pd.Series(result, index=index, name=name)
    return float(result) if result.ndim == 0 else result


def broadcast(**arrays: np.ndarray) -> list[np.ndarray]:
    """Broadcast named arrays against each other; an error gives each one's shape."""
    try:
        return list(np.broadcast_arrays(*arrays.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {np.shape(a)}" for name, a in arrays.items())
        raise ScoreInputError(
            f"shapes do not fit together: {shapes}; allowed: equal or broadcastable"
        ) from None
