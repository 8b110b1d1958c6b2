"""Whether a text is what its draw asked for: length, sentences, topic cluster, read again from the text itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth import embeddings
from textsynth.columns import Field, columns, ordinary
from textsynth.filters import Filter, Setting, drop
from textsynth.profile.text import assign, derive, whole_text
from textsynth.records import Candidate, Drop, Record

Vectors = NDArray[np.float32]
NEAR = 0.25
"""A length counts as kept if it is off by at most this share of what was asked for, or by one."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was read from a record's texts: derived attributes by name, and one embedding of length 1."""

    values: Mapping[str, Any]
    vector: Vectors


@dataclass(kw_only=True)
class Adherence(Filter):
    """Drops records whose texts are not what their draws asked for; by default it only measures and drops nothing.

    A profile draws for each text how long it is and in which cluster of the real texts' embeddings it lies. Both are read
    again from what the model wrote: a length fits if it is off by a quarter or by one at most, a cluster if it is the same.
    Steering counts what was read here, not what was asked for. Put into every run that has a profile with texts.

    Measured: per attribute the share of records that fit, over what was checked by this process (the instruction-following
    accuracy of ACTG). Memory: one embedding per kept record (1.5 kB at 384 numbers).

    Cannot see: attributes that are no property of the text (a label, a date): those are constants of the record, and whether
    the text agrees with them is ``label_agreement``'s matter; texts beyond the embedding's 256 word pieces.

    Args:
        least: the least share of a record's text attributes that must fit, 0 to 1.
        model: the embedding; the one the profile was fitted with.
    """

    least: float = 0.0
    model: str = "default"

    def __post_init__(self) -> None:
        """Refuse a share out of its range."""
        if not 0 <= self.least <= 1:
            raise ValueError(f"least must be between 0 and 1, got {self.least:g}")

    def prepare(self, setting: Setting) -> None:
        """Find what the profile knows of the texts."""
        super().prepare(setting)
        if setting.profile is None:
            raise ValueError("there is no profile that says what a text should be like: give profile: in the recipe")
        self._profile = setting.profile
        self._texts = [
            field for field in setting.profile.fields if field.kind in {"text", "dialogue"} and not field.derived
        ]
        if self.embeds:
            if missing := embeddings.missing_package():
                raise missing
            if problem := embeddings.problem(self.model):
                raise ValueError(f"model: {problem}")
        self._embedder = embeddings.load(self.model)
        self.seen: dict[int, Seen] = {}
        """What was read from kept records, by draw."""
        self._batch: dict[int, tuple[Record, Seen]] = {}
        self._fits: Counter[str] = Counter()
        self._asked: Counter[str] = Counter()

    @property
    def embeds(self) -> bool:
        """Whether texts are embedded: the profile has topic clusters."""
        return bool(self._profile.centroids)

    def start(self) -> None:
        """Load the embedding."""
        if self.embeds:
            self._embedder.start()

    def begin(self, batch: Sequence[Candidate]) -> None:
        """Have the texts embedded."""
        if self.embeds:
            self._embedder.submit(self._strings(_records(batch)))

    def ready(self, batch: Sequence[Candidate]) -> bool:
        """Return whether the texts are embedded."""
        return not self.embeds or self._embedder.ready(self._strings(_records(batch)))

    def check(self, batch: Sequence[Candidate]) -> Sequence[Drop | None]:
        """Compare what was asked for with what was read."""
        fresh = not self._batch.keys() & {item.draw.index for item in batch}
        seen = self._read(_records(batch))
        self._batch = {item.draw.index: (item.record or {}, one) for item, one in zip(batch, seen, strict=True)}
        return [self._judge(item, one, fresh=fresh) for item, one in zip(batch, seen, strict=True)]

    def keep(self, batch: Sequence[Candidate]) -> None:
        """Remember what was read from kept records."""
        known = {index: one for index, (record, one) in self._batch.items()}
        unread = [item for item in batch if self._batch.get(item.draw.index, (None,))[0] != item.record]
        known |= {item.draw.index: one for item, one in zip(unread, self._read(_records(unread)), strict=True)}
        self.seen |= {item.draw.index: known[item.draw.index] for item in batch}

    def embed(self, records: Sequence[Record]) -> Vectors:
        """Return one embedding per record, of all its texts: n × (texts · d), rows of length 1."""
        parts = [self._embedder.take(self._text(records, field)) for field in self._texts]
        return np.hstack(parts) / np.float32(np.sqrt(max(len(parts), 1)))

    def measured(self) -> Mapping[str, Any]:
        """Return the share of records that fit, per attribute asked for."""
        return {name: round(self._fits[name] / count, 4) for name, count in sorted(self._asked.items())}

    def close(self) -> None:
        """End the embedder."""
        self._embedder.close()

    def _judge(self, item: Candidate, seen: Seen, *, fresh: bool) -> Drop | None:
        asked = {name: item.draw.attributes[name] for name in seen.values if name in item.draw.attributes}
        fit = {name: fits(name, value, seen.values[name]) for name, value in asked.items()}
        if fresh:
            self._asked.update(asked.keys())
            self._fits.update(name for name, good in fit.items() if good)
        share = sum(fit.values()) / len(fit) if fit else 1.0
        if share >= self.least:
            return None
        wrong = ", ".join(
            f"{n.replace('#', ' ')} {seen.values[n]} for {asked[n]}" for n, good in fit.items() if not good
        )
        return drop(f"{share:.0%} of what was asked for, at least {self.least:.0%}: {wrong}", score=share)

    def _read(self, records: Sequence[Record]) -> list[Seen]:
        """Read the derived attributes of records."""
        if not records:
            return []
        found = columns(records, self._texts)
        values = dict(derive(found, self._texts).columns)
        vectors = np.zeros((len(records), 0), dtype=np.float32)
        if self.embeds:
            parts = {field.name: self._embedder.take(self._text(records, field)) for field in self._texts}
            for name, centroids in self._profile.centroids.items():
                values[f"{name}#cluster"] = assign(found[name], parts[name], centroids)
            vectors = np.hstack(list(parts.values())) / np.float32(np.sqrt(len(parts)))
        return [Seen({n: column[at] for n, column in values.items()}, vectors[at]) for at in range(len(records))]

    def _text(self, records: Sequence[Record], field: Field) -> list[str]:
        values = columns(records, [field])[field.name]
        return [whole_text(value, field) if ordinary(value) else "" for value in values]

    def _strings(self, records: Sequence[Record]) -> list[str]:
        return [text for field in self._texts for text in self._text(records, field)]


def _records(batch: Sequence[Candidate]) -> list[Record]:
    return [item.record or {} for item in batch]


def fits(name: str, asked: Any, read: Any) -> bool:
    """Return whether what was read is what was asked for: equal, or for lengths near it."""
    if isinstance(asked, int) and isinstance(read, int) and not name.endswith("#cluster"):
        return abs(asked - read) <= max(1, NEAR * asked)
    return bool(asked == read)
