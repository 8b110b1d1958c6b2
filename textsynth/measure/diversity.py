"""How varied a set of texts is, measured while it grows: several measures side by side, since each is blind to something.

Memory does not grow with the number of texts but for 220 bytes per distinct opening and skeleton: n-grams at most 128 MB
(exact to a million distinct ones of each order), a sample of 2,000 texts at most 32 MB, the compressor's window at most
150 MB (and no more than the texts), the vectors' sums 1.2 MB at 384 dimensions and at most 2,000 vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from textsynth.measure.compression import Compression
from textsynth.measure.growth import Growth
from textsynth.measure.ngrams import DistinctGrams, Sample, self_bleu, self_repetition
from textsynth.measure.phrases import Common, Phrases, opening, opening_key, phrase_key, skeleton
from textsynth.measure.spread import Coverage, Vendi
from textsynth.minhash import BLOCK, Array, hash_words
from textsynth.text import fold

ORDERS = (1, 2, 3, 4)
_SHOWN = 10  # openings and templates listed
_OVERUSED = 0.1  # share of the texts from which an opening is called over-used
_GROWN = 100  # vectors at which the Vendi score is first noted; then at every doubling


class Diversity:
    """Gathers all measures over texts, and over their embeddings where there are any.

    Texts without words are not counted. The order of texts matters to the growth curve, the sample and the ratio of
    compression; how they are divided over calls does not (past a million distinct n-grams, the curve differs slightly).

    Args:
        reference: embeddings of real examples (n × d, normalised), whose clusters the texts should reach.
    """

    def __init__(self, *, reference: Array | None = None) -> None:
        self.records = 0
        self._grams = [DistinctGrams(order) for order in ORDERS]
        self._growth, self._sample = Growth(), Sample()
        self._openings, self._skeletons = Phrases(), Phrases()
        self._compression = Compression() if Compression.available() else None
        self._vendi, self._coverage = Vendi(), Coverage(reference=reference)
        self._vendi_growth: list[tuple[int, float]] = []

    def add(self, texts: Sequence[str], vectors: Array | None = None) -> None:
        """Add texts, and their embeddings (as many rows, of length 1)."""
        if vectors is not None:
            self._add_vectors(vectors)
        filled = [(text, key) for text in texts if (key := opening_key(text)) is not None]
        for text, key in filled:
            self._openings.add(key, opening(text))
            if mould := skeleton(text):
                self._skeletons.add(phrase_key(mould), mould)
        known = [text for text, _ in filled]
        self.records += len(known)
        self._sample.add(known)
        if self._compression:
            self._compression.add(known)
        while known:
            room = min(self._growth.room, BLOCK)
            self._add_block(known[:room])
            known = known[room:]

    def report(self) -> dict[str, Any]:
        """Return every measure by name, as JSON values; what could not be measured stands under ``not_measured``."""
        sample = self._sample.texts()
        found: dict[str, Any] = {"records": self.records}
        found |= {f"distinct_{grams.order}": _rounded(grams.value()) for grams in self._grams}
        found |= {
            "self_bleu": _rounded(self_bleu(sample)),
            "self_repetition": _rounded(self_repetition(sample)),
            "sampled": len(sample),
            "compression": _rounded(self._compression.value()) if self._compression else None,
            "openings": _phrases(self._openings) | {"overused": [_advice(each) for each in self.overused()]},
            "templates": _phrases(self._skeletons),
            "growth": self._growth.value(),
        }
        found |= self._spread() if self._vendi.count else {}
        return found | {"not_measured": self._missing()}

    def overused(self) -> list[Common]:
        """Return the openings that a tenth of all texts or more have, most frequent first."""
        return [each for each in self._openings.top(_SHOWN) if each.share >= _OVERUSED]

    def opened(self, key: int) -> int:
        """Return how many texts have the opening with this key (``phrases.opening_key``)."""
        return self._openings.count(key)

    def _add_block(self, texts: Sequence[str]) -> None:
        words = hash_words(texts)
        for grams in self._grams:
            before = grams.total
            new = grams.add(words)
        self._growth.add(len(texts), grams.total - before, new)

    def _add_vectors(self, vectors: Array) -> None:
        self._coverage.add(vectors)
        while len(vectors):
            goal = _GROWN << len(self._vendi_growth)
            part, vectors = vectors[: goal - self._vendi.count], vectors[goal - self._vendi.count :]
            self._vendi.add(part)
            if self._vendi.count == goal:
                self._vendi_growth.append((goal, self._vendi.value() or 0.0))

    def _spread(self) -> dict[str, Any]:
        reached = self._coverage.value()
        return {
            "vendi": _rounded(self._vendi.value()),
            "vendi_growth": [{"records": n, "vendi": round(value, 3)} for n, value in self._vendi_growth],
            "mean_distance": _rounded(self._vendi.distance()),
            "coverage": {k: _rounded(v) for k, v in asdict(reached).items()} if reached else None,
        }

    def _missing(self) -> list[str]:
        missing = [] if self._compression else ["compression: the package zstandard is not installed"]
        return (
            missing if self._vendi.count else [*missing, "vendi, mean_distance, coverage: no embedding model was named"]
        )


def _phrases(phrases: Phrases) -> dict[str, Any]:
    top = [{"phrase": each.phrase, "count": each.count, "share": round(each.share, 4)} for each in phrases.top(_SHOWN)]
    repeated = _rounded(1 - len(phrases) / phrases.total) if phrases.total else None
    return {
        "distinct": len(phrases),
        "repeated": repeated,
        "share_of_top_10": _rounded(phrases.share_of_top(_SHOWN)),
        "top": top,
    }


def _advice(each: Common) -> str:
    return f'{each.share:.0%} begin "{fold(each.phrase)}"; ban it: sampling: {{banned: ["{each.phrase}"]}}'


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
