"""Can a classifier tell synthetic rows from real ones? The classifier two-sample test (Lopez-Paz & Oquab 2017).

The AUC is 0.5 if nothing gives the synthetic rows away. Well below 0.5 they are copies: of a copy and its original one
lies among the rows learnt from, the other among those judged, and is taken for the wrong side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth.errors import MissingPackageError
from textsynth.measure.measured import Gate, Measured
from textsynth.measure.table import Table, encode

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

MOST = 10_000
"""Most rows of each side; more are drawn at random."""
FOLDS = 10
SMALLEST = 50
"""Fewest rows of each side."""
_COMPONENTS = 50  # of vectors
_COPIES = 0.45
_BAND = 0.05  # above the real-against-real value, for tables
_BAND_TEXT = 0.65


@dataclass(frozen=True, slots=True)
class Area:
    """An area under the ROC curve and the variance of its estimate (DeLong et al. 1988)."""

    value: float
    variance: float


@dataclass(frozen=True, slots=True)
class Detection:
    """A mean AUC over folds, its standard error, and by how much it falls if a feature is shuffled."""

    value: float
    error: float
    importances: Mapping[str, float]


def detect(synthetic: Table, *, real: Table, holdout: Table | None = None, seed: int = 0) -> list[Measured]:
    """Return ``fidelity.detection.table``: the AUC of telling synthetic rows from real ones.

    As in mostlyai-qa: ten folds, gradient-boosted trees (50 rounds, depth 10, leaves of 5, half of the features), at
    most 10,000 rows of each side, the same number of both. Instead of its embedding the trees get the columns
    themselves. ``real`` is the AUC of telling holdout from real rows. The interval is DeLong's. ``detail`` names the
    columns that give the rows away: the mean fall of the AUC on held-out rows if the column is shuffled.
    """
    found = encode(real, synthetic, *([holdout] if holdout else []))
    sides = list(found.matrices)
    features = Features(found.names, found.categorical)
    return [_compare("table", sides[1], sides[0], sides[2] if holdout else None, features, seed)]


def detect_texts(
    synthetic: Vectors,
    *,
    real: Vectors,
    holdout: Vectors | None = None,
    features: Mapping[str, Sequence[Sequence[float]]] | None = None,
    seed: int = 0,
) -> list[Measured]:
    """Return ``fidelity.detection.text`` from embeddings (n × d), reduced to their 50 first principal components.

    Args:
        features: cheap features of the texts by name (length, punctuation, ...), each as the values of synthetic, real
            and (if given) holdout texts; they stand beside the vectors and show in ``detail`` what gives texts away.
    """
    sides = [real, synthetic, *([holdout] if holdout is not None else [])]
    reduced = _reduce(sides, seed)
    names = ["meaning"] * reduced[0].shape[1]
    for name, (of_synthetic, of_real, *of_holdout) in (features or {}).items():
        columns = [of_real, of_synthetic, *of_holdout][: len(sides)]
        reduced = [np.column_stack([side, np.asarray(c, float)]) for side, c in zip(reduced, columns, strict=True)]
        names.append(name)
    of = Features(tuple(names), np.zeros(len(names), dtype=bool))
    return [_compare("text", reduced[1], reduced[0], reduced[2] if holdout is not None else None, of, seed)]


@dataclass(frozen=True, slots=True)
class Features:
    """What the columns of a matrix are; several may belong to one name."""

    names: tuple[str, ...]
    categorical: Mask


def _compare(
    kind: str, synthetic: Floats, real: Floats, holdout: Floats | None, features: Features, seed: int
) -> Measured:
    name = f"fidelity.detection.{kind}"
    fewest = min(len(synthetic), len(real))
    if fewest < SMALLEST or not features.names:
        why = (
            f"it needs {SMALLEST} rows of each side, got {fewest}"
            if features.names
            else "there is no column to learn from"
        )
        return Measured(name=name, value=None, size=len(synthetic), meaning=f"Not measured: {why}.")
    size = min(MOST, fewest)
    found = tell_apart(_draw(synthetic, size, seed), _draw(real, size, seed + 1), features, seed=seed)
    honest = None
    if holdout is not None and len(holdout) >= SMALLEST:
        same = min(size, len(holdout))
        honest = tell_apart(_draw(holdout, same, seed), _draw(real, same, seed + 1), features, seed=seed, explain=False)
    shown = sorted(found.importances.items(), key=lambda pair: -pair[1])
    return Measured(
        name=name,
        value=found.value,
        real=honest.value if honest else None,
        size=size,
        low=found.value - 1.96 * found.error,
        high=found.value + 1.96 * found.error,
        gate=_gate(kind, honest.value if honest else 0.5, found.error),
        meaning=_meaning(found, honest, size, "texts" if kind == "text" else "rows"),
        detail={"importances": [{"name": name, "fall": fall} for name, fall in shown], "folds": FOLDS},
    )


def _gate(kind: str, real: float, error: float) -> Gate:
    band = max(_BAND, 3 * error)
    high = max(_BAND_TEXT, real + band) if kind == "text" else max(real, 0.5) + band
    advice = (
        "above: look at the importances in detail (rounding, spikes, formats) first; below: the records copy real ones"
    )
    return Gate(low=min(_COPIES, 0.5 - 3.3 * error), high=high, advice=advice)


def _meaning(found: Detection, honest: Detection | None, size: int, things: str) -> str:
    told = f"A classifier tells synthetic {things} from real ones with AUC {found.value:.3f} (0.5: not at all)"
    told += f"; holdout from real, {honest.value:.3f}" if honest else ""
    best = max(found.importances.items(), key=lambda pair: pair[1], default=("", 0.0))
    if found.value < _COPIES and found.value + 1.96 * found.error < 0.5:
        told += f"; below one half because {things} repeat real ones"
    elif best[1] > max(0.01, 2 * found.error):
        told += f"; what gives them away most is {best[0]}"
    return f"{told}. {size:,} {things} of each side."


def tell_apart(
    synthetic: Floats, real: Floats, features: Features, *, seed: int = 0, explain: bool = True
) -> Detection:
    """Return how well trees tell the rows of two matrices apart, on held-out rows of ten folds."""
    rows = np.vstack([real, synthetic])
    truth = np.repeat([0, 1], [len(real), len(synthetic)])
    random = np.random.default_rng(seed)
    folds = np.empty(len(truth), dtype=np.int64)
    for side in (0, 1):
        at = np.flatnonzero(truth == side)
        folds[at] = random.permutation(np.arange(len(at)) % FOLDS)
    areas, falls = [], []
    with one_thread():
        for fold in range(FOLDS):
            held = folds == fold
            model = _trees(features.categorical, seed + fold).fit(rows[~held], truth[~held])
            areas.append(area(model.decision_function(rows[held]), truth[held] == 1))
            if explain:
                falls.append(_falls(model, rows[held], truth[held] == 1, areas[-1].value, features.names, random))
    error = np.sqrt(sum(each.variance for each in areas)) / FOLDS
    names = sorted(set(features.names))
    importances = {name: float(np.mean([each[name] for each in falls])) for name in names} if explain else {}
    return Detection(float(np.mean([each.value for each in areas])), float(error), importances)


def one_thread() -> AbstractContextManager[Any]:
    """Keep trees to one thread: beside a busy engine, threads that wait for each other take twenty times as long."""
    try:
        import sklearn.ensemble  # noqa: F401  (what is not loaded yet is not limited)
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingPackageError("scikit-learn", extra="fit", needed_for="measuring with classifiers") from error
    limits: AbstractContextManager[Any] = threadpool_limits(1, user_api="openmp")
    return limits


def _trees(categorical: Mask, seed: int) -> Any:
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
    except ImportError as error:
        raise MissingPackageError("scikit-learn", extra="fit", needed_for="measuring with classifiers") from error
    return HistGradientBoostingClassifier(
        max_iter=50,
        max_depth=10,
        min_samples_leaf=5,
        max_features=0.5,
        early_stopping=False,
        categorical_features=categorical if categorical.any() else None,
        random_state=seed,
    )


def _falls(
    model: Any, rows: Floats, truth: Mask, whole: float, names: Sequence[str], random: np.random.Generator
) -> dict[str, float]:
    """Return by how much the AUC falls if the features of a name are shuffled together (Breiman 2001)."""
    found = {}
    for name in sorted(set(names)):
        at = [column for column, each in enumerate(names) if each == name]
        shuffled = rows.copy()
        shuffled[:, at] = rows[random.permutation(len(rows))][:, at]
        found[name] = whole - area(model.decision_function(shuffled), truth).value
    return found


def area(scores: Floats, truth: Mask) -> Area:
    """Return the area under the ROC curve of scores (n) for what is true, with DeLong's variance; ties count one half.

    After Sun & Xu (2014): the placements of each score among the other side's follow from ranks.
    """
    up, down = scores[truth], scores[~truth]
    of_up = mean_rank(up, down)
    of_down = 1 - mean_rank(down, up)
    variance = np.var(of_up, ddof=1) / len(up) + np.var(of_down, ddof=1) / len(down)
    return Area(float(of_up.mean()), float(variance))


def mean_rank(scores: Floats, others: Floats) -> Floats:
    """Return the share of ``others`` below each score, equal ones counting one half."""
    ordered = np.sort(others)
    below = np.searchsorted(ordered, scores, side="left")
    not_above = np.searchsorted(ordered, scores, side="right")
    found: Floats = (below + not_above) / (2 * len(others))
    return found


def _draw(rows: Floats, size: int, seed: int) -> Floats:
    if len(rows) <= size:
        return rows
    return rows[np.sort(np.random.default_rng(seed).choice(len(rows), size, replace=False))]


def _reduce(sides: Sequence[Vectors], seed: int) -> list[Floats]:
    """Return vectors as their principal components, those of all sides together."""
    if sides[0].shape[1] <= _COMPONENTS:
        return [side.astype(np.float64) for side in sides]
    sample = np.vstack([_draw(np.asarray(side, np.float64), 2000, seed) for side in sides])
    centre = sample.mean(axis=0)
    _, _, axes = np.linalg.svd(sample - centre, full_matrices=False)
    return [(side - centre) @ axes[:_COMPONENTS].T for side in sides]
