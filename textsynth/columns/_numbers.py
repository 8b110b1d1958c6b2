"""Values of integers, floats and datetimes as numbers, and back in the form of the source."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth.columns._dates import from_seconds, to_seconds
from textsynth.columns._field import ABSENT, Field


def ordinary(value: Any) -> bool:
    """Return whether a value is neither absent nor null nor empty."""
    return not (value is ABSENT or value is None or (isinstance(value, str | list | tuple | dict) and not value))


def to_numbers(values: Iterable[Any], field: Field) -> NDArray[np.float64]:
    """Return integers, floats and datetimes (as seconds since 1970) as numbers; NaN for what is no ordinary value."""
    if field.kind == "datetime":
        memo: dict[Any, float] = {}
        return np.array([_seconds(value, field, memo) for value in values], dtype=np.float64)
    return np.array([float(v) if isinstance(v, int | float) else np.nan for v in values], dtype=np.float64)


def _seconds(value: Any, field: Field, memo: dict[Any, float]) -> float:
    if not ordinary(value):
        return np.nan
    if value not in memo:
        try:
            memo[value] = to_seconds(value, field.format)
        except (ValueError, TypeError, AttributeError):
            memo[value] = np.nan
    return memo[value]


def from_numbers(numbers: NDArray[np.float64] | Sequence[float], field: Field) -> list[Any]:
    """Return finite numbers as the field's values: whole, with its decimals, or as dates in its format."""
    array = np.asarray(numbers, dtype=np.float64)
    if field.kind == "datetime":
        distinct, inverse = np.unique(array, return_inverse=True)
        known = [from_seconds(float(number), field) for number in distinct]
        return [known[i] for i in inverse.tolist()]
    if field.kind == "integer":
        whole: list[Any] = np.rint(array).astype(np.int64).tolist()
        return [float(n) for n in whole] if field.type == "number" else whole
    return [float(n) for n in np.round(array, field.scale).tolist()]
