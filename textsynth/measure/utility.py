"""Is the synthetic data good for training? Train on synthetic, test on real (TSTR; Esteban et al. 2017), and its relatives.

Everything is tested on holdout rows, which neither the generator nor the other models have seen (TRTS apart, which is
tested on the synthetic rows).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth.measure.detection import mean_rank
from textsynth.measure.measured import Gate, Measured
from textsynth.measure.predictions import SMALLEST, Labelled, Predictions, labelled, predict, predict_texts, problem
from textsynth.measure.table import Table

__all__ = ["Labelled", "Predictions", "predict", "predict_texts", "score", "utility", "utility_of_texts"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

RESAMPLES = 200
_SHARE = 0.95  # of what real data reaches
_SHARE_F1 = 0.85
_HARM = 0.02  # that added synthetic rows may do


def utility(
    synthetic: Table,
    *,
    label: str,
    real: Table,
    holdout: Table | None = None,
    seed: int = 0,
    predictions: Predictions | None = None,
) -> list[Measured]:
    """Return ``utility.tstr``, ``.ratio``, ``.f1``, ``.trts`` and ``.augmentation`` for a column to predict from the others.

    A category is judged by the area under the ROC curve (one class against the rest, mean over the classes with 30
    real rows to learn from and five to test on) and by macro F1, a number by R². At most 50,000 rows are learnt from, and
    tested on. Intervals are bootstrap percentiles over the tested rows (200 resamples, the same for both models).

    Args:
        predictions: those of ``predict``, if they are there already.
    """
    if wrong := problem(synthetic, real, holdout, label):
        return _unmeasured("utility", len(synthetic), wrong)
    found = predictions or predict(synthetic, label=label, real=real, holdout=holdout, seed=seed)
    return _measure("utility", found, f"{label} from the other columns", len(synthetic), seed)


def utility_of_texts(
    synthetic: Labelled, *, real: Labelled, holdout: Labelled | None = None, seed: int = 0
) -> list[Measured]:
    """Return the same, named ``utility.text.tstr`` and so on, for labels predicted from texts (at most 10,000 of each)."""
    fewest = min(len(labelled(side)) if side else 0 for side in (synthetic, real, holdout))
    if holdout is None or fewest < SMALLEST:
        why = f"it needs {SMALLEST} synthetic, real and holdout texts with a label, got {fewest} of the fewest"
        return _unmeasured("utility.text", len(synthetic.texts), why)
    if len({str(real.labels[row]) for row in labelled(real)}) < 2:
        return _unmeasured("utility.text", len(synthetic.texts), "the real texts have one label only")
    found = predict_texts(synthetic, real=real, holdout=holdout, seed=seed)
    return _measure("utility.text", found, "the label from the text", len(synthetic.texts), seed)


def _measure(group: str, found: Predictions, what: str, size: int, seed: int) -> list[Measured]:
    spread = _resample(found, seed)
    scores = {name: score(found, getattr(found, name)) for name in ("synthetic", "real", "both")}
    unit = "AUC" if found.task == "class" else "R²"
    extra = {name: _extra(found, getattr(found, name)) for name in ("synthetic", "real", "both")}
    ratio = scores["synthetic"] / scores["real"] if scores["real"] > 0 else None
    ratios = spread["synthetic"] / np.maximum(spread["real"], 1e-9)
    gain, gains = scores["both"] - scores["real"], spread["both"] - spread["real"]
    tested = f"tested on {len(found.truth):,} holdout rows"
    on_synthetic = score(found, found.on_synthetic, truth=found.synthetic_truth)
    return [
        Measured(
            name=f"{group}.tstr",
            value=scores["synthetic"],
            real=scores["real"],
            size=size,
            low=_end(spread["synthetic"], 2.5),
            high=_end(spread["synthetic"], 97.5),
            meaning=f"A model that learnt {what} from synthetic data reaches {unit} {scores['synthetic']:.3f}; one that "
            f"learnt from real data, {scores['real']:.3f} ({tested}).",
            detail={"measure": unit, "synthetic": extra["synthetic"], "real": extra["real"]},
        ),
        Measured(
            name=f"{group}.ratio",
            value=ratio,
            real=1.0,
            size=size,
            low=_end(ratios, 2.5),
            high=_end(ratios, 97.5),
            gate=Gate(low=min(_SHARE, 1 - 3 * float(ratios.std())), advice=_ADVICE),
            meaning=f"Training on synthetic data gives {_percent(ratio)} of the {unit} of training on real data."
            if ratio is not None
            else f"Not measured: real data does not let {what} be predicted ({unit} {scores['real']:.3f}).",
        ),
        *_f1(group, found, what, size, seed),
        Measured(
            name=f"{group}.trts",
            value=on_synthetic,
            real=scores["real"],
            size=size,
            meaning=f"The model of the real data reaches {unit} {on_synthetic:.3f} on the synthetic rows, "
            f"{scores['real']:.3f} on real ones; much more means labels that are too easy, less means wrong ones.",
        ),
        Measured(
            name=f"{group}.augmentation",
            value=gain,
            real=0.0,
            size=size,
            low=_end(gains, 2.5),
            high=_end(gains, 97.5),
            gate=Gate(low=min(-_HARM, -3 * float(gains.std())), advice="do not add these records to real ones"),
            meaning=f"Adding the synthetic data to the real changes {unit} by {gain:+.3f} to {scores['both']:.3f} ({tested}).",
            detail={"both": extra["both"]},
        ),
    ]


def _f1(group: str, found: Predictions, what: str, size: int, seed: int) -> list[Measured]:
    """Return the macro F1: with many classes the AUC hardly moves when the most probable class is often wrong."""
    if found.task == "number":
        return []
    value, real = (macro_f1(found.truth, said.argmax(axis=1)) for said in (found.synthetic, found.real))
    random, total = np.random.default_rng(seed), len(found.truth)
    answers = [found.truth, found.synthetic.argmax(axis=1), found.real.argmax(axis=1)]
    drawn = []
    for _ in range(RESAMPLES):
        rows = random.integers(total, size=total)
        truth, one, other = (each[rows] for each in answers)
        drawn.append((macro_f1(truth, one), macro_f1(truth, other)))
    spread = np.array(drawn)
    error = float((spread[:, 0] - spread[:, 1]).std())
    return [
        Measured(
            name=f"{group}.f1",
            value=value,
            real=real,
            size=size,
            low=_end(spread[:, 0], 2.5),
            high=_end(spread[:, 0], 97.5),
            gate=Gate(low=min(_SHARE_F1 * real, real - 3 * error), advice=_ADVICE),
            meaning=f"A model that learnt {what} from synthetic data names the classes with a mean F1 of {value:.3f}; one "
            f"that learnt from real data, of {real:.3f}.",
        )
    ]


def macro_f1(truth: NDArray[Any], said: NDArray[Any]) -> float:
    """Return the mean over the classes that there are of the harmonic mean of precision and recall."""
    size = int(max(truth.max(initial=0), said.max(initial=0))) + 1
    right = np.bincount(truth[truth == said], minlength=size)
    true, told = np.bincount(truth, minlength=size), np.bincount(said, minlength=size)
    there = true > 0
    return float((2 * right[there] / (true[there] + told[there])).mean())


_ADVICE = "look at which classes are lost in detail; generate more of them, and check that labels fit"


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def _end(values: Floats, percentile: float) -> float:
    return float(np.nanpercentile(values, percentile))


def score(found: Predictions, said: Floats, *, truth: NDArray[Any] | None = None, rows: Codes | None = None) -> float:
    """Return the mean AUC of the classes, or R², of what was said; ``rows`` picks some (and some of them several times)."""
    true = found.truth if truth is None else truth
    if rows is not None:
        true, said = true[rows], said[rows]
    if found.task == "number":
        spread = float(((true - true.mean()) ** 2).sum())
        return 1 - float(((true - said) ** 2).sum()) / spread if spread else float("nan")
    counts = np.bincount(true, minlength=len(found.names))
    there = [code for code in found.judged if 0 < counts[code] < len(true)]
    areas = [mean_rank(said[true == code, code], said[true != code, code]).mean() for code in there]
    return float(np.mean(areas)) if areas else float("nan")


def _resample(found: Predictions, seed: int) -> dict[str, Floats]:
    """Return the scores of resampled holdout rows; with many rows and classes fewer rows stand for all, rescaled."""
    random = np.random.default_rng(seed)
    total = len(found.truth)
    size = min(total, max(2000, 40_000 // max(1, len(found.names))))
    names = ("synthetic", "real", "both")
    drawn: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(RESAMPLES):
        rows = random.integers(total, size=size)
        for name in names:
            drawn[name].append(score(found, getattr(found, name), rows=rows))
    return {name: _shrink(np.array(drawn[name]), np.sqrt(size / total)) for name in names}


def _shrink(values: Floats, factor: float) -> Floats:
    """Return values with their spread multiplied: the bootstrap of m out of n has √(n/m) times the error."""
    centre = np.nanmean(values)
    shrunk: Floats = centre + (values - centre) * factor
    return shrunk


def _extra(found: Predictions, said: Floats) -> dict[str, Any]:
    """Return accuracy, macro F1 and recall by class; for numbers the mean absolute error."""
    if found.task == "number":
        return {"mean_absolute_error": float(np.abs(found.truth - said).mean())}
    given, size = said.argmax(axis=1), len(found.names)
    table = np.bincount(found.truth * size + given, minlength=size * size).reshape(size, size)
    right, true = table.diagonal(), table.sum(axis=1)
    recall = {found.names[code]: float(right[code] / true[code]) for code in np.flatnonzero(true)}
    return {"accuracy": float(right.sum() / true.sum()), "macro_f1": macro_f1(found.truth, given), "recall": recall}


def _unmeasured(group: str, size: int, why: str) -> list[Measured]:
    names = ("tstr", "ratio", "f1", "trts", "augmentation")
    return [Measured(name=f"{group}.{name}", value=None, size=size, meaning=f"Not measured: {why}.") for name in names]
