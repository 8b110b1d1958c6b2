"""Sequential trees: each column is drawn from the leaf that the columns before it lead to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth.profile.encoding import Codes, Floats
from textsynth.profile.trees import _conditioning
from textsynth.profile.trees._forest import _PARTS, Forest
from textsynth.profile.trees._growing import Task, grow
from textsynth.profile.trees._leaf import COMPARED, EXCESS, LEAVES, best_of, measure_share, standard_error

TREES = 12
"""Trees for each column."""
CHUNK = 16_384


@dataclass(frozen=True, slots=True)
class Drawn:
    """What :meth:`Trees.sample` returns.

    Args:
        codes: int32 (n, d), columns in the order of ``Trees.names``.
        unsupported: bool (n, d): the fixed cells that no train row showed, or none together with another fixed cell
            of the row. Such a row keeps its fixed codes; the rest follows the nearest that the trees know.
    """

    codes: Codes
    unsupported: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Trees:
    """The joint distribution of coded columns. Made by :meth:`fit`; drawing and loading need numpy only.

    Args:
        names: the columns, in the order of the codes' columns.
        cards: number of codes of each.
        order: the sequence in which the columns are drawn (indices into ``names``).
        leaf: least train rows of a leaf while a tree grows.
        choice: how ``leaf`` was chosen, as JSON values: one entry per size tried, with its share and the null share.
        forests: the trees of each column, in the order of ``names``.
        pairs: bool (sum of cards, sum of cards): which two codes a train row showed together.
    """

    names: tuple[str, ...]
    cards: tuple[int, ...]
    order: tuple[int, ...]
    leaf: int
    choice: tuple[Mapping[str, Any], ...]
    forests: tuple[Forest, ...] = field(repr=False)
    pairs: NDArray[np.bool_] = field(repr=False)

    @classmethod
    def fit(
        cls,
        codes: Codes,
        cards: Sequence[int],
        ordered: Sequence[bool],
        *,
        names: Sequence[str],
        target: str | None = None,
        given: Sequence[str] = (),
        steer: Codes | None = None,
        seed: int = 0,
        leaf: int | None = None,
    ) -> Trees:
        """Learn the joint distribution of the rows.

        Args:
            codes: int32 (n, d), the train rows.
            cards: number of codes of each column.
            ordered: whether a column's codes are in the order of its values.
            names: the columns.
            target: the column that is drawn first, usually the label.
            given: columns that will always be fixed; they come before all others, so fixing them costs nothing.
            steer: int32 (m, d), rows apart from ``codes`` that choose how far the trees are grown.
            seed: of everything left to chance.
            leaf: least rows of a leaf; chosen on ``steer`` if not given, the smallest size if there is no ``steer``.
        """
        if not len(codes):
            raise ValueError("trees need at least one train row, got none")
        order = _order(codes, cards, [names.index(name) for name in given], names.index(target) if target else None)
        sizes = [leaf] if leaf else list(LEAVES if steer is not None and len(steer) else LEAVES[:1])
        choice: list[Mapping[str, Any]] = []
        grown: list[Trees] = []
        for size in sizes:
            forests = _grow(codes, cards, ordered, order, size, seed)
            grown.append(cls(tuple(names), tuple(cards), order, size, (), forests, _pairs(codes, cards)))
            if leaf or steer is None or not len(steer):
                return grown[0]
            choice.append(grown[-1]._judge(codes, steer, ordered, seed))
            if choice[-1]["passed"]:
                break
        made = grown[best_of(choice)]
        return cls(made.names, made.cards, order, made.leaf, tuple(choice), made.forests, made.pairs)

    def sample(self, n: int, random: np.random.Generator, fixed: Codes | None = None) -> Drawn:
        """Draw rows.

        Args:
            n: how many.
            random: the source of chance.
            fixed: int32 (n, d) or (d,), -1 where the column is free: the rest is drawn from p(rest | fixed).
        """
        width = len(self.names)
        if fixed is None:
            parts = [min(CHUNK, n - start) for start in range(0, n, CHUNK)]
            free = [np.full((rows, width), -1, dtype=np.int32) for rows in parts]
            drawn = [_conditioning.draw(self.forests, self.order, each, random) for each in free]
            codes = np.concatenate(drawn) if drawn else np.empty((0, width), dtype=np.int32)
            return Drawn(codes, np.zeros((n, width), dtype=bool))
        asked = np.ascontiguousarray(np.broadcast_to(np.asarray(fixed, dtype=np.int32), (n, width)))
        if asked.size and (asked >= np.array(self.cards)).any():
            raise ValueError("a fixed code must be less than its column's number of codes")
        codes = _conditioning.draw(self.forests, self.order, asked, random)
        return Drawn(codes, self._unsupported(asked))

    def as_arrays(self) -> dict[str, NDArray[Any]]:
        """Return it as numpy arrays for ``np.savez``; no pickled objects."""
        facts = {
            "names": self.names,
            "cards": self.cards,
            "order": self.order,
            "leaf": self.leaf,
            "choice": self.choice,
        }
        arrays = {"facts": np.array(json.dumps(facts)), "pairs": np.packbits(self.pairs, axis=1)}
        for column, forest in enumerate(self.forests):
            arrays |= {f"{column}.{name}": array for name, array in forest.as_arrays().items()}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Trees:
        """Make it from what :meth:`as_arrays` returned (or the mapping that ``np.load`` gives)."""
        facts = json.loads(str(arrays["facts"]))
        names, cards = tuple(facts["names"]), tuple(facts["cards"])
        forests = [Forest.of({name: arrays[f"{column}.{name}"] for name in _PARTS}) for column in range(len(names))]
        pairs = np.unpackbits(arrays["pairs"], axis=1, count=sum(cards)).astype(bool)
        return cls(names, cards, tuple(facts["order"]), facts["leaf"], tuple(facts["choice"]), tuple(forests), pairs)

    def _judge(self, codes: Codes, steer: Codes, ordered: Sequence[bool], seed: int) -> dict[str, Any]:
        """Compare the share of drawn rows nearer to train with that of rows whose columns are independent."""
        random = np.random.default_rng(seed)
        size = min(len(codes), len(steer), COMPARED)
        train, apart = (rows[random.permutation(len(rows))[:size]] for rows in (codes, steer))
        drawn = self.sample(COMPARED, random).codes
        mixed = np.stack([random.choice(column, size=COMPARED) for column in codes.T], axis=1)
        share, null = (measure_share(rows, train, apart, self.cards, ordered) for rows in (drawn, mixed))
        passed = share - null < EXCESS + standard_error(COMPARED)
        return {"leaf": self.leaf, "share": round(share, 4), "null": round(null, 4), "rows": size, "passed": passed}

    def _unsupported(self, asked: Codes) -> NDArray[np.bool_]:
        found = np.zeros(asked.shape, dtype=bool)
        patterns, which = np.unique(asked, axis=0, return_inverse=True)
        starts = np.cumsum([0, *self.cards[:-1]])
        for i, pattern in enumerate(patterns):
            columns = np.flatnonzero(pattern >= 0)
            places = starts[columns] + pattern[columns]
            alone = ~self.pairs[places, places]
            apart = ~self.pairs[np.ix_(places, places)] & ~alone[:, None] & ~alone
            found[np.ix_(which.ravel() == i, columns)] = alone | apart.any(axis=1)
        return found


def _order(codes: Codes, cards: Sequence[int], given: Sequence[int], target: int | None) -> tuple[int, ...]:
    """Given columns, the target, then the others by descending mutual information with it (without one: with all)."""
    others = [j for j in range(codes.shape[1]) if j not in given and j != target]
    rows = codes[:: max(1, len(codes) // 20_000)]
    towards = [target] if target is not None else list(range(codes.shape[1]))
    told = {j: sum(_information(rows[:, j], rows[:, k], cards[j], cards[k]) for k in towards if k != j) for j in others}
    first = [*given, *([target] if target is not None and target not in given else [])]
    return tuple(first + sorted(others, key=lambda j: (-told[j], j)))


def _information(left: Codes, right: Codes, rows: int, columns: int) -> float:
    """Return the mutual information of two columns, in nats."""
    joint = np.bincount(left.astype(np.int64) * columns + right, minlength=rows * columns).reshape(rows, columns)
    shares: Floats = joint / max(joint.sum(), 1)
    product = shares.sum(axis=1, keepdims=True) * shares.sum(axis=0)
    seen = shares > 0
    return float((shares[seen] * np.log(shares[seen] / product[seen])).sum())


def _grow(
    codes: Codes, cards: Sequence[int], ordered: Sequence[bool], order: Sequence[int], leaf: int, seed: int
) -> tuple[Forest, ...]:
    forests: dict[int, Forest] = {}
    for place, column in enumerate(order):
        random = np.random.default_rng([seed, column])
        task = Task(codes, cards, ordered, column, sorted(order[:place]), leaf)
        forests[column] = Forest.pack([grow(task, random) for _ in range(TREES if place else 1)])
    return tuple(forests[column] for column in range(len(order)))


def _pairs(codes: Codes, cards: Sequence[int]) -> NDArray[np.bool_]:
    starts = np.cumsum([0, *cards[:-1]])
    found = np.zeros((sum(cards), sum(cards)), dtype=bool)
    placed = codes + starts
    for left in range(codes.shape[1]):
        for right in range(left, codes.shape[1]):
            found[placed[:, left], placed[:, right]] = found[placed[:, right], placed[:, left]] = True
    return found
