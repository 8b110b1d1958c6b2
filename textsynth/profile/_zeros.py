"""Values that never stand together though chance would have put them together often: no sample has such a pair.

A tree's leaf mixes rows that differ, so it can bring together what the real rows keep apart (a husband and "female", a
first and a second choice that are the same). A pair of codes is ruled out if independence would give it at least
``EXPECTED`` train rows and at most one in a thousand of those is there; where one column's values have each their own set
of the other's, so is every pair that does not occur. Such a pair is drawn again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from textsynth.profile.encoding import NUMBERS, Codec, Codes

EXPECTED = 15.0
"""Least expected rows: an empty cell has then a chance of 3e-7 (Poisson)."""
EXCEPTIONS = 0.001
SPREAD = 0.2
UNSEEN = 0.02
NARROW = 120
"""Most codes of a column; of a wider one, only its states (null, absent, empty) are looked at."""
ROUNDS = 2
PASSES = 3


@dataclass(frozen=True, slots=True)
class Zeros:
    """Which pairs of codes are ruled out.

    Args:
        columns: pairs of column numbers, int32 (m, 2).
        tables: for each, bool (codes of the first, codes of the second): True is ruled out.
    """

    columns: NDArray[np.int32]
    tables: tuple[NDArray[np.bool_], ...]

    @classmethod
    def none(cls) -> Zeros:
        """Return that nothing is ruled out."""
        return cls(np.zeros((0, 2), dtype=np.int32), ())

    @classmethod
    def find(cls, codes: Codes, codecs: Mapping[str, Codec]) -> Zeros:
        """Find them in the train rows."""
        parts = list(codecs.values())
        groups = [_groups(codec) for codec in parts]
        narrow = [group[codes[:, place]] for place, group in enumerate(groups)]
        found, tables = [], []
        families = [name.partition("#")[0] for name in codecs]
        for one, other in combinations(range(len(parts)), 2):
            counts = _counts(narrow[one], narrow[other], int(groups[one].max()) + 1, int(groups[other].max()) + 1)
            table = _ruled_out(counts)[groups[one]][:, groups[other]]
            if _closed(parts[one]) and _closed(parts[other]) and _nested(counts):
                table |= counts == 0
                _spare_rare(table, parts[one], parts[other])
            if families[one] == families[other]:  # columns of one text share their states anyway
                table[parts[one].body.card :], table[:, parts[other].body.card :] = False, False
            if table.any():
                found.append((one, other))
                tables.append(table)
        return cls(np.array(found, dtype=np.int32).reshape(-1, 2), tuple(tables))

    def broken(self, codes: Codes) -> NDArray[np.bool_]:
        """Return which rows have a pair that is ruled out; codes of -1 (free) break nothing. Shape (n,)."""
        return np.asarray(self._first(codes, np.arange(codes.shape[1])) < codes.shape[1], dtype=np.bool_)

    def _first(self, codes: Codes, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the least place, among the pairs that a row breaks, of a pair's later column; beyond all if none."""
        found = np.full(len(codes), codes.shape[1], dtype=np.int64)
        for (one, other), table in zip(self.columns.tolist(), self.tables, strict=True):
            a, b = codes[:, one], codes[:, other]
            wrong = table[a, b] & (a >= 0) & (b >= 0)
            found[wrong] = np.minimum(found[wrong], max(places[one], places[other]))
        return found

    def mend(
        self,
        codes: Codes,
        fixed: Codes | None,
        order: Sequence[int],
        draw: Callable[[Codes], Codes],
        weights: Sequence[NDArray[np.float64]],
        random: np.random.Generator,
    ) -> None:
        """Draw rows with such a pair again, in place, from the later column of the pair on; not those whose fixed codes
        have one. What comes before keeps its distribution, a label that is drawn first above all.

        After ``ROUNDS`` draws, what is left gets another value in one of the two columns, by its share among those allowed.

        Args:
            codes: the rows.
            fixed: their fixed codes, -1 where free.
            order: the sequence in which columns are drawn.
            draw: from rows with free codes (-1) to rows without.
            weights: shares of the codes of each column.
            random: the source of chance.
        """
        if not self.tables:
            return
        places = np.argsort(np.asarray(order))
        held = np.zeros(codes.shape, dtype=np.bool_) if fixed is None else fixed >= 0
        rows = np.arange(len(codes)) if fixed is None else np.flatnonzero(~self.broken(fixed))
        for _ in range(ROUNDS):
            firsts = self._first(codes[rows], places)
            wrong = firsts < codes.shape[1]
            rows, firsts = rows[wrong], firsts[wrong]
            if not len(rows):
                return
            again = (places[None, :] >= firsts[:, None]) & ~held[rows]
            codes[rows] = draw(np.where(again, -1, codes[rows]).astype(np.int32))
        rows = rows[self.broken(codes[rows])]
        codes[rows] = self._exchange(codes[rows], held[rows], weights, random)

    def _exchange(
        self, codes: Codes, held: NDArray[np.bool_], weights: Sequence[NDArray[np.float64]], random: np.random.Generator
    ) -> Codes:
        """Return the rows with the later column of each pair exchanged (the earlier, if that is fixed)."""
        for _ in range(PASSES):
            for (one, other), table in zip(self.columns.tolist(), self.tables, strict=True):
                rows = np.flatnonzero(table[codes[:, one], codes[:, other]])
                for column, some in ((other, rows[~held[rows, other]]), (one, rows[held[rows, other]])):
                    if len(some):
                        codes[some, column] = self._allowed(codes[some], column, weights[column], random)
        return codes

    def _allowed(
        self, codes: Codes, column: int, weights: NDArray[np.float64], random: np.random.Generator
    ) -> NDArray[np.int32]:
        """Return a code of the column for each row that no other column rules out; its own where there is none."""
        shares = np.repeat(weights[None], len(codes), axis=0)
        for (one, other), table in zip(self.columns.tolist(), self.tables, strict=True):
            if column in (one, other):
                shares[table[codes[:, one]] if column == other else table[:, codes[:, other]].T] = 0.0
        sums = np.cumsum(shares, axis=1)
        drawn = (random.random(len(codes))[:, None] * sums[:, -1:] >= sums).sum(axis=1)
        return np.where(sums[:, -1] > 0, np.minimum(drawn, len(weights) - 1), codes[:, column]).astype(np.int32)

    def pairs(self, names: Sequence[str], labels: Sequence[Sequence[str]]) -> list[tuple[str, str, str, str]]:
        """Return what is ruled out in words: column and value, other column and value."""
        return [
            (names[one], labels[one][a], names[other], labels[other][b])
            for (one, other), table in zip(self.columns.tolist(), self.tables, strict=True)
            for a, b in np.argwhere(table).tolist()
        ]


