"""Do texts change with a protected attribute? By pairs of texts of one plan with the attribute swapped, or by lexicons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth.measure.measured import Gate, Measured

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]

SMALLEST = 30
"""Fewest pairs, or texts of a group."""
RESAMPLES = 200
_MOVED = 0.05  # of the mean text (embeddings have length 1): too little to matter
_DRIFT = 0.2  # standard deviations: what Cohen (1988) calls a small effect


def swap(
    first: Vectors,
    second: Vectors,
    *,
    attribute: str,
    real_first: Vectors | None = None,
    real_second: Vectors | None = None,
    seed: int = 0,
) -> Measured:
    """Return ``bias.swap.A``: how far the mean text moves if only the attribute A changes.

    The value is the length of the mean difference of the embeddings, less what chance adds (the trace of its
    covariance). Beside it stands the distance between the real texts of the two groups: those differ in their plans
    too, so a swap should move texts by less. The p-value flips the signs of differences at random.

    Args:
        first: embeddings (n × d) of texts of n plans with one value of the attribute.
        second: those of the same plans with the other value, in the same order.
        real_first: embeddings of real texts with the one value.
        real_second: with the other.

    Raises:
        ValueError: the pairs are not as many on both sides.
    """
    if first.shape != second.shape:
        raise ValueError(f"swap needs pairs: {len(first)} texts on one side, {len(second)} on the other")
    name = f"bias.swap.{attribute}"
    if len(first) < SMALLEST:
        why = f"it needs {SMALLEST} pairs of texts, got {len(first)}"
        return Measured(name=name, value=None, size=len(first), meaning=f"Not measured: {why}.")
    differences = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    random = np.random.default_rng(seed)
    value = shift(differences)
    drawn = np.array([shift(differences[random.integers(len(first), size=len(first))]) for _ in range(RESAMPLES)])
    flipped = [shift(differences * random.choice((-1, 1), (len(first), 1))) for _ in range(RESAMPLES)]
    chance = (1 + sum(each >= value for each in flipped)) / (1 + RESAMPLES)
    real = _between(real_first, real_second)
    error = 3 * float(drawn.std())
    told = f"Swapping {attribute} in the same plan moves the mean text by {value:.3f} (p = {chance:.3f})"
    told += f"; real texts of the two groups lie {real:.3f} apart." if real is not None else "."
    return Measured(
        name=name,
        value=value,
        real=real,
        size=len(first),
        low=float(np.percentile(drawn, 2.5)),
        high=float(np.percentile(drawn, 97.5)),
        gate=Gate(
            high=max(_MOVED, real + error, *flipped),
            advice=f"leave {attribute} out of the prompt where the text need not show it",
        )
        if real is not None
        else None,
        meaning=told,
        detail={"p": chance},
    )


def shift(differences: Floats) -> float:
    """Return the length of the mean of vectors (n × d) without the part that chance adds to it."""
    mean = differences.mean(axis=0)
    chance = differences.var(axis=0, ddof=1).sum() / len(differences)
    return float(np.sqrt(max(0.0, float(mean @ mean) - float(chance))))


def _between(first: Vectors | None, second: Vectors | None) -> float | None:
    if first is None or second is None or min(len(first), len(second)) < SMALLEST:
        return None
    mean = first.mean(axis=0, dtype=np.float64) - second.mean(axis=0, dtype=np.float64)
    chance = sum(float(side.var(axis=0, ddof=1).sum()) / len(side) for side in (first, second))
    return float(np.sqrt(max(0.0, float(mean @ mean) - chance)))


@dataclass(frozen=True, slots=True)
class Leaning:
    """How much nearer the texts of each group lie to one lexicon than to another: mean, error, and spread of all texts."""

    means: Mapping[str, float]
    errors: Mapping[str, float]
    spread: float


def association(
    vectors: Vectors,
    groups: Sequence[Any],
    *,
    attribute: str,
    real: Vectors,
    real_groups: Sequence[Any],
    lexicons: Mapping[str, Vectors],
    holdout: Vectors | None = None,
    holdout_groups: Sequence[Any] = (),
) -> Measured:
    """Return ``bias.text.A``: how much more the texts of two groups differ in leaning to a lexicon than real ones do.

    After the word embedding association test (Caliskan et al. 2017), on texts: a text leans by its mean cosine to the
    words of the first lexicon less that to the second. The groups are those that lean most differently in the real
    texts; the value is their difference in synthetic texts minus that in real ones, in standard deviations of real
    texts. The interval is normal.

    Args:
        vectors: embeddings of the synthetic texts (n × d, of length 1); ``groups`` names the group of each.
        lexicons: embeddings of the words of two lexicons, by their names.

    Raises:
        ValueError: not two lexicons.
    """
    if len(lexicons) != 2:
        raise ValueError(f"association needs two lexicons, got {len(lexicons)}: {', '.join(lexicons)}")
    name = f"bias.text.{attribute}"
    sides = [(vectors, groups), (real, real_groups), *([(holdout, holdout_groups)] if holdout is not None else [])]
    leanings = [_lean(side, of, lexicons) for side, of in sides]
    shared = sorted(set(leanings[0].means) & set(leanings[1].means))
    if len(shared) < 2:
        why = f"fewer than two groups of {attribute} have {SMALLEST} synthetic and real texts"
        return Measured(name=name, value=None, size=len(vectors), meaning=f"Not measured: {why}.")
    top = max(shared, key=lambda group: leanings[1].means[group])
    bottom = min(shared, key=lambda group: leanings[1].means[group])
    unit = leanings[1].spread or 1.0
    gaps = [_gap_of(each, top, bottom, unit) for each in leanings]
    value = gaps[0] - gaps[1] if gaps[0] is not None and gaps[1] is not None else 0.0
    error = float(np.sqrt(sum(each.errors[g] ** 2 for each in leanings[:2] for g in (top, bottom)))) / unit
    third = gaps[2] if len(gaps) > 2 else None
    honest = third - gaps[1] if third is not None and gaps[1] is not None else None
    band = max(_DRIFT, abs(honest or 0.0) + 3 * error)
    one, other = lexicons
    return Measured(
        name=name,
        value=value,
        real=honest,
        size=len(vectors),
        low=value - 1.96 * error,
        high=value + 1.96 * error,
        gate=Gate(
            low=-band, high=band, advice="look at the texts of both groups; change the prompt, or the seeds it shows"
        ),
        meaning=f"Texts of {top} lean more to {one} (against {other}) than texts of {bottom} by {gaps[0]:.2f} standard deviations "
        f"in synthetic data, {gaps[1]:.2f} in real data.",
        detail={"groups": {group: [each.means.get(group) for each in leanings] for group in shared}},
    )


def _lean(vectors: Vectors, groups: Sequence[Any], lexicons: Mapping[str, Vectors]) -> Leaning:
    one, other = (np.asarray(words, np.float64).mean(axis=0) for words in lexicons.values())
    leaning = np.asarray(vectors, np.float64) @ (one - other)
    of = np.array([str(group) for group in groups])
    means, errors = {}, {}
    for group in sorted(set(of.tolist())):
        members = leaning[of == group]
        if len(members) >= SMALLEST:
            means[group] = float(members.mean())
            errors[group] = float(members.std(ddof=1) / np.sqrt(len(members)))
    return Leaning(means, errors, float(leaning.std()))


def _gap_of(found: Leaning, top: str, bottom: str, unit: float) -> float | None:
    if top not in found.means or bottom not in found.means:
        return None
    return (found.means[top] - found.means[bottom]) / unit
