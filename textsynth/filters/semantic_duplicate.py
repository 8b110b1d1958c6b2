"""Texts that say in other words what one kept before says."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from textsynth import embeddings
from textsynth.filters import Filter, Setting, drop
from textsynth.records import Candidate, Drop
from textsynth.text import check_threshold, require_fields, words
from textsynth.vectors import VectorIndex

LEAST_SEEDS = 50
"""Fewer seeds say too little of how alike real examples are."""
QUANTILE = 0.95
"""Share of real examples whose nearest other one is farther than the calibrated threshold."""
MOST_WORDS = 400
"""Words of a text whose order is compared."""
_NAME = re.compile(r"(?<![.!?:] )(?<!^)\b[A-Z][\w'’-]*")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NOT = frozenset(
    "not no never none nobody nothing neither nor cannot without dont doesnt didnt isnt arent wasnt werent wont cant "
    "couldnt shouldnt wouldnt hasnt havent hadnt".split()
)


@dataclass(kw_only=True)
class SemanticDuplicate(Filter):
    """Drops a record whose text means the same as that of a record kept before.

    Two texts mean the same if their embeddings' cosine is at or above the threshold *and* their words agree: the same
    numbers, no name that each has and the other lacks, as many negations, and the words they share in the same order.
    Cosine alone is not enough: it stays above 0.95 when two names are swapped, and that is a new record. Of the stored
    texts, the nearest one is compared.

    Embedding runs in a process of its own while generation goes on. Memory a kept record: 4 bytes a dimension (1.5 kB at
    384) and its text; beyond 100,000 records a quarter more, and neighbours are found by an approximate index.

    Cannot see: what the embedding model does not read (text beyond its limit, 256 word pieces for ``default``), languages
    it does not know, a duplicate that differs in a number, a name or a negation and yet means the same ("two", "2"),
    names in scripts without capitals. Cosines repeat to the last bit on OpenVINO; on other backends they may differ
    there with the batch, and so may a verdict at the very threshold.

    Args:
        threshold: the least cosine, above 0 and at most 1; or ``seeds``: that of the nearest other example, which 95 % of
            the seeds stay below, so that records differ as much as real examples do. This needs 50 seeds, and is stricter
            the more of them there are.
        order: the least agreement in the order of shared words (Kendall's tau, -1 to 1).
        model: ``default`` (all-MiniLM-L6-v2), a folder, or the name of a sentence-transformers model.
        fields: the fields whose text is compared; by default all free-text fields.
    """

    threshold: float | Literal["seeds"] = 0.92
    order: float = 0.9
    model: str = "default"
    fields: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse options out of their range and names that no embedding model can have."""
        if self.threshold != "seeds":
            check_threshold(self.threshold)
        if not -1 <= self.order <= 1:
            raise ValueError(f"order must be between -1 and 1, got {self.order:g}")
        if wrong := embeddings.problem(self.model):
            raise ValueError(f"model: {wrong}")

    def prepare(self, setting: Setting) -> None:
        """Check the fields, the packages and, for calibration, the number of seeds; load nothing."""
        super().prepare(setting)
        require_fields(self.fields, setting.schema.properties)
        if error := embeddings.missing_package():
            raise error
        if self.threshold == "seeds" and len(setting.seeds) < LEAST_SEEDS:
            raise ValueError(
                f"threshold: seeds needs at least {LEAST_SEEDS} of them to calibrate from, got {len(setting.seeds)}"
            )
        self._embedder = embeddings.load(self.model)
        self._least = 1.0 if self.threshold == "seeds" else self.threshold
        self._index: VectorIndex | None = None
        self._texts: dict[int, str] = {}

    def start(self) -> None:
        """Load the model, and calibrate the threshold if that was asked for."""
        self._embedder.start()
        if self.threshold == "seeds":
            self._least = self._calibrate()

    def begin(self, batch: Sequence[Candidate]) -> None:
        """Have the texts embedded."""
        self._embedder.submit(self._read(batch))

    def ready(self, batch: Sequence[Candidate]) -> bool:
        """Return whether they are."""
        return self._embedder.ready(self._read(batch))

    def check(self, batch: Sequence[Candidate]) -> Sequence[Drop | None]:
        """Compare each text with those kept before and the earlier ones of the batch that are no duplicates."""
        texts = self._read(batch)
        if not any(texts):
            return [None] * len(batch)
        vectors = self._embedder.take(texts)
        stored = self._stored(len(vectors[0])).search(vectors)
        inner = vectors @ vectors.T
        found: list[Drop | None] = []
        for row, text in enumerate(texts):
            earlier = [at for at in np.flatnonzero(inner[row, :row] >= self._least).tolist() if found[at] is None]
            near = [(float(stored.scores[row]), int(stored.ids[row]))] if stored.ids[row] >= 0 else []
            near += [(float(inner[row, at]), batch[at].draw.index) for at in earlier]
            others = self._texts | {batch[at].draw.index: texts[at] for at in earlier} if earlier else self._texts
            found.append(self._judge(text, near, others) if text else None)
        return found

    def keep(self, batch: Sequence[Candidate]) -> None:
        """Remember vectors and texts."""
        pairs = [(item.draw.index, text) for item, text in zip(batch, self._read(batch), strict=True) if text]
        if pairs:
            vectors = self._embedder.take([text for _, text in pairs])
            self._stored(len(vectors[0])).add(vectors, [index for index, _ in pairs])
            self._texts.update(pairs)

    def measured(self) -> Mapping[str, Any]:
        """Say what embedded the texts, and the threshold, where that was calibrated."""
        calibrated = {"threshold_from_seeds": self._least} if self.threshold == "seeds" else {}
        return {"model": self.model, **self._embedder.facts, **calibrated}

    def close(self) -> None:
        """End the embedding process."""
        self._embedder.close()

    def _read(self, batch: Sequence[Candidate]) -> list[str]:
        return [self.setting.text(item.record or {}, self.fields).strip() for item in batch]

    def _stored(self, dimension: int) -> VectorIndex:
        if self._index is None:
            self._index = VectorIndex(dimension)
        return self._index

    def _judge(self, text: str, near: Iterable[tuple[float, int]], others: Mapping[int, str]) -> Drop | None:
        """Return the drop for the most similar of the near texts whose words agree."""
        for cosine, index in sorted(near, key=lambda pair: (-pair[0], pair[1])):
            if cosine >= self._least and (agreed := agree(text, others[index])) >= self.order:
                detail = f"cosine {cosine:.3f} with draw {index}, same names and numbers, word order {agreed:.2f}"
                return drop(f"{detail} (threshold {self._least:.3g})", score=cosine, culprit=str(index))
        return None

    def _calibrate(self) -> float:
        """Return the cosine to the nearest other seed that 95 % of the seeds stay below."""
        names = self.fields or self.setting.text_fields
        texts = list(dict.fromkeys(self.setting.text(seed.row, names).strip() for seed in self.setting.seeds))
        vectors = self._embedder.take([text for text in texts if text])
        nearest = []
        for first in range(0, len(vectors), 1024):
            table = vectors[first : first + 1024] @ vectors.T
            table[np.arange(len(table)), np.arange(first, first + len(table))] = -1
            nearest.append(table.max(axis=1))
        return float(np.quantile(np.concatenate(nearest), QUANTILE))


def agree(one: str, other: str) -> float:
    """Return how well the words of two texts agree, -1 to 1: Kendall's tau of the order of the words they share.

    It is -1 where they differ in a number, where each has a name that the other lacks, or in the number of negations.
    Texts that share fewer than two words have no order to differ in: 1.
    """
    if Counter(_NUMBER.findall(one)) != Counter(_NUMBER.findall(other)):
        return -1.0
    first, second = words(one)[:MOST_WORDS], words(other)[:MOST_WORDS]
    if _negations(first) != _negations(second) or (_other_names(one, second) and _other_names(other, first)):
        return -1.0
    return concordance(first, second)


def concordance(first: Sequence[str], second: Sequence[str]) -> float:
    """Return Kendall's tau (1938) between the orders in which two texts use the words that stand once in each."""
    places = {word: at for at, word in enumerate(second)}
    once, twice = Counter(first), Counter(second)
    order = np.array([places[word] for word in first if once[word] == 1 and twice[word] == 1])
    if len(order) < 2:
        return 1.0
    later = np.triu(np.sign(order[None, :] - order[:, None]), k=1)
    return float(later.sum() / (len(order) * (len(order) - 1) / 2))


def _negations(found: Sequence[str]) -> int:
    """Count negations; ``don't`` is read as ``don`` and ``t``."""
    return sum(word in _NOT for word in found) + sum(word == "t" for word in found)


def _other_names(text: str, others: Sequence[str]) -> bool:
    """Return whether a text has a capitalised word, not at the start of a sentence, that is none of the others."""
    known = set(others)
    return any(not known.issuperset(words(name)) for name in _NAME.findall(text))
