"""What models that learnt from synthetic, from real and from both data say of rows that none of them has seen.

Tables are learnt by gradient-boosted trees; texts by logistic regression on their embeddings and on TF-IDF weights reduced
to 100 components.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from textsynth.columns import ABSENT
from textsynth.errors import MissingPackageError
from textsynth.measure.detection import one_thread
from textsynth.measure.table import Table, encode

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

MOST = 50_000
"""Most rows a model of a table learns from, and is tested on."""
MOST_TEXTS = 10_000
SMALLEST = 50
"""Fewest rows in each of synthetic, real and holdout."""
_FEWEST = 5  # holdout rows of a class that it takes to judge it
_LEARNT = 30  # real rows of a class that it takes
_COMPONENTS = 100
_TERMS = 20_000
_MANY = 10  # classes beyond which trees get fewer rounds (each is a tree per class)


@dataclass(frozen=True, slots=True)
class Labelled:
    """Texts with their labels, and their embeddings (n × d) if there are any."""

    texts: Sequence[str]
    labels: Sequence[Any]
    vectors: Vectors | None = None


@dataclass(frozen=True, slots=True)
class Predictions:
    """What models said of the holdout rows (and of the synthetic ones), and what is true.

    Args:
        task: to name a class, or to tell a number.
        names: of the classes, by code; empty for numbers.
        truth: of the holdout rows: codes (n) or numbers.
        synthetic: of the model that learnt from synthetic rows: probabilities (n × classes) or numbers (n).
        real: of the one that learnt from real rows.
        both: of the one that learnt from real and synthetic rows.
        on_synthetic: of the real model, for synthetic rows; ``synthetic_truth`` is theirs.
        rows: of the holdout, which were tested.
        judged: the classes with 30 real rows to learn from and five of the holdout to test on.
    """

    task: Literal["class", "number"]
    names: tuple[str, ...]
    truth: NDArray[Any]
    synthetic: Floats
    real: Floats
    both: Floats
    on_synthetic: Floats
    synthetic_truth: NDArray[Any]
    rows: NDArray[np.int64]
    judged: tuple[int, ...] = ()


def predict(synthetic: Table, *, label: str, real: Table, holdout: Table | None = None, seed: int = 0) -> Predictions:
    """Fit trees on synthetic, on real and on both rows, and return what they say of the holdout."""
    if wrong := problem(synthetic, real, holdout, label):
        raise ValueError(wrong)
    assert holdout is not None
    tables = [_known(table, label) for table in (real, synthetic, holdout)]
    rows = np.flatnonzero(holdout.column(label).states == 0)
    kept = _sample(len(tables[2]), MOST, seed)
    tables = [tables[0].sample(MOST, seed=seed), tables[1].sample(MOST, seed=seed), tables[2].take(kept)]
    encoded = encode(*(table.without(label) for table in tables))
    targets = [table.column(label) for table in tables]
    names: tuple[str, ...] = ()
    truths: list[NDArray[Any]] = [target.values for target in targets]
    if targets[0].kind == "category":
        names = tuple(sorted({name for target in targets for name in target.labels}))
        at = {name: code for code, name in enumerate(names)}
        truths = [np.array([at[name] for name in t.labels], dtype=np.int64)[t.values] for t in targets]
    fit = _tree_fitter(encoded.categorical, len(names), seed)
    with one_thread():
        return _predict(encoded.matrices, truths, names, fit, rows[kept])


def predict_texts(synthetic: Labelled, *, real: Labelled, holdout: Labelled, seed: int = 0) -> Predictions:
    """Fit logistic regressions on synthetic, on real and on both texts, and return what they say of the holdout."""
    sides = [real, synthetic, holdout]
    kept = [labelled(side)[_sample(len(labelled(side)), MOST_TEXTS, seed)] for side in sides]
    labels = [[str(side.labels[row]) for row in rows] for side, rows in zip(sides, kept, strict=True)]
    names = tuple(sorted({label for some in labels for label in some}))
    at = {name: code for code, name in enumerate(names)}
    truths: list[NDArray[Any]] = [np.array([at[label] for label in some], dtype=np.int64) for some in labels]
    matrices = text_features(sides, kept, seed)
    return _predict(matrices, truths, names, _text_fitter(len(names)), kept[2])


Fitter = Callable[[Floats, NDArray[Any]], Callable[[Floats], Floats]]


def _predict(
    matrices: Sequence[Floats], truths: Sequence[NDArray[Any]], names: tuple[str, ...], fit: Fitter, rows: Codes
) -> Predictions:
    of_real, of_synthetic = fit(matrices[0], truths[0]), fit(matrices[1], truths[1])
    of_both = fit(np.concatenate(matrices[:2]), np.concatenate(truths[:2]))
    return Predictions(
        task="class" if names else "number",
        names=names,
        truth=truths[2],
        synthetic=of_synthetic(matrices[2]),
        real=of_real(matrices[2]),
        both=of_both(matrices[2]),
        on_synthetic=of_real(matrices[1]),
        synthetic_truth=truths[1],
        rows=rows,
        judged=_judged(truths, len(names)),
    )


def _judged(truths: Sequence[NDArray[Any]], classes: int) -> tuple[int, ...]:
    """Return the classes whose AUC is taken: those with enough rows, one of two."""
    if not classes:
        return ()
    learnt, tested = (np.bincount(truths[at], minlength=classes) for at in (0, 2))
    enough = np.flatnonzero((learnt >= min(_LEARNT, learnt.max())) & (tested >= _FEWEST))
    return tuple(int(code) for code in (enough[-1:] if classes == 2 else enough))


def _tree_fitter(categorical: NDArray[np.bool_], classes: int, seed: int) -> Fitter:
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    except ImportError as error:
        raise MissingPackageError("scikit-learn", extra="fit", needed_for="measuring with classifiers") from error
    # Without regularisation a class of a few rows can make the boosting diverge: its leaves hold next to no curvature.
    options: dict[str, Any] = {"early_stopping": False, "random_state": seed, "l2_regularization": 10.0}
    options |= {"categorical_features": categorical if categorical.any() else None}
    options |= {"max_iter": 100 if classes <= _MANY else 30}

    def fit(rows: Floats, truth: NDArray[Any]) -> Callable[[Floats], Floats]:
        if classes:
            return _classifier(HistGradientBoostingClassifier(**options), rows, truth, classes)
        model = HistGradientBoostingRegressor(**options).fit(rows, truth)
        return lambda given: np.asarray(model.predict(given), np.float64)

    return fit


def _text_fitter(classes: int) -> Fitter:
    from sklearn.linear_model import LogisticRegression

    return lambda rows, truth: _classifier(LogisticRegression(C=10.0, max_iter=200), rows, truth, classes)


def _classifier(model: Any, rows: Floats, truth: NDArray[Any], classes: int) -> Callable[[Floats], Floats]:
    """Return a function that gives each class its probability: 0 to those that were not learnt."""
    known = np.unique(truth)
    if len(known) == 1:
        return lambda given: np.tile(np.eye(classes)[known[0]], (len(given), 1))
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(rows, truth)

    def tell(given: Floats) -> Floats:
        chances = np.zeros((len(given), classes))
        chances[:, model.classes_] = model.predict_proba(given)
        return chances

    return tell


def text_features(sides: Sequence[Labelled], kept: Sequence[Codes], seed: int) -> list[Floats]:
    """Return a matrix per side: embeddings if all have them, beside TF-IDF weights learnt from the first, reduced."""
    try:
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer
    except ImportError as error:
        raise MissingPackageError("scikit-learn", extra="fit", needed_for="measuring with classifiers") from error
    texts = [[side.texts[row] for row in rows] for side, rows in zip(sides, kept, strict=True)]
    weigh = TfidfVectorizer(sublinear_tf=True, max_features=_TERMS, token_pattern=r"(?u)\b\w+\b")
    weights = [weigh.fit_transform(texts[0]), *(weigh.transform(some) for some in texts[1:])]
    if weights[0].shape[1] > _COMPONENTS:
        reduce = TruncatedSVD(_COMPONENTS, random_state=seed).fit(weights[0])
        dense = [reduce.transform(weight) for weight in weights]
    else:
        dense = [weight.toarray() for weight in weights]
    if any(side.vectors is None for side in sides):
        return dense
    vectors = [np.asarray(side.vectors, np.float64)[rows] for side, rows in zip(sides, kept, strict=True)]
    return [np.hstack([vector, weight]) for vector, weight in zip(vectors, dense, strict=True)]


def problem(synthetic: Table, real: Table, holdout: Table | None, label: str) -> str:
    """Return why nothing can be learnt or tested; empty if it can."""
    if holdout is None:
        return "without holdout rows it would be tested on what was learnt from"
    if len(real.columns) < 2:
        return f"there is no column beside {label!r} to predict it from"
    known = [int((table.column(label).states == 0).sum()) for table in (synthetic, real, holdout)]
    if min(known) < SMALLEST:
        return (
            f"it needs {SMALLEST} synthetic, real and holdout rows with {label}, got {known[0]}, {known[1]}, {known[2]}"
        )
    values = real.column(label).values[real.column(label).states == 0]
    return f"{label} has one value only in the real rows" if len(np.unique(values)) < 2 else ""


def _known(table: Table, label: str) -> Table:
    return table.take(np.flatnonzero(table.column(label).states == 0))


def _sample(rows: int, most: int, seed: int) -> Codes:
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def labelled(side: Labelled) -> Codes:
    """Return the rows that have a label."""
    return np.array([row for row, label in enumerate(side.labels) if label not in (None, "", ABSENT)], dtype=np.int64)