def _groups(codec: Codec) -> NDArray[np.int64]:
    """Return, for each code of a column, the group it is looked at in: itself, or all ordinary values of a wide one."""
    if codec.card <= NARROW:
        return np.arange(codec.card, dtype=np.int64)
    states = np.arange(len(codec.specials), dtype=np.int64) + 1
    return np.concatenate([np.zeros(codec.body.card, dtype=np.int64), states])


def _closed(codec: Codec) -> bool:
    """Whether the column is a closed set that is looked at code by code."""
    return codec.kind not in NUMBERS and codec.card <= NARROW


def _counts(one: NDArray[np.int64], other: NDArray[np.int64], rows: int, columns: int) -> NDArray[np.int64]:
    return np.bincount(one * columns + other, minlength=rows * columns).reshape(rows, columns)


def _expected(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the counts that independent columns would give."""
    return np.asarray(np.outer(counts.sum(axis=1), counts.sum(axis=0)) / max(counts.sum(), 1), dtype=np.float64)


def _ruled_out(counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    expected = _expected(counts)
    return np.asarray((expected >= EXPECTED) & (counts <= EXCEPTIONS * expected), dtype=np.bool_)


def _nested(counts: NDArray[np.int64]) -> bool:
    """Whether one column's values have each their own set of the other's (product and sub-product), all of it seen.

    Chance would put ``SPREAD`` of the rows or more into pairs that do not occur, and the chance that the next row is a
    pair not seen yet (pairs seen once over rows; Good 1953) is at most ``UNSEEN``.
    """
    rows = max(int(counts.sum()), 1)
    return bool(_expected(counts)[counts == 0].sum() >= SPREAD * rows and (counts == 1).sum() <= UNSEEN * rows)


def _spare_rare(table: NDArray[np.bool_], one: Codec, other: Codec) -> None:
    """Rule nothing out for rare values: each of them is another value in the end."""
    if "other" in one.specials:
        table[one.body.card + one.specials.index("other")] = False
    if "other" in other.specials:
        table[:, other.body.card + other.specials.index("other")] = False
