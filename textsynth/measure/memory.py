"""Word runs and personal values of real texts that stand in synthetic texts, less what unused real texts share too.

Texts are read as ``textsynth.text.word_bytes`` reads them. Gates are alarms for memorisation, no proof of privacy.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from textsynth.measure import ngrams
from textsynth.measure.measured import Gate, Measured
from textsynth.measure.sampled import SURE, Floats, Rows, around, choose, clustered_error, wilson
from textsynth.minhash import BLOCK, Words, hash_grams, hash_words
from textsynth.passages import Passages, shared_grams
from textsynth.pii import Detector
from textsynth.text import word_bytes

Hashes = NDArray[np.uint64]
GRAM = 8
LONG = 13
MOST = 20_000
REFERENCES = 50_000
_SHOWN = 5
_SPAN = 30  # words that two texts may share by chance
_LONGER = 6  # one of three equal sets has the six longest runs once in 700 times
_VALUE_WORDS = 12
_ADVICE = "Memorisation alarm: {what}. Use fewer or other seed records, a copied-passage filter, or another model."


@dataclass(frozen=True, slots=True)
class _Copied:
    """Of each text: the share of its 8-grams and whether any 13-gram stands in a source, the longest run of words and where
    it is, and a number that texts with the same words share.
    """

    shares: Floats
    long: NDArray[np.bool_]
    spans: Rows
    places: list[dict[str, int]]
    alike: Rows


def memorised(
    synthetic: Sequence[str],
    train: Sequence[str],
    holdout: Sequence[str],
    *,
    most: int = MOST,
    references: int = REFERENCES,
    seed: int = 0,
) -> list[Measured]:
    """Return ``privacy.ngrams``, ``privacy.passages`` and ``privacy.longest_copy``.

    N-grams: mean share of a synthetic text's 8-grams that stand in train, less the same in the holdout. Passages: share of
    synthetic texts with any 13-gram of train, less the same of the holdout. Longest copy: words of the longest run that a
    synthetic text shares with a train text; its rows, not its words, are in ``detail``. Alarm if it is three times as long as
    any that holdout texts share with train, or synthetic texts with the holdout (the limit is noisy: boilerplate), or if
    runs of six train texts are longer than all of those; runs of up to 30 words are never one. ``real`` is the same
    of holdout texts, for the first two 0. Train and holdout are brought to one size of ``references`` at most; ``most``
    texts are compared with them.
    """
    size = min(len(train), len(holdout), references)
    if not size or not len(synthetic):
        return [_none(name, "a set has no texts") for name in ("ngrams", "passages", "longest_copy")]
    rows = [
        choose(len(synthetic), most, seed=seed),
        choose(len(train), size, seed=seed),
        choose(len(holdout), size, seed=seed),
    ]
    made, known, held = ([part[i] for i in at] for part, at in zip((synthetic, train, holdout), rows, strict=True))
    sources = _index(known)
    copied, usual = _copied(made, sources), _copied([held[i] for i in choose(size, most, seed=seed)], sources)
    control = _copied(made, _index(held))
    grams = [part.shares for part in (copied, control, usual)]
    long = [part.long.astype(np.float64) for part in (copied, control, usual)]
    return [
        _excess("ngrams", grams, copied.alike, f"of the {GRAM}-word runs of synthetic texts stand in"),
        _excess("passages", long, copied.alike, f"of the synthetic texts share {LONG} words in a row with"),
        _longest(copied, usual, control, rows[0], rows[1]),
    ]


def _none(name: str, why: str) -> Measured:
    return Measured(name=f"privacy.{name}", value=None, size=0, meaning=f"Not measured: {why}.")


def _index(texts: Sequence[str]) -> Passages:
    return Passages(GRAM, texts)


def _copied(texts: Sequence[str], sources: Passages) -> _Copied:
    parts = [_copied_block(texts[start : start + BLOCK], sources) for start in range(0, len(texts), BLOCK)]
    return _Copied(
        shares=np.concatenate([part.shares for part in parts]),
        long=np.concatenate([part.long for part in parts]),
        spans=np.concatenate([part.spans for part in parts]),
        places=[place for part in parts for place in part.places],
        alike=np.concatenate([part.alike for part in parts]),
    )


def _copied_block(texts: Sequence[str], sources: Passages) -> _Copied:
    words = hash_words(texts)
    runs = sources.runs(words)
    runs = runs.pick(np.flatnonzero(runs.lengths >= GRAM))
    found = sources.longest(runs, words)
    spans = np.array([passage.words if passage else 0 for passage in found], dtype=np.int64)
    places = [{"train": p.id, "start": p.start} if p else {} for p in found]
    alike = np.array([xxh3_64_intdigest(word_bytes(text)) >> 1 for text in texts], dtype=np.int64)
    return _Copied(shared_grams(runs, words, GRAM), shared_grams(runs, words, LONG) > 0, spans, places, alike)


def _excess(name: str, shares: Sequence[Floats], alike: Rows, what: str) -> Measured:
    """Return how much more synthetic texts share with train than with the holdout; ``shares`` also has holdout with train."""
    made, control, usual = shares
    apart = made - control
    value, error = float(apart.mean()), clustered_error(apart, alike)
    effective = len(alike) ** 2 / np.square(np.unique(alike, return_counts=True)[1]).sum()
    seen = max(float(control.mean()), float(usual.mean()), 1 / effective)
    spread = math.sqrt(2 * seen * (1 - min(seen, 0.99)) / effective)
    interval = around(value, error)
    return Measured(
        name=f"privacy.{name}",
        value=value,
        real=0.0,
        size=len(apart),
        low=interval.low,
        high=interval.high,
        gate=Gate(
            high=max(0.01, SURE * max(error, spread)),
            advice=_ADVICE.format(what="word runs of train texts come back"),
        ),
        meaning=f"{made.mean():.2%} {what} a train text, {control.mean():.2%} a holdout text: {value:+.2%} too many. "
        f"Of holdout texts {usual.mean():.2%} do so with train.",
        detail={"train": float(made.mean()), "holdout": float(control.mean()), "holdout_in_train": float(usual.mean())},
    )


def _longest(copied: _Copied, usual: _Copied, control: _Copied, synthetic: Rows, train: Rows) -> Measured:
    value, real, held = (int(part.spans.max()) for part in (copied, usual, control))
    high = [float(np.quantile(part.spans, 0.99)) for part in (copied, usual)]
    best = np.argsort(-copied.spans, kind="stable")[:_SHOWN]
    shown = [
        {
            "synthetic": int(synthetic[at]),
            "train": int(train[copied.places[at]["train"]]),
            "words": int(copied.spans[at]),
        }
        for at in best
        if copied.spans[at]
    ]
    usual_most = max(real, held)
    longer = len({place["train"] for place, span in zip(copied.places, copied.spans, strict=True) if span > usual_most})
    limit = max(_SPAN, usual_most if longer >= _LONGER else 3 * usual_most)
    where = f", of synthetic text {shown[0]['synthetic']} and train text {shown[0]['train']}" if shown else ""
    return Measured(
        name="privacy.longest_copy",
        value=float(value),
        real=float(real),
        size=len(copied.spans),
        gate=Gate(
            high=float(limit),
            advice=_ADVICE.format(what="a long passage of a train text comes back"),
        ),
        meaning=f"The longest run of words shared with a train text has {value} words{where}; of holdout texts {real}. "
        f"99 % of the synthetic texts share at most {high[0]:.0f} words, of holdout texts {high[1]:.0f}.",
        detail={"p99": high[0], "p99_real": high[1], "longest": shown, "longest_holdout": held, "longer": longer},
    )


def replayed(
    synthetic: Sequence[str],
    train: Sequence[str],
    holdout: Sequence[str],
    *,
    detector: Detector | None = None,
    most: int = MOST,
    seed: int = 0,
) -> list[Measured]:
    """Return ``privacy.personal_values``: personal values of train texts that stand in synthetic texts, less the holdout's.

    A value is what the detector finds in a real text (an e-mail address, an account number, a name in a set phrase),
    read as words; it counts if its words stand in a row inside any synthetic text. Values of one type that train and
    holdout both have are public and count for neither. Train and holdout are brought to one size of ``most`` texts at
    most; all synthetic texts are read. ``real`` is the number of holdout values that stand in synthetic texts: chance.
    The values themselves are not in the result.
    """
    size = min(len(train), len(holdout), most)
    if not size or not len(synthetic):
        return [_none("personal_values", "a set has no texts")]
    find = detector or Detector()
    known, held = (_values([part[i] for i in choose(len(part), size, seed=seed)], find) for part in (train, holdout))
    public = known.keys() & held.keys()
    hits = [Counter(_standing({k: t for k, t in some.items() if k not in public}, synthetic)) for some in (known, held)]
    counts = {kind: {"train": hits[0][kind], "holdout": hits[1][kind]} for kind in sorted(hits[0] | hits[1])}
    return [_replay(counts, len(known), len(held), len(public), len(synthetic))]


def _replay(counts: Mapping[str, Any], known: int, held: int, public: int, size: int) -> Measured:
    train, control = (sum(one[side] for one in counts.values()) for side in ("train", "holdout"))
    kinds = ", ".join(f"{name} {one['train']}" for name, one in counts.items() if one["train"]) or "none"
    shares = [wilson(hits, max(total - public, 1)) for hits, total in ((train, known), (control, held))]
    return Measured(
        name="privacy.personal_values",
        value=float(train - control),
        real=float(control),
        size=size,
        gate=Gate(
            high=2 + SURE * math.sqrt(train + control) * (control > 0),
            advice=_ADVICE.format(what="personal values come back"),
        ),
        meaning=f"{train} of {known - public} personal values of train texts stand in synthetic texts ({kinds}), "
        f"{control} of {held - public} of the holdout; {public} that both have are not counted.",
        detail={
            "types": dict(counts),
            "train_share": [shares[0].low, shares[0].high],
            "holdout_share": [shares[1].low, shares[1].high],
        },
    )


def _values(texts: Sequence[str], detector: Detector) -> dict[int, tuple[str, int]]:
    """Return the values found, each as the hash of its words, with its type and its number of words."""
    found: list[tuple[str, str]] = []
    for start in range(0, len(texts), BLOCK):
        block = texts[start : start + BLOCK]
        found += [
            (f.type, text[f.start : f.end])
            for text, some in zip(block, detector.find(block), strict=True)
            for f in some
        ]
    kinds, words = [kind for kind, _ in found], ngrams.read([value for _, value in found])
    values: dict[int, tuple[str, int]] = {}
    for order in range(1, _VALUE_WORDS + 1):
        at = np.flatnonzero(words.counts == order)
        only = Words(words.hashes[np.repeat(words.counts == order, words.counts)], words.counts[at])
        for key, row in zip(hash_grams(only, order)[0].tolist(), at.tolist(), strict=True):
            values.setdefault(key, (kinds[row], order))
    return values


def _standing(values: Mapping[int, tuple[str, int]], texts: Sequence[str]) -> list[str]:
    """Return the types of the values whose words stand in a row in any of the texts, one entry per value."""
    wanted: dict[int, Hashes] = {}
    for order in sorted({order for _, order in values.values()}):
        keys = np.array([key for key, (_, n) in values.items() if n == order], dtype=np.uint64)
        wanted[order] = np.sort(keys)
    found = {order: np.zeros(len(keys), dtype=np.bool_) for order, keys in wanted.items()}
    for start in range(0, len(texts), BLOCK):
        words = hash_words(texts[start : start + BLOCK])
        for order, keys in wanted.items():
            found[order] |= np.isin(keys, hash_grams(words, order)[0])
    return [values[int(key)][0] for order, keys in wanted.items() for key in keys[found[order]]]
