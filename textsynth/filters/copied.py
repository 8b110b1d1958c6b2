"""Texts taken over from a seed or another real set: all of it, nearly all of it, a long passage, or many short ones."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from textsynth import tables
from textsynth.errors import RecipeError
from textsynth.filters import Filter, Setting, drop
from textsynth.minhash import BLOCK, hash_words
from textsynth.passages import GRAM, Nearest, Passage, Passages, Sample, Source, read_sources, shared_grams
from textsynth.records import Candidate, Drop
from textsynth.text import check_threshold, join_text, require_fields, strings, words

_QUOTED = 80  # characters of a passage that are shown
_REPORTED = (8, 13)  # lengths of n-grams whose overlap is measured
_SAMPLED = 2000  # real examples whose distances to their nearest are taken


@dataclass(frozen=True, slots=True)
class _Figures:
    """What one text shares with the real examples; ``nearest`` is the source's number, or -1."""

    nearest: int
    similarity: float
    passage: Passage | None
    longest: int
    shares: Mapping[int, float]


@dataclass(kw_only=True)
class Copied(Filter):
    """Drops a record that repeats a real example: a seed, whether or not it was shown to the model, or a reference row.

    Two rules always hold: the texts' word shingles are alike (``near_duplicate``'s measure), or they share ``span`` words
    in a row. Where either text is shorter than ``span``, the whole of it must lie in the other, and at least 8 words.

    Two more can be asked for. ``overlap`` counts the record's n-grams that stand in any real example, which finds what was
    pieced together. ``closer`` drops a record whose nearest real example is nearer than real examples are to each other:
    its distance (1 - shingle Jaccard) is below that quantile of the distances from real examples to the nearest other one
    (the distance to closest record of privacy measures, e.g. Platzer and Reutterer 2021, with distances among real rows in
    the place of a holdout). It is off by default, because that share of real examples would be dropped too, and where real
    examples share no shingles at all it only says what ``threshold`` says better; the card states it in any case.

    Memory: about 35 bytes a word of the real examples and 12 bytes each; 16 bytes a kept record.

    Cannot see: paraphrases, translations, reordered or edited copies without 8 words in a row, what was learnt by heart
    from elsewhere. Of a text whose shingles stand in 260,000 places, the commonest are looked up in one place only.

    Args:
        threshold: the least Jaccard similarity that counts as a copy, above 0 and at most 1.
        span: words in a row that count as a copy (13: Brown et al. 2020, Language Models are Few-Shot Learners, C).
        fields: the fields whose text is compared; by default all free-text fields. Of seeds and reference rows that have
            none of them, every string is read.
        reference: more real examples: files (relative to the recipe), folders or Hugging Face datasets (split ``train``).
            The verdict names a row as ``FILE:ROW``, counted from 0.
        overlap: by length n (at least 8), the share of the record's n-grams found in real examples that counts as a copy,
            e.g. ``{8: 0.5}``.
        closer: the quantile of real-to-real distances that a record must not go below, between 0 and 1, e.g. 0.05.
    """

    threshold: float = 0.8
    span: int = 13
    fields: tuple[str, ...] | None = None
    reference: str | tuple[str, ...] = ()
    overlap: dict[int, float] = field(default_factory=dict)
    closer: float | None = None

    def __post_init__(self) -> None:
        """Refuse options out of their range."""
        check_threshold(self.threshold)
        if self.span < 2:
            raise ValueError(f"span must be at least 2 words, got {self.span}")
        for n, share in self.overlap.items():
            if n < GRAM:
                raise ValueError(f"overlap: n-grams must have at least {GRAM} words, got {n}")
            if not 0 < share <= 1:
                raise ValueError(f"overlap: the share of {n}-grams must be above 0 and at most 1, got {share:g}")
        if self.closer is not None and not 0 < self.closer < 1:
            raise ValueError(f"closer must be a quantile between 0 and 1, got {self.closer:g}")

    def prepare(self, setting: Setting) -> None:
        """Check that the fields exist and read every real example once; of those with the same words, the first."""
        super().prepare(setting)
        require_fields(self.fields, setting.schema.properties)
        self._nearest, self._passages = Nearest(), Passages(self.span)
        sample = Sample(_SAMPLED, seed=setting.seed)
        self._sources = read_sources(self._read(), [self._nearest, self._passages, sample])
        self._real = np.sort(sample.distances(self._nearest))
        self._least = float(np.quantile(self._real, self.closer)) if self.closer and len(self._real) else 0.0
        self._checked: dict[int, tuple[Candidate, _Figures]] = {}
        self._kept = {name: array("f") for name in ("longest", "distance", *map(str, _REPORTED))}

    def check(self, batch: Sequence[Candidate]) -> Sequence[Drop | None]:
        """Name the real example each text is most similar to, or else shares its longest passage with."""
        texts = [self.setting.text(candidate.record or {}, self.fields) for candidate in batch]
        figures = self._measure(texts)
        self._checked = {id(candidate): (candidate, each) for candidate, each in zip(batch, figures, strict=True)}
        return [self._judge(text, each) for text, each in zip(texts, figures, strict=True)]

    def keep(self, batch: Sequence[Candidate]) -> None:
        """Add up what the records kept share with the real examples; those of the batch checked last are not read again."""
        for start in range(0, len(batch), BLOCK):
            block = batch[start : start + BLOCK]
            known = [self._checked.get(id(candidate)) for candidate in block]
            missing = [
                self.setting.text(candidate.record or {}, self.fields)
                for candidate, found in zip(block, known, strict=True)
                if found is None
            ]
            fresh = iter(self._measure(missing))
            for found in known:
                self._count(found[1] if found else next(fresh))

    def measured(self) -> Mapping[str, Any]:
        """Return how much of the real examples is in the records kept, beside what they share among themselves."""
        if not len(self._kept["longest"]) or not len(self._sources):
            return {}
        longest, distances = np.asarray(self._kept["longest"]), np.asarray(self._kept["distance"])
        found: dict[str, Any] = {
            "compared_with": self._sources.counts(),
            "longest_passage_words": _spread(longest, {"median": 0.5, "p95": 0.95, "max": 1.0}),
            "nearest_distance": _spread(distances, {"p05": 0.05, "median": 0.5}),
        }
        for n in _REPORTED:
            shares = np.asarray(self._kept[str(n)])
            found[f"overlap_{n}gram"] = {"mean": round(float(shares.mean()), 4), "max": round(float(shares.max()), 4)}
            found[f"overlap_{n}gram"]["records_with_any"] = round(float((shares > 0).mean()), 4)
        if len(self._real):
            found["real_to_real_distance"] = _spread(self._real, {"p05": 0.05, "median": 0.5})
            below = distances < np.quantile(self._real, 0.05) - 1e-6
            found["closer_than_real_p05"] = round(float(below.mean()), 4)
        return found

    def _read(self) -> Iterator[Source]:
        for seed in self.setting.seeds:
            yield Source("seed", seed.id, self._text(seed.row))
        for path in (self.reference,) if isinstance(self.reference, str) else self.reference:
            try:
                for row, values in enumerate(tables.stream(path, folder=self.setting.folder, place="reference")):
                    yield Source(path, row, self._text(values))
            except RecipeError as error:
                raise ValueError(error.message) from error

    def _text(self, row: Mapping[str, Any]) -> str:
        fields = self.setting.text_fields if self.fields is None else self.fields
        return join_text(dict(row), fields) or "\n".join(strings(row))

    def _measure(self, texts: Sequence[str]) -> list[_Figures]:
        hashed = hash_words(texts)
        near, runs = self._nearest.find(hashed), self._passages.runs(hashed)
        longest = np.zeros(len(texts), dtype=np.int64)
        np.maximum.at(longest, runs.rows, runs.lengths)
        shares = {n: shared_grams(runs, hashed, n).tolist() for n in {*_REPORTED, *self.overlap}}
        passages = self._passages.longest(runs, hashed)
        return [
            _Figures(*each, shares={n: shares[n][row] for n in shares})
            for row, each in enumerate(
                zip(near.ids.tolist(), near.scores.tolist(), passages, longest.tolist(), strict=True)
            )
        ]

    def _judge(self, text: str, found: _Figures) -> Drop | None:
        if found.similarity >= self.threshold:
            return self._drop(
                f"{found.similarity:.2f} similar to", found.nearest, f"threshold {self.threshold:g}", found
            )
        if found.passage:
            return self._passage(text, found.passage, found)
        for n, share in self.overlap.items():
            if found.shares[n] >= share:
                detail = f"{found.shares[n]:.0%} of its {n}-grams stand in real examples (overlap {share:g})"
                return drop(detail, score=found.shares[n], culprit=self._culprit(found.nearest))
        distance = 1 - found.similarity
        if found.nearest >= 0 and distance < self._least:
            rule = f"real examples are {self._least:.2f} apart at quantile {self.closer:g}"
            detail = f"at distance {distance:.2f} from {self._shown(found.nearest)} ({rule})"
            return drop(detail, score=distance, culprit=self._culprit(found.nearest))
        return None

    def _drop(self, what: str, source: int, rule: str, found: _Figures) -> Drop:
        return drop(f"{what} {self._shown(source)} ({rule})", score=found.similarity, culprit=self._culprit(source))

    def _passage(self, text: str, passage: Passage, found: _Figures) -> Drop:
        quote = " ".join(words(text)[passage.start : passage.start + passage.words])
        shown = quote[:_QUOTED] + "..." * (len(quote) > _QUOTED)
        what = f"{passage.words} words in a row from {self._shown(passage.id)} (span {self.span})"
        detail = f'{what}: "{shown}"; {found.shares[GRAM]:.0%} of its {GRAM}-grams stand in real examples'
        return drop(detail, score=float(passage.words), culprit=self._culprit(passage.id))

    def _count(self, found: _Figures) -> None:
        self._kept["longest"].append(found.longest)
        self._kept["distance"].append(1 - found.similarity)
        for n in _REPORTED:
            self._kept[str(n)].append(found.shares[n])

    def _culprit(self, source: int) -> str | None:
        return self._sources.name(source) if source >= 0 else None

    def _shown(self, source: int) -> str:
        name = self._sources.name(source)
        return name.replace(":", " ", 1) if name.startswith("seed:") else name


def _spread(values: Any, quantiles: Mapping[str, float]) -> dict[str, float]:
    return {name: round(float(np.quantile(values, q)), 4) for name, q in quantiles.items()}
