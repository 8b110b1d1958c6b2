"""Small parts that both sorts of codes share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int32]
Floats = NDArray[np.float64]


def key(value: Any) -> Any:
    """Return what tells values apart in a dictionary: True from 1, 1 from 1.0, lists by content."""
    return value if type(value) is str else (type(value).__name__, repr(value))


def objects(values: Sequence[Any]) -> NDArray[np.object_]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def short(weights: Floats) -> list[float]:
    return [round(weight, 8) for weight in weights.tolist()]


def shares(weights: Sequence[float]) -> Floats:
    array = np.array(weights, dtype=np.float64)
    return np.asarray(array / max(array.sum(), 1e-12))
