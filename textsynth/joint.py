"""A profile as the plan uses it: whole rows drawn together, some values of which are given, and ids that are never reused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import numpy as np

from textsynth.columns import Field
from textsynth.profile import Profile
from textsynth.profile._profile import fresh_ids

BLOCK = 1024
"""Ids made at a time."""


class Joint:
    """Rows of a profile.

    A row holds the top-level fields of a record that the profile knows, as they are in the record, and what its texts
    should be like, under names with ``#`` in them. Texts themselves are not in it; of an object that has a text inside, all
    the rest is (``partial``).

    Args:
        profile: what was learnt from real data.
        fixed: attribute → the value every row has.
        weights: attribute → {value: share}, in place of the real shares.
        only: which fields a row has; all if empty.
        seed: of the ids.
    """

    def __init__(
        self,
        profile: Profile,
        *,
        fixed: Mapping[str, Any] | None = None,
        weights: Mapping[str, Mapping[Any, float]] | None = None,
        only: Sequence[str] = (),
        seed: int = 0,
    ) -> None:
        self.profile, self.fixed, self.weights, self.only = profile, dict(fixed or {}), dict(weights or {}), tuple(only)
        texts = {field.path for field in profile.text_fields if field.path}
        top = dict.fromkeys(field.path[0] for field in profile.fields if field.path)
        self.partial = frozenset(name for name in top if any(path[0] == name and len(path) > 1 for path in texts))
        self.known = tuple(name for name in top if (name,) not in texts)
        self.names = tuple(name for name in self.known if not self.only or name in self.only)
        self.derived = tuple(field.name for field in profile.derived)
        self.unseen: dict[str, None] = {}
        """What was asked for and never occurred in the real rows, one sentence each."""
        self._ids = {f.path[0]: Ids(f, seed) for f in profile.fields if f.kind == "id" and len(f.path) == 1}

    def rows(self, random: Random, given: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return one row per item of ``given``, with the values given there; without ids.

        Raises:
            RecipeError: a value that the profile does not know, or a field that cannot be given.
        """
        generator = np.random.default_rng(random.getrandbits(64))
        fixed = [{**self.fixed, **some} for some in given] if self.fixed or any(given) else None
        sample = self.profile.sample(len(given), random=generator, fixed=fixed, weights=self.weights or None)
        self.unseen |= {sentence.partition("; ")[0]: None for sentence in sample.unseen}
        records = self.profile.as_records(sample, random=generator)
        derived = {name: sample.columns[name] for name in self.derived if name in sample.columns}
        wanted = [name for name in self.names if name not in self._ids]
        return [
            {name: record[name] for name in wanted if name in record} | {name: derived[name][at] for name in derived}
            for at, record in enumerate(records)
        ]

    def ids(self, index: int) -> dict[str, Any]:
        """Return the ids of draw ``index``."""
        return {name: ids.take(index) for name, ids in self._ids.items() if name in self.names}


class Ids:
    """Ids that follow a field's pattern, the n-th of which is always the same and no two of which are equal."""

    def __init__(self, field: Field, seed: int) -> None:
        self._field, self._seed, self._made = field, seed, dict[Any, None]()
        self._list: list[Any] = []

    def take(self, index: int) -> Any:
        """Return the id number ``index``, from 0."""
        while len(self._list) <= index:
            self._grow()
        return self._list[index]

    def _grow(self) -> None:
        if self._field.sequential:
            self._list += range(
                int(self._field.low or 0) + len(self._list), int(self._field.low or 0) + len(self._list) + BLOCK
            )
            return
        random = np.random.default_rng([self._seed, len(self._list)])
        fresh = [value for value in fresh_ids(self._field, BLOCK, random) if value not in self._made]
        if len(fresh) < BLOCK // 2:  # the pattern has hardly any room left
            fresh = [f"{self._field.name}-{len(self._list) + at + 1}" for at in range(BLOCK)]
        self._made |= dict.fromkeys(fresh)
        self._list += fresh
