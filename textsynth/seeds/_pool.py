"""The seeds of a run: which ones a draw gets, and how often each was shown."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth.records import Record, Seed
from textsynth.seeds._links import place
from textsynth.seeds._retrieval import HashedWords, Retrieval
from textsynth.seeds._spec import SeedSpec
from textsynth.text import strings

CANDIDATES = 32
"""How many random seeds the most diverse ones are picked from, so that a choice costs the same for any number."""
FIRST_GROWN = 1_000_000_000
"""Seeds that a run has grown itself are numbered from here: this plus the number of their draw."""
MOST_GROWN = 4096
"""How many of the grown seeds are remembered, the latest."""


class SeedPool:
    """The seeds of a run, and how often each has been shown.

    With ``choose: retrieved`` a draw gets the seeds nearest to its attributes that are unlike each other (``match`` names
    those that must be equal, as long as some seed is). A seed is shown up to ``max_uses`` times. Without that, one that
    was shown twice its share, ceil(2 * shots * records / seeds), comes after all that were not.

    With ``choose: linked`` the first seed is one of those shown least, and the others share one of its ``links`` with it but
    come from other sections. Of the seeds of a draw, ``grown`` are records that the run itself has kept.

    Args:
        seeds: real rows.
        attributes: the names of what is drawn.
        vectors: an embedding of length 1 per seed, for likeness; without it, shared words count.
        derived: further values per seed, by the names under which draws ask for them ("narrative#words"). Seeds that have
            the value asked for in a "...#cluster" come first.
        units: the number of each seed's privacy unit; no draw gets two seeds of one unit.
        records: how many records are wanted.
    """

    def __init__(
        self,
        seeds: Sequence[Seed],
        spec: SeedSpec,
        attributes: Sequence[str],
        *,
        vectors: NDArray[np.float32] | None = None,
        derived: Sequence[Mapping[str, Any]] | None = None,
        units: Sequence[int] | None = None,
        records: int = 0,
    ) -> None:
        self.seeds, self.spec = seeds, spec
        present = [a for a in attributes if seeds and a in seeds[0].row]
        self.match = spec.match or (tuple(present) if spec.choose == "matching" else ())
        self.match = self.match if spec.choose in {"matching", "retrieved"} else ()
        self._uses = [0] * len(seeds)
        self._open = list(range(len(seeds)))
        self._by_key: dict[tuple[str, ...], list[int]] = {}
        self._vectors, self._units = vectors, units
        self._words: dict[int, frozenset[str]] = {}
        self._retrieval: Retrieval | None = None
        self._grown: list[Seed] = []
        self._holders: dict[str, list[int]] = {}
        self._share = math.ceil(2 * spec.shots * records / max(1, len(seeds)))
        if spec.choose == "retrieved" and seeds:
            self._prepare(present, derived)
        for at, seed in enumerate(seeds):
            for term in seed.row.get("links", ()) if spec.choose == "linked" else ():
                self._holders.setdefault(term, []).append(at)
            self._by_key.setdefault(self._key(seed.row), []).append(at)

    def choose(self, random: Random, attributes: Mapping[str, Any]) -> tuple[Seed, ...]:
        """Return the examples of one draw and count them as used; fewer than ``shots`` when they are used up.

        They come in the order of the source, so that prompts with the same examples begin alike and the engine can reuse
        what it computed.
        """
        grown = random.sample(self._grown, min(self.spec.grown, len(self._grown))) if self._grown else []
        wanted = max(0, self.spec.shots - len(grown))
        chosen = self._one_per_unit(self._select(random, attributes, wanted))
        for at in chosen:
            self._use(at)
        return (*(self.seeds[at] for at in sorted(chosen)), *sorted(grown, key=lambda seed: seed.id))

    def _select(self, random: Random, attributes: Mapping[str, Any], wanted: int) -> list[int]:
        """Return ``wanted`` real seeds, or as many as there are."""
        if self._retrieval is not None and wanted:
            return self._retrieve(self._retrieval, random, attributes, wanted)
        if self._holders and wanted:
            return self._linked(random, wanted)
        if self.match:
            same = [at for at in self._by_key.get(self._key(attributes), ()) if self._free(at)]
            taken = set(same)
            rest = [] if len(same) >= wanted else [at for at in self._open if at not in taken]
            return self._pick(random, same, wanted) + self._pick(random, rest, wanted - len(same))
        return self._pick(random, self._open, wanted)

    def grow(self, kept: Mapping[int, Record]) -> None:
        """Offer records that were kept as examples to later draws.

        Args:
            kept: the records by the numbers of their draws; of those offered so far the latest ``MOST_GROWN`` count.
        """
        self._grown += [Seed(FIRST_GROWN + index, record) for index, record in sorted(kept.items())]
        del self._grown[:-MOST_GROWN]

    def draws_left(self) -> int:
        """Return for how many draws the allowed uses still suffice."""
        if self.spec.max_uses is None or self.spec.shots == 0:
            return 1 << 62
        return (self.spec.max_uses * len(self.seeds) - sum(self._uses)) // self.spec.shots

    def restore(self, seeds: Sequence[Seed]) -> None:
        """Count the examples of a draw that was planned before the run was resumed."""
        for seed in seeds:
            if seed.id < FIRST_GROWN:
                self._use(seed.id)

    def _linked(self, random: Random, wanted: int) -> list[int]:
        """Return a seed that was shown least and others that a link of it leads to; alone if nothing is left to link."""
        firsts = random.sample(self._open, min(len(self._open), CANDIDATES))
        firsts.sort(key=lambda at: self._uses[at])
        for first in firsts:
            links = list(self.seeds[first].row["links"])
            for term in random.sample(links, len(links)):
                if len(chosen := self._along(random, first, term, wanted)) == wanted:
                    return chosen
        return firsts[:1]

    def _along(self, random: Random, first: int, term: str, wanted: int) -> list[int]:
        """Return ``first`` and seeds that share ``term``, each of another section, those shown least before the others."""
        others = [at for at in self._holders[term] if at != first and self._free(at)]
        others = sorted(random.sample(others, len(others)), key=lambda at: self._uses[at])
        places = {place(self.seeds[first].row): first}
        for at in others:
            places.setdefault(place(self.seeds[at].row), at)
        return list(places.values())[:wanted]

    def _pick(self, random: Random, pool: Sequence[int], count: int) -> list[int]:
        count = min(count, len(pool))
        if count <= 0:
            return []
        if self.spec.choose != "diverse":
            wide = count if self._units is None else min(len(pool), count + CANDIDATES)
            return self._one_per_unit(random.sample(pool, wide))[:count]
        candidates = self._one_per_unit(random.sample(pool, min(len(pool), max(CANDIDATES, count))))
        return self._spread(candidates, min(count, len(candidates)))

    def _spread(self, pool: list[int], count: int) -> list[int]:
        """Pick greedily the candidate whose nearest chosen neighbour is farthest (k-center, Gonzalez 1985)."""
        chosen = [pool[0]]
        nearest = {at: self._similarity(at, pool[0]) for at in pool[1:]}
        while len(chosen) < count:
            farthest = min(nearest, key=lambda at: nearest[at])
            del nearest[farthest]
            chosen.append(farthest)
            for at in nearest:
                nearest[at] = max(nearest[at], self._similarity(at, farthest))
        return chosen

    def _similarity(self, one: int, other: int) -> float:
        """Return the cosine of two seeds' vectors if there are any, else the Jaccard similarity of their word sets."""
        if self._vectors is not None:
            return float(self._vectors[one] @ self._vectors[other])
        a, b = self._word_set(one), self._word_set(other)
        return len(a & b) / (len(a | b) or 1)

    def _word_set(self, at: int) -> frozenset[str]:
        if at not in self._words:
            text = " ".join(strings(self.seeds[at].row))
            self._words[at] = frozenset(text.lower().split())
        return self._words[at]

    def _prepare(self, present: Sequence[str], derived: Sequence[Mapping[str, Any]] | None) -> None:
        """Index the seeds for retrieval."""
        more = derived or [{}] * len(self.seeds)
        rows = [{**seed.row, **values} for seed, values in zip(self.seeds, more, strict=True)]
        columns = {*present, *set().union(*more)} - set(self.match)
        self._retrieval = Retrieval(rows, sorted(columns), self._vectors_of(), self._units)
        self._late = np.zeros(len(rows))
        keys: dict[tuple[str, ...], list[int]] = {}
        for at, row in enumerate(rows):
            keys.setdefault(self._key(row), []).append(at)
        self._matching = {key: np.array(found) for key, found in keys.items()}

    def _vectors_of(self) -> Callable[[NDArray[np.intp]], NDArray[np.float32]]:
        """Return what gives the vectors of seeds."""
        if self._vectors is not None:
            return self._vectors.__getitem__
        return HashedWords(lambda at: " ".join(strings(self.seeds[at].row)), len(self.seeds))

    def _retrieve(self, retrieval: Retrieval, random: Random, attributes: Mapping[str, Any], wanted: int) -> list[int]:
        """Return near and diverse seeds; those that were shown their share come after all others."""
        far = retrieval.distances(random, attributes)
        far += self._late
        same = self._matching.get(self._key(attributes)) if self.match else None
        if same is not None and np.isfinite(self._late[same]).any():
            elsewhere = np.full(len(far), np.inf)
            elsewhere[same] = far[same]
            far = elsewhere
        return retrieval.pick(far, wanted)

    def _one_per_unit(self, chosen: list[int]) -> list[int]:
        """Return the first seed of each privacy unit."""
        if self._units is None:
            return chosen
        return list({self._units[at]: at for at in reversed(chosen)}.values())[::-1]

    def _key(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(repr(row.get(name)) for name in self.match)

    def _free(self, at: int) -> bool:
        return self.spec.max_uses is None or self._uses[at] < self.spec.max_uses

    def _lateness(self, uses: int) -> float:
        """Return what is added to the distance of a seed with so many uses."""
        if self.spec.max_uses is not None:
            return math.inf if uses >= self.spec.max_uses else 0.0
        return 10.0 * (uses - self._share + 1) if 0 < self._share <= uses else 0.0

    def _use(self, at: int) -> None:
        self._uses[at] += 1
        if self._retrieval is not None:
            self._late[at] = self._lateness(self._uses[at])
        if self._uses[at] == self.spec.max_uses:
            del self._open[bisect_left(self._open, at)]
