"""Texts that hold items of a benchmark: their word sequences, the whole of a short item, or its meaning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from textsynth import tables
from textsynth.errors import RecipeError
from textsynth.filters import Filter, Setting, drop
from textsynth.minhash import BLOCK, Words, hash_grams, hash_words
from textsynth.passages import Catalogue, Passages, Postings, Runs, Source, read_sources
from textsynth.records import Candidate, Drop
from textsynth.text import count_words, require_fields, strings, words

if TYPE_CHECKING:
    from textsynth.embeddings import Embedder
    from textsynth.vectors import VectorIndex

_QUOTED = 80  # characters of a passage that are shown
_SHORTEST = 4  # words of an item that is looked for at all; below, labels and answers like "yes" would be
_COMMON = 10  # items; an n-gram in more of them is the benchmark's own frame (Brown et al. 2020, C: 10 documents)


@dataclass(frozen=True, slots=True)
class _Hit:
    """An item found in a text: ``share`` of its n-grams, the longest passage from word ``start``, for ``words`` words."""

    item: int
    share: float
    n: int
    start: int
    words: int


@dataclass(kw_only=True)
class Contamination(Filter):
    """Drops a record that holds an item of a benchmark, so that what is trained on it can still be tested.

    An item is each string of a benchmark's row with at least 4 words, each string of a record is looked at alone. Found is

    - an item of at least ``n`` words that shares one n-gram of words with the record, or, with ``threshold``, that share of
      its n-grams (one is the rule of Brown et al. 2020, Language Models are Few-Shot Learners, appendix C, and of
      lm-evaluation-harness, both with n = 13);
    - a shorter item from 8 words on that stands in the record as a whole (there, n is at most the item's length);
    - an item of 4 to 7 words that is the whole of a string of the record; longer texts hold such by chance.

    Case, punctuation and white space do not count. N-grams that more than 10 different items of the benchmarks share are
    their frame ("choose the best answer ...") and do not count alone. With ``embeddings``, a string of the record whose
    cosine similarity to an item reaches ``similarity`` is dropped too.

    Memory: 20 bytes an n-gram of the benchmarks and 12 an item, while reading about 100 an item; with embeddings 4 bytes
    a dimension of an item more (1.5 kB with the default model). Nothing grows with the records.

    Cannot see: without embeddings, paraphrases, translations, items edited so that fewer than ``n`` words in a row are
    left, and short items inside longer texts. With them, every swapped name or number looks like the item (80 to 91 % of
    the PAWS pairs that mean different things are at .95 or more). In both cases, items without text in the chosen columns.

    Args:
        benchmarks: where the items lie: ``{name: file, folder or Hugging Face dataset id}``, or a list of such, which are
            then named as they are written. The verdict names an item as ``NAME:ROW``, its rows counted from 0.
        columns: whose strings are items, at any depth; by default all. A benchmark may lack some, not all of them.
        n: words in a row that count, from 3 on.
        threshold: the share of an item's n-grams that must be found, above 0 and at most 1; by default one n-gram is enough.
            ``n: 3, threshold: 0.6`` finds most items with a word changed, and many that are merely alike; slow on long texts.
        fields: the fields whose strings are looked at; by default all free-text fields.
        split: which split of a Hugging Face dataset.
        limit: read at most this many rows of each benchmark.
        embeddings: a model's name (``default`` or as sentence-transformers takes it); by default none is loaded.
        similarity: the least cosine similarity that counts, above 0 and at most 1.
    """

    benchmarks: str | dict[str, str] | tuple[str, ...] = ()
    columns: tuple[str, ...] | None = None
    n: int = 13
    threshold: float | None = None
    fields: tuple[str, ...] | None = None
    split: str = "test"
    limit: int | None = None
    embeddings: str | None = None
    similarity: float = 0.9

    def __post_init__(self) -> None:
        """Refuse options out of their range."""
        self._embedder: Embedder | None = None
        if not self.benchmarks:
            raise ValueError(
                "benchmarks must name at least one file or dataset, got none (e.g. {mmlu: mmlu_test.jsonl})"
            )
        if self.n < 3:
            raise ValueError(f"n must be at least 3 words, got {self.n}")
        for name, value in (("threshold", self.threshold), ("similarity", self.similarity)):
            if value is not None and not 0 < value <= 1:
                hint = f" (did you mean {value / 100:g}?)" if 1 < value <= 100 else ""
                raise ValueError(f"{name} must be above 0 and at most 1, got {value:g}{hint}")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit must be at least 1 row, got {self.limit}")

    def prepare(self, setting: Setting) -> None:
        """Check fields and model, and read the benchmarks once, as a stream; of items with the same words, the first."""
        super().prepare(setting)
        require_fields(self.fields, setting.schema.properties)
        if self.embeddings is not None:
            from textsynth import embeddings

            if found := embeddings.problem(self.embeddings):
                raise ValueError(f"embeddings: {found}")
        self._passages = Passages(self.n)
        self._wholes = Wholes(_SHORTEST, self._passages.gram - 1)
        self._items = read_sources(self._read(), [self._passages, self._wholes])
        self._seen = self._held = 0

    def start(self) -> None:
        """Load the model, if one is named, and embed every item: the benchmarks are read a second time."""
        if self.embeddings is None:
            return
        from textsynth import embeddings
        from textsynth.vectors import VectorIndex

        self._embedder = embeddings.load(self.embeddings)
        self._embedder.start()
        self._vectors: VectorIndex | None = None
        self._embedded = Catalogue()
        sources = self._read()
        while block := list(islice(sources, BLOCK)):
            texts = [source.text for source in block]
            self._embedder.submit(texts)
            vectors = self._embedder.take(texts)
            if self._vectors is None:
                self._vectors = VectorIndex(vectors.shape[1])
            self._vectors.add(vectors, range(len(self._embedded), len(self._embedded) + len(block)))
            for source in block:
                self._embedded.add(source.label, source.row)

    def begin(self, batch: Sequence[Candidate]) -> None:
        """Have the window's texts embedded."""
        if self._embedder:
            self._embedder.submit(self._to_embed(batch))

    def ready(self, batch: Sequence[Candidate]) -> bool:
        """Return whether the window's vectors are there."""
        return self._embedder is None or self._embedder.ready(self._to_embed(batch))

    def check(self, batch: Sequence[Candidate]) -> Sequence[Drop | None]:
        """Name the benchmark item that each record holds most of."""
        texts = [self._strings(candidate) for candidate in batch]
        flat = [text for each in texts for text in each]
        hits = iter(self._find(flat))
        found: list[Drop | None] = []
        for each in texts:
            best = max(((hit, text) for text in each if (hit := next(hits))), key=_extent, default=None)
            found.append(best and self._overlap(*best))
        return self._similar(batch, found) if self._embedder else found

    def keep(self, batch: Sequence[Candidate]) -> None:
        """Count the records kept."""
        self._held += len(batch)

    def measured(self) -> Mapping[str, Any]:
        """Return what was looked for: items by benchmark, n-grams, the rule."""
        rule = "any n-gram" if self.threshold is None else f"{self.threshold:g} of an item's n-grams"
        found: dict[str, Any] = {
            "items": self._items.counts(),
            "ngrams": len(self._passages),
            "n": self.n,
            "rule": rule,
        }
        if self.embeddings is not None:
            found |= {"embeddings": self.embeddings, "similarity": self.similarity}
        return found | {"records_without": self._held}

    def close(self) -> None:
        """End the model's process."""
        if self._embedder:
            self._embedder.close()
            self._embedder = None

    def _read(self) -> Iterator[Source]:
        """Yield the items of all benchmarks."""
        given = (self.benchmarks,) if isinstance(self.benchmarks, str) else self.benchmarks
        for name, source in (given if isinstance(given, dict) else {path: path for path in given}).items():
            place = f"benchmarks.{name}"
            try:
                rows = tables.stream(
                    source, folder=self.setting.folder, place=place, split=self.split, limit=self.limit
                )
                yield from self._read_rows(name, rows)
            except RecipeError as error:
                raise ValueError(error.message) from error

    def _read_rows(self, name: str, rows: Iterator[tables.Row]) -> Iterator[Source]:
        none = True
        for number, row in enumerate(rows):
            if self.columns is not None:
                row = {column: row[column] for column in self.columns if column in row}
            for text in strings(row):
                if count_words(text) >= _SHORTEST:
                    none = False
                    yield Source(name, number, text)
        if none:
            where = "any column" if self.columns is None else f"the columns {', '.join(self.columns)}"
            raise ValueError(f"benchmarks.{name}: no text of at least {_SHORTEST} words in {where}")

    def _strings(self, candidate: Candidate) -> list[str]:
        fields = self.setting.text_fields if self.fields is None else self.fields
        record = candidate.record or {}
        return [text for name in fields if name in record for text in strings(record[name])]

    def _find(self, texts: Sequence[str]) -> list[_Hit | None]:
        """Return the item that each text holds most of."""
        hashed = hash_words(texts)
        found: list[_Hit | None] = [None] * len(texts)
        for row, item in self._wholes.find(hashed):
            found[row] = _Hit(item, 1.0, int(hashed.counts[row]), 0, int(hashed.counts[row]))
        runs = self._passages.runs(hashed)
        orders = np.minimum(self.n, self._passages.counts[runs.sources])
        long = np.flatnonzero(runs.lengths >= orders)
        if len(long) and self.threshold is not None:
            long = long[self._enough(runs.pick(long), orders[long], self.threshold)]
        if len(long):
            for row, hit in self._best(runs.pick(long), orders[long]):
                found[row] = hit
        return found

    def _enough(self, runs: Runs, orders: Any, threshold: float) -> Any:
        """Return which passages belong to an item that may have its share, were no n-gram counted twice."""
        _, pairs = np.unique(runs.rows * len(self._items) + runs.sources, return_inverse=True)
        found = np.bincount(pairs, weights=runs.lengths - orders + 1)[pairs]
        return found >= threshold * (self._passages.counts[runs.sources] - orders + 1)

    def _best(self, runs: Runs, orders: Any) -> Iterator[tuple[int, _Hit]]:
        """Yield, for each text with a passage that counts, the item it holds most of."""
        for row in np.unique(runs.rows).tolist():
            mine = np.flatnonzero(runs.rows == row)
            own = runs.pick(mine)
            chosen = _outside_frames(own, orders[mine])
            hits = [self._hit(own, orders[mine], item) for item in np.unique(own.sources[chosen]).tolist()]
            hits = [hit for hit in hits if self.threshold is None or hit.share >= self.threshold]
            if hits:
                yield row, max(hits, key=lambda hit: (hit.share, hit.words))

    def _hit(self, runs: Runs, orders: Any, item: int) -> _Hit:
        """Add up the n-grams of one item that stand in one text."""
        own = np.flatnonzero(runs.sources == item)
        n = int(orders[own[0]])
        held = np.zeros(int(self._passages.counts[item]) - n + 1, dtype=np.bool_)
        for first, length in zip(runs.theirs[own].tolist(), runs.lengths[own].tolist(), strict=True):
            held[first : first + length - n + 1] = True
        top = own[np.argmax(runs.lengths[own])]
        return _Hit(item, float(held.mean()), n, int(runs.starts[top]), int(runs.lengths[top]))

    def _overlap(self, hit: _Hit, text: str) -> Drop:
        name = self._items.name(hit.item)
        quote = " ".join(words(text)[hit.start : hit.start + hit.words])
        shown = quote[:_QUOTED] + "..." * (len(quote) > _QUOTED)
        detail = f'{hit.share:.0%} of the {hit.n}-grams of {name}, {hit.words} words in a row: "{shown}"'
        return drop(detail, score=hit.share, culprit=name)

    def _to_embed(self, batch: Sequence[Candidate]) -> list[str]:
        return [text for each in batch for text in self._strings(each) if count_words(text) >= _SHORTEST]

    def _similar(self, batch: Sequence[Candidate], found: list[Drop | None]) -> list[Drop | None]:
        """Look up what holds no item word by word among the items' vectors."""
        texts = self._to_embed(batch)
        if not texts or self._embedder is None or self._vectors is None:
            return found
        neighbours = self._vectors.search(self._embedder.take(texts))
        scores, ids = np.ravel(neighbours.scores), np.ravel(neighbours.ids)
        at = 0
        for row, candidate in enumerate(batch):
            own = range(at, at + sum(count_words(text) >= _SHORTEST for text in self._strings(candidate)))
            at = own.stop
            top = max(own, key=lambda k: float(scores[k]), default=None)
            if found[row] is None and top is not None and scores[top] >= self.similarity:
                name = self._embedded.name(int(ids[top]))
                detail = f"{scores[top]:.2f} similar in meaning to {name} (similarity {self.similarity:g})"
                found[row] = drop(detail, score=float(scores[top]), culprit=name)
        return found


class Wholes:
    """Texts of ``low`` to ``high`` words, to be found as the whole of another: 12 bytes each."""

    def __init__(self, low: int, high: int) -> None:
        self._orders = range(low, high + 1)
        self._postings = Postings()
        self._count = 0

    def add(self, words: Words) -> None:
        """Take in more texts; those of other lengths only count."""
        grams, rows = self._hash(words)
        self._postings.add(grams, rows + self._count)
        self._count += len(words.counts)

    def find(self, words: Words) -> list[tuple[int, int]]:
        """Return all pairs (row of a text, number of a stored one with the same words)."""
        grams, rows = self._hash(words)
        asked, found = self._postings.meet(grams, rows)
        return list(zip(rows[asked].tolist(), found.tolist(), strict=True))

    def _hash(self, words: Words) -> tuple[Any, Any]:
        """Return one hash per text of such a length, and its row."""
        rows = words.rows
        parts = [(np.zeros(0, dtype=np.uint64), rows[:0])]
        for order in self._orders:
            chosen = np.flatnonzero(words.counts[rows] == order)
            if len(chosen):
                only = Words(words.hashes[chosen], np.where(words.counts == order, order, 0))
                grams, starts = hash_grams(only, order)
                parts.append((grams, only.rows[starts]))
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def _extent(found: tuple[_Hit, str]) -> tuple[float, int]:
    return found[0].share, found[0].words


def _outside_frames(runs: Runs, orders: Any) -> Any:
    """Return which passages of one text have an n-gram that at most 10 items share."""
    first, last = runs.starts, runs.starts + runs.lengths - orders + 1
    if len(np.unique(runs.sources)) <= _COMMON:
        return np.arange(len(runs))
    low, size = int(first.min()), int(last.max()) + 1
    shared = np.cumsum(np.bincount(first - low, minlength=size - low) - np.bincount(last - low, minlength=size - low))
    return np.array([k for k in range(len(runs)) if shared[first[k] - low : last[k] - low].min() <= _COMMON], dtype=int)
