"""Attacks that ask whether a text was among the real ones: by distance, by density, by a language model, by canaries.

Every attack is run on train records and, as a control, on records that nobody used. Gates are alarms, no proof of privacy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textsynth.measure import ngrams
from textsynth.measure.attacks import attack
from textsynth.measure.canaries import Planted, echo, plant
from textsynth.measure.inference import inference
from textsynth.measure.measured import Measured
from textsynth.measure.sampled import Floats, Rows, choose
from textsynth.measure.wordmodel import WordModel

__all__ = ["Planted", "echo", "inference", "plant", "text_membership", "vector_membership"]

Vectors = NDArray[np.float32]
MOST = 2000
_BLOCK = 256
_FEWEST = 10


def vector_membership(
    synthetic: Vectors, train: Vectors, holdout: Vectors, *, most: int = MOST, references: int = 20_000, seed: int = 0
) -> list[Measured]:
    """Return ``privacy.membership.nearest`` and ``.density``: AUC of two attacks on vectors (n × d, of length 1).

    Nearest: a record is taken for a member if a synthetic one is near (cosine). Density: if the synthetic density there is
    high for the real density (DOMIAS, van Breugel et al. 2023, equation 2), both by the distance to the nearest.
    The real density is that of one half of train and of the holdout; the other halves are attacked, ``most`` of each at
    most, with ``references`` synthetic records at most. Both halves count alike, so that texts that are near each other
    inside train, or inside the holdout, favour neither. 0.5 is chance.
    """
    sides = _split(len(train), len(holdout), seed)
    if len(sides) < _FEWEST or len(synthetic) < _FEWEST:
        return [_none(name, f"every set needs at least {2 * _FEWEST} texts") for name in ("nearest", "density")]
    attacked = [train[sides.train_attacked[:most]], holdout[sides.holdout_attacked[:most]]]
    reference = np.concatenate(
        [train[sides.train_known[: references // 2]], holdout[sides.holdout_known[: references // 2]]]
    )
    made = synthetic[choose(len(synthetic), references, seed=seed)]
    near, real = ([_nearest(some, sources) for some in attacked] for sources in (made, reference))
    ratios = [np.log(r + 1e-6) - np.log(n + 1e-6) for n, r in zip(near, real, strict=True)]
    return [
        attack("nearest", -near[0], -near[1], "the nearest synthetic text", seed=seed),
        attack("density", ratios[0], ratios[1], "synthetic density over real density", seed=seed),
    ]


def _none(name: str, why: str) -> Measured:
    return Measured(name=f"privacy.membership.{name}", value=None, size=0, meaning=f"Not measured: {why}.")


def _nearest(some: Vectors, references: Vectors) -> Floats:
    """Return the distance (1 - cosine) of each row to its nearest reference."""
    best = [(some[start : start + _BLOCK] @ references.T).max(axis=1) for start in range(0, len(some), _BLOCK)]
    found: Floats = np.maximum(1 - np.concatenate(best).astype(np.float64), 0)
    return found


def text_membership(
    synthetic: Sequence[str],
    train: Sequence[str],
    holdout: Sequence[str],
    *,
    most: int = MOST,
    learn: int = 20_000,
    seed: int = 0,
) -> list[Measured]:
    """Return ``privacy.membership.language_model``: AUC of an attack by two trigram models.

    One learns the synthetic texts, one as many real texts, of one half of train and of the holdout in equal parts. A text's
    score is the difference of its mean log probabilities (likelihood ratio with a reference model, Carlini et al. 2021,
    Extracting Training Data, section 5); the other half of train are the members, that of the holdout the others, ``most`` of
    each at most. ``learn`` texts at most are learnt from.
    """
    sides = _split(len(train), len(holdout), seed)
    if len(sides) < 5 or len(synthetic) < 5:
        return [_none("language_model", "every set needs at least ten texts")]
    count = min(len(synthetic), 2 * len(sides), learn)
    made = [synthetic[at] for at in choose(len(synthetic), count, seed=seed).tolist()]
    known = [train[at] for at in sides.train_known[: count // 2]] + [
        holdout[at] for at in sides.holdout_known[: count // 2]
    ]
    models = [WordModel(ngrams.read(some)) for some in (made, known)]
    attacked = (train, sides.train_attacked), (holdout, sides.holdout_attacked)
    scores = [_ratio(models, [part[at] for at in rows[:most].tolist()]) for part, rows in attacked]
    if not all(map(len, scores)):
        return [_none("language_model", "a set has no words")]
    return [attack("language_model", scores[0], scores[1], "a trigram model of the synthetic texts", seed=seed)]


@dataclass(frozen=True, slots=True)
class _Sides:
    """Rows of train and holdout that the attacker knows, as many of both, and rows that are attacked."""

    train_known: Rows
    train_attacked: Rows
    holdout_known: Rows
    holdout_attacked: Rows

    def __len__(self) -> int:
        """Count the rows known of each."""
        return len(self.train_known)


def _split(train: int, holdout: int, seed: int) -> _Sides:
    half, random = min(train, holdout) // 2, np.random.default_rng([seed, 11])
    orders = [random.permutation(size) for size in (train, holdout)]
    return _Sides(orders[0][:half], orders[0][half : 2 * half], orders[1][:half], orders[1][half : 2 * half])


def _ratio(models: Sequence[WordModel], texts: Sequence[str]) -> Floats:
    words = ngrams.read(texts)
    made, real = (model.means(words)[-1] for model in models)
    apart = made - real
    known: Floats = apart[~np.isnan(apart)]
    return known
