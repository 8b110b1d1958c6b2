"""Length, structure, word order and vocabulary of texts and dialogues beside those of real ones."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth.measure import ngrams
from textsynth.measure.measured import Gate, Measured
from textsynth.measure.sampled import SURE, choose
from textsynth.measure.wordmodel import WordModel
from textsynth.minhash import Words, hash_grams
from textsynth.text import words as split_words

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]
Dialogue = Sequence[Mapping[str, str]]
MOST = 5_000
_BINS = 10
_SLACK = 0.1
_SENTENCE = re.compile(r"[.!?]+(?=\s|$)|[。！？]|\n+")
_PRIOR = 0.01


def structure(
    synthetic: Sequence[str], train: Sequence[str], holdout: Sequence[str] | None = None, *, seed: int = 0
) -> list[Measured]:
    """Return ``fidelity.text.length``, ``.sentences``, ``.sentence_words`` and ``.word_characters``.

    Length is the Kolmogorov-Smirnov distance of words a text. The others are the Jensen-Shannon distance (root of the
    divergence to base 2; 0 to 1) of histograms over ten bins of equal weight in the real texts: sentences a text, words
    a sentence and characters a word, the last two as means of a text (as in Gretel's and NVIDIA's text structure score).
    At most 5,000 texts a side.
    """
    names = ("synthetic", "train") if holdout is None else ("synthetic", "train", "holdout")
    given = [some for some in (synthetic, train, holdout) if some is not None]
    if not all(given):
        return [_none(f"fidelity.text.{n}") for n in ("length", "sentences", "sentence_words", "word_characters")]
    shapes = dict(
        zip(names, (_shape([some[i] for i in choose(len(some), MOST, seed=seed)]) for some in given), strict=True)
    )
    columns = [{name: shape[at] for name, shape in shapes.items()} for at in range(4)]
    return [
        _two_sided("fidelity.text.length", "words a text", columns[0]),
        _histogram("fidelity.text.sentences", "sentences a text", columns[1]),
        _histogram("fidelity.text.sentence_words", "words a sentence", columns[2]),
        _histogram("fidelity.text.word_characters", "characters a word", columns[3]),
    ]


def _shape(texts: Sequence[str]) -> Floats:
    """Return words, sentences, words a sentence and characters a word (rows) of each text (columns)."""
    counts = ngrams.read(texts).counts.astype(np.float64)
    sentences = np.array([max(1, len(_SENTENCE.findall(text.strip()))) for text in texts], dtype=np.float64)
    characters = np.array([sum(map(len, text.split())) for text in texts], dtype=np.float64)
    return np.stack([counts, sentences, counts / sentences, characters / np.maximum(counts, 1)])


def distance_ks(left: Floats, right: Floats) -> float:
    """Return the Kolmogorov-Smirnov distance: the greatest difference of two distribution functions, 0 to 1."""
    left, right = np.sort(left), np.sort(right)
    at = np.concatenate([left, right])
    below = [np.searchsorted(some, at, side="right") / len(some) for some in (left, right)]
    return float(np.abs(below[0] - below[1]).max())


def critical_ks(left: int, right: int) -> float:
    """Return what the KS distance of two samples of one distribution exceeds once in a thousand times."""
    return 1.95 * math.sqrt(1 / left + 1 / right)


def distance_js(left: NDArray[Any], right: NDArray[Any]) -> float:
    """Return the Jensen-Shannon distance of two histograms: the root of the divergence to base 2, 0 to 1."""
    p, q = left / left.sum(), right / right.sum()
    mixed = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * np.log2(p / mixed), 0) + np.where(q > 0, q * np.log2(q / mixed), 0)
    return math.sqrt(max(0.0, float(terms.sum()) / 2))


def _two_sided(name: str, what: str, of: Mapping[str, Floats]) -> Measured:
    made, real, held = of["synthetic"], of["train"], of.get("holdout")
    value = distance_ks(made, real)
    usual = None if held is None else distance_ks(held, real)
    slack = max(_SLACK, critical_ks(len(made), len(real)))
    means = f"{made.mean():.4g} in synthetic texts, {real.mean():.4g} in real ones"
    gate = Gate(high=max(usual or 0.0, slack), advice=f"Ask for other {what} in the prompt or the attributes.")
    return Measured(
        name=name,
        value=value,
        real=usual,
        size=len(made),
        gate=gate,
        meaning=f"The distributions of {what} are {value:.3f} apart{_beside(usual)}; the mean is {means}.",
        detail={"quantiles": _quantiles(of)},
    )


def _beside(usual: float | None) -> str:
    return "" if usual is None else f" (real texts nobody used: {usual:.3f})"


def _histogram(name: str, what: str, of: Mapping[str, Floats]) -> Measured:
    real = of["train"]
    edges = np.unique(np.quantile(real, np.linspace(0, 1, _BINS + 1)[1:-1]))
    counts = {
        key: np.bincount(np.searchsorted(edges, some, side="right"), minlength=len(edges) + 1)
        for key, some in of.items()
    }
    value = distance_js(counts["synthetic"], counts["train"])
    usual = distance_js(counts["holdout"], counts["train"]) if "holdout" in counts else None
    sizes = sum(1 / counts[key].sum() for key in ("synthetic", "train"))
    expected = math.sqrt(
        len(edges) * sizes / (8 * math.log(2))
    )  # by chance: the divergence is half a chi-square over 4 n
    gate = Gate(high=max(usual or 0.0, _SLACK, 1.6 * expected), advice=f"Ask for other {what} in the prompt.")
    means = f"{of['synthetic'].mean():.4g} in synthetic texts, {real.mean():.4g} in real ones"
    return Measured(
        name=name,
        value=value,
        real=usual,
        size=len(of["synthetic"]),
        gate=gate,
        meaning=f"The histograms of {what} are {value:.3f} apart{_beside(usual)}; the mean is {means}.",
        detail={"edges": edges.tolist(), "counts": {key: some.tolist() for key, some in counts.items()}},
    )


def _none(name: str, why: str = "a set has no texts") -> Measured:
    return Measured(name=name, value=None, size=0, meaning=f"Not measured: {why}.")


def word_order(
    synthetic: Sequence[str], train: Sequence[str], holdout: Sequence[str], *, most: int = MOST, seed: int = 0
) -> list[Measured]:
    """Return ``fidelity.text.word_order``: do words follow each other as they do in real texts?

    A trigram model learns one half of the train texts. A text's gain is by how much the words before a word raise its log
    probability, on average: real texts gain, shuffled words lose, text chained from seen trigrams gains too much. The
    value is the KS distance of the gains of synthetic and holdout texts; ``real`` is that of the other half of train and
    the holdout. Two-sided. At most ``most`` texts a side. Embeddings that ignore word order cannot see any of it.
    """
    if min(len(synthetic), len(holdout)) < 2 or len(train) < 4:
        return [
            _none("fidelity.text.word_order", "it needs at least two synthetic and holdout texts and four train texts")
        ]
    halves = np.random.default_rng([seed, 7]).permutation(len(train))
    learnt, other = np.sort(halves[: len(train) // 2])[:most], np.sort(halves[len(train) // 2 :])[:most]
    model = WordModel(ngrams.read([train[at] for at in learnt]))
    sets = {
        "synthetic": [synthetic[at] for at in choose(len(synthetic), most, seed=seed)],
        "holdout": [holdout[at] for at in choose(len(holdout), most, seed=seed)],
        "train": [train[at] for at in other],
    }
    gains = {name: _gains(model, texts) for name, texts in sets.items()}
    if not all(map(len, gains.values())):
        return [_none("fidelity.text.word_order", "a set has no words")]
    made, held, kept = gains["synthetic"], gains["holdout"], gains["train"]
    value, usual = distance_ks(made, held), distance_ks(kept, held)
    slack = max(_SLACK, critical_ks(len(made), len(held)))
    meaning = (
        f"The words before a word raise its log probability by {made.mean():.2f} in synthetic texts and by "
        f"{held.mean():.2f} in real ones; the distributions are {value:.3f} apart{_beside(usual)}."
    )
    return [
        Measured(
            name="fidelity.text.word_order",
            value=value,
            real=usual,
            size=len(made),
            gate=Gate(
                high=max(usual, slack), advice="Words do not follow each other as in real texts: use a better model."
            ),
            meaning=meaning,
            detail={"quantiles": _quantiles(gains)},
        )
    ]


def _quantiles(of: Mapping[str, Floats]) -> dict[str, list[float]]:
    return {name: np.quantile(some, np.linspace(0, 1, 11)).tolist() for name, some in of.items()}


def _gains(model: WordModel, texts: Sequence[str]) -> Floats:
    means = model.means(ngrams.read(texts))
    gains = means[-1] - means[0]
    known: Floats = gains[~np.isnan(gains)]
    return known


def vocabulary(
    synthetic: Sequence[str],
    train: Sequence[str],
    holdout: Sequence[str] | None = None,
    *,
    show: int = 20,
    most: int = MOST,
    seed: int = 0,
) -> list[Measured]:
    """Return ``fidelity.text.vocabulary``; over- and under-used words and word pairs stand in ``detail``.

    The value is the Jensen-Shannon distance of the word frequencies. Over- and under-used words are those with the
    highest and lowest z-score of the log-odds ratio with a prior from both sides (Monroe, Colaresi and Quinn 2008,
    Fightin' Words, equation 22), each with its counts. All sets are brought to one size of ``most`` texts at most.
    """
    given = [some for some in (synthetic, train, holdout) if some is not None]
    size = min(most, *map(len, given))
    texts = [[some[at] for at in choose(len(some), size, seed=seed)] for some in given]
    read = [ngrams.read(some) for some in texts] if size else []
    if not size or not all(len(some.hashes) for some in read):
        return [_none("fidelity.text.vocabulary", "a set has no words")]
    value = _apart(read[0], read[1])
    usual = _apart(read[2], read[1]) if holdout is not None else None
    advice = "See the over-used words and pairs in the detail; ask for other openings and phrases."
    over, under = (_used(texts, read, show, sign) for sign in (1, -1))
    return [
        Measured(
            name="fidelity.text.vocabulary",
            value=value,
            real=usual,
            size=size,
            gate=None if usual is None else Gate(high=usual + _SLACK / 2, advice=advice),
            meaning=f"The word frequencies are {value:.3f} apart{_beside(usual)}. Over-used: {_names(over)}; "
            f"under-used: {_names(under)} ({size:,} texts of each).",
            detail={"over": over, "under": under},
        )
    ]


def _names(of: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(repr(one["words"]) for one in of[:3]) or "none"


def _apart(left: Words, right: Words) -> float:
    table = _Odds.of(left, right, 1)
    return distance_js(table.left, table.right)


@dataclass(frozen=True, slots=True)
class _Odds:
    """Counts of each n-gram in two sets, and z-scores of their log-odds ratio."""

    left: Floats
    right: Floats
    first: NDArray[np.int64]
    scores: Floats

    @classmethod
    def of(cls, left: Words, right: Words, order: int) -> _Odds:
        """Count the n-grams; ``first`` is the word number where each occurs first, the right set's after the left's."""
        parts = [hash_grams(some, order) for some in (left, right)]
        every = np.concatenate([grams for grams, _ in parts])
        starts = np.concatenate([parts[0][1], parts[1][1] + len(left.hashes)])
        _, first, numbers = np.unique(every, return_index=True, return_inverse=True)
        cut = len(parts[0][0])
        counts = [np.bincount(some, minlength=len(first)).astype(np.float64) for some in (numbers[:cut], numbers[cut:])]
        return cls(counts[0], counts[1], starts[first], _log_odds(*counts))


def _log_odds(left: Floats, right: Floats) -> Floats:
    prior = (left + right) * _PRIOR
    total = prior.sum()
    sides = [np.log((n + prior) / (n.sum() + total - n - prior)) for n in (left, right)]
    found: Floats = (sides[0] - sides[1]) / np.sqrt(1 / (left + prior) + 1 / (right + prior))
    return found


def _used(texts: Sequence[Sequence[str]], read: Sequence[Words], show: int, sign: int) -> list[dict[str, Any]]:
    """Return the words and pairs used most too often (sign 1) or too rarely (-1), with counts and z-score."""
    ends = np.cumsum(np.concatenate([read[0].counts, read[1].counts]))
    every = [*texts[0], *texts[1]]
    found: list[dict[str, Any]] = []
    for order in (1, 2):
        odds = _Odds.of(read[0], read[1], order)
        best = np.argsort(-sign * odds.scores, kind="stable")[:show]
        for at in best[sign * odds.scores[best] > 3]:
            row = int(np.searchsorted(ends, odds.first[at], side="right"))
            start = int(odds.first[at] - (ends[row - 1] if row else 0))
            words = " ".join(split_words(every[row])[start : start + order])
            counts = {"synthetic": int(odds.left[at]), "real": int(odds.right[at])}
            found.append({"words": words, "z": round(float(odds.scores[at]), 2), **counts})
    return sorted(found, key=lambda one: (-sign * float(one["z"]), one["words"]))[:show]


def dialogues(
    synthetic: Sequence[Dialogue],
    train: Sequence[Dialogue],
    holdout: Sequence[Dialogue] | None = None,
    *,
    vectors: Sequence[Sequence[Vectors]] = (),
) -> list[Measured]:
    """Return ``fidelity.dialogue.turns``, ``.roles`` and, with vectors, ``.adjacent``.

    Turns: KS distance of turns a dialogue. Roles: half the sum of differences between the shares of role patterns
    (the sequence of roles). Adjacent: the Wasserstein distance of the cosine between a turn and the next (key node
    dependency of Struct-Bench, Wang et al. 2025).

    Args:
        synthetic: each dialogue a sequence of turns, each an object with ``role``.
        train: as ``synthetic``.
        holdout: as ``synthetic``.
        vectors: for synthetic, train and holdout in this order: one array (turns × d, rows of length 1) per dialogue.
    """
    given = {"synthetic": synthetic, "train": train} | ({} if holdout is None else {"holdout": holdout})
    if not all(map(len, given.values())):
        return [_none(f"fidelity.dialogue.{n}", "a set has no dialogues") for n in ("turns", "roles")]
    turns = {name: np.array([len(one) for one in some], dtype=np.float64) for name, some in given.items()}
    found = [_two_sided("fidelity.dialogue.turns", "turns a dialogue", turns), _roles(given)]
    return [*found, _adjacent(dict(zip(given, vectors, strict=True)))] if vectors else found


def _roles(of: Mapping[str, Sequence[Dialogue]]) -> Measured:
    counts = {
        name: Counter(" ".join(str(turn.get("role")) for turn in one) for one in some) for name, some in of.items()
    }
    value = _variation(counts["synthetic"], counts["train"])
    usual = _variation(counts["holdout"], counts["train"]) if "holdout" in counts else None
    unseen = sum(n for pattern, n in counts["synthetic"].items() if pattern not in counts["train"])
    size = len(of["synthetic"])
    slack = max(_SLACK, SURE / math.sqrt(size))
    return Measured(
        name="fidelity.dialogue.roles",
        value=value,
        real=usual,
        size=size,
        gate=None if usual is None else Gate(high=usual + slack, advice="Draw the pattern of roles from the profile."),
        meaning=f"The role patterns are {value:.3f} apart{_beside(usual)}; {unseen} of {size} dialogues have one that "
        "no real one has.",
        detail={name: [[pattern, n] for pattern, n in some.most_common(10)] for name, some in counts.items()},
    )


def _variation(left: Counter[str], right: Counter[str]) -> float:
    return sum(abs(left[p] / left.total() - right[p] / right.total()) for p in sorted(left.keys() | right.keys())) / 2


def _adjacent(of: Mapping[str, Sequence[Vectors]]) -> Measured:
    cosines = {name: _following(some) for name, some in of.items()}
    if not all(map(len, cosines.values())):
        return _none("fidelity.dialogue.adjacent", "a set has no dialogue of two turns")
    value = distance_wasserstein(cosines["synthetic"], cosines["train"])
    usual = distance_wasserstein(cosines["holdout"], cosines["train"]) if "holdout" in cosines else None
    spread = float(cosines["train"].std()) / math.sqrt(min(map(len, cosines.values())))
    means = f"{cosines['synthetic'].mean():.3f} in synthetic dialogues, {cosines['train'].mean():.3f} in real ones"
    advice = "Answers fit their questions more or less closely than real ones; show real dialogues in the prompt."
    return Measured(
        name="fidelity.dialogue.adjacent",
        value=value,
        real=usual,
        size=len(of["synthetic"]),
        gate=None if usual is None else Gate(high=max(0.02, usual + SURE * spread), advice=advice),
        meaning=f"The cosines of adjacent turns are {value:.4f} apart{_beside(usual)}; the mean is {means}.",
        detail={"quantiles": _quantiles(cosines)},
    )


def _following(dialogues: Sequence[Vectors]) -> Floats:
    cosines = [float(a @ b) for turns in dialogues for a, b in pairwise(turns)]
    return np.array(cosines, dtype=np.float64)


def distance_wasserstein(left: Floats, right: Floats) -> float:
    """Return the Wasserstein-1 distance of two samples: the area between their distribution functions."""
    at = np.sort(np.concatenate([left, right]))
    below = [np.searchsorted(np.sort(some), at[:-1], side="right") / len(some) for some in (left, right)]
    return float(np.sum(np.abs(below[0] - below[1]) * np.diff(at)))
