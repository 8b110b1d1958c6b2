"""Precision, recall, density and coverage of vectors: do the synthetic ones lie where the real ones do, and everywhere?

Each vector has a ball that reaches to its k-th neighbour in its own set; what counts is who lies in whose ball.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textsynth.measure.measured import Gate, Measured
from textsynth.measure.sampled import SURE, Interval, around, choose, difference_error, wilson

Vectors = NDArray[np.float32]
MOST = 5000
_BLOCK = 1024
_SLACK = 0.05
_ADVICE = {
    "precision": "Synthetic texts lie where no real ones do: show real examples in the prompt or lower the temperature.",
    "recall": "Kinds of real texts are missing: draw more attributes, use more and other seeds, raise the temperature.",
    "density": "Below: texts stray from the real ones. Above: they crowd around few typical ones; vary the prompt.",
    "coverage": "Parts of the real data are not reached: draw for the clusters that lack records.",
}


@dataclass(frozen=True, slots=True)
class Scores:
    """The four values of one set of vectors against another, and the standard error of the density."""

    precision: float
    recall: float
    density: float
    coverage: float
    density_error: float


def neighbourhood(
    synthetic: Vectors, train: Vectors, holdout: Vectors | None = None, *, k: int = 5, most: int = MOST, seed: int = 0
) -> list[Measured]:
    """Return ``fidelity.text.precision``, ``.recall``, ``.density`` and ``.coverage``; vectors are n × d.

    Precision and recall: Kynkäänniemi et al. 2019, Improved Precision and Recall Metric; density and coverage: Naeem et
    al. 2020, Reliable Fidelity and Diversity Metrics. All sets are brought to the same size, ``most`` vectors at most,
    by a seeded choice. Memory does not depend on it: blocks of 1,024 × ``most`` distances. Without a holdout there is
    no real-against-real value, and density alone is gated. Sets of ``k`` vectors or fewer give values of ``None``.
    """
    parts = [part for part in (synthetic, train, holdout) if part is not None]
    size = min(most, *map(len, parts))
    if size <= k:
        return [_too_few(name, len(synthetic), k) for name in _ADVICE]
    made, real, *others = [part[choose(len(part), size, seed=seed)] for part in parts]
    radii = radii_of(real, k)
    scores = score(made, real, radii, k)
    base = score(others[0], real, radii, k) if others else None
    usual = (base.precision, base.recall, base.coverage) if base else (None, None, None)
    return [
        _shares("precision", scores.precision, usual[0], size, "of the synthetic texts lie among real ones"),
        _shares("recall", scores.recall, usual[1], size, "of the real texts lie among synthetic ones"),
        _density(scores, base, size),
        _shares("coverage", scores.coverage, usual[2], size, "of the real texts have a synthetic neighbour"),
    ]


def _shares(name: str, value: float, real: float | None, size: int, what: str) -> Measured:
    interval, gate = wilson(value * size, size), None
    beside = ""
    if real is not None:
        slack = max(_SLACK, SURE * difference_error(real, size, size))
        gate = Gate(low=max(0.0, real - slack), advice=_ADVICE[name])
        beside = f"; of real texts nobody used it is {real:.1%}"
    return _measured(name, value, real, size, interval, gate, f"{value:.1%} {what}{beside} ({size:,} of each).")


def _density(scores: Scores, base: Scores | None, size: int) -> Measured:
    usual = base.density if base else 1.0
    slack = max(
        0.3 * usual, SURE * np.hypot(scores.density_error, base.density_error if base else scores.density_error)
    )
    gate = Gate(low=max(0.0, usual - slack), high=usual + slack, advice=_ADVICE["density"])
    beside = f"; real texts nobody used lie in {base.density:.2f} times as many" if base else ""
    meaning = (
        f"Synthetic texts lie in {scores.density:.2f} times as many neighbourhoods of real texts as those do{beside}."
    )
    interval = around(scores.density, scores.density_error)
    return _measured("density", scores.density, base.density if base else None, size, interval, gate, meaning)


def _measured(
    name: str, value: float, real: float | None, size: int, interval: Interval, gate: Gate | None, meaning: str
) -> Measured:
    return Measured(
        name=f"fidelity.text.{name}",
        value=value,
        real=real,
        size=size,
        low=interval.low,
        high=interval.high,
        gate=gate,
        meaning=meaning,
    )


def _too_few(name: str, size: int, k: int) -> Measured:
    meaning = f"Not measured: every set needs more than {k} texts."
    return Measured(name=f"fidelity.text.{name}", value=None, size=size, meaning=meaning)


def squares_of(left: Vectors, right: Vectors) -> Vectors:
    """Return the squared distances of every row of ``left`` to every row of ``right``, at least 0."""
    found: Vectors = left @ right.T
    found *= -2
    found += np.einsum("ij,ij->i", left, left)[:, None]
    found += np.einsum("ij,ij->i", right, right)[None, :]
    np.maximum(found, 0, out=found)
    return found


def radii_of(vectors: Vectors, k: int) -> Vectors:
    """Return the squared distance of each vector to its k-th neighbour among the others."""
    found = np.empty(len(vectors), dtype=np.float32)
    for start in range(0, len(vectors), _BLOCK):
        squares = squares_of(vectors[start : start + _BLOCK], vectors)
        found[start : start + _BLOCK] = np.partition(squares, k, axis=1)[:, k]  # the nearest is the vector itself
    return found


def score(made: Vectors, real: Vectors, radii: Vectors, k: int) -> Scores:
    """Return the four values of ``made`` (n × d) against ``real`` (m × d), whose squared ``radii_of`` are known (m)."""
    own = radii_of(made, k)
    inside = np.zeros(len(made))
    recalled, covered = np.zeros(len(real), dtype=np.bool_), np.zeros(len(real), dtype=np.bool_)
    for start in range(0, len(made), _BLOCK):
        squares = squares_of(made[start : start + _BLOCK], real)
        within = squares <= radii
        inside[start : start + _BLOCK] = within.sum(axis=1)
        covered |= within.any(axis=0)
        recalled |= (squares <= own[start : start + _BLOCK, None]).any(axis=0)
    return Scores(
        precision=float((inside > 0).mean()),
        recall=float(recalled.mean()),
        density=float(inside.mean() / k),
        coverage=float(covered.mean()),
        density_error=float(inside.std() / k / np.sqrt(len(made))),
    )
