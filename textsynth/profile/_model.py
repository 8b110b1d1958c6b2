"""A joint distribution over columns of values: their codecs and the trees over their codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth.profile._layout import Part
from textsynth.profile._zeros import Zeros
from textsynth.profile.encoding import Codec, Codes
from textsynth.profile.rare import LEAST
from textsynth.profile.trees import Drawn, Trees

RARE_SHARE = 0.01
"""Share of rare values of a column from which on it gets a companion."""
NARROW = 200
"""Most codes of a companion."""


@dataclass(frozen=True, slots=True)
class Companion:
    """The column that says most about another's frequent values: what a rare value is drawn by.

    Args:
        column: the one with rare values.
        by: the other one.
        rare: the code of a rare value.
        counts: train rows, (codes of ``by``, frequent values of ``column``), with a little of the marginal in each row.
    """

    column: str
    by: str
    rare: int
    counts: NDArray[np.float64]

    def redraw(self, codes: Codes, names: Sequence[str], random: np.random.Generator) -> Codes:
        """Return the codes with a frequent one in place of each rare one."""
        target, by = names.index(self.column), names.index(self.by)
        rare = np.flatnonzero(codes[:, target] == self.rare)
        if not len(rare):
            return codes
        codes = codes.copy()
        sums = np.cumsum(self.counts, axis=1)[codes[rare, by]]
        points = random.random(len(rare)) * sums[:, -1]
        codes[rare, target] = (points[:, None] >= sums).sum(axis=1).clip(max=self.counts.shape[1] - 1)
        return codes


def find_companions(codes: Codes, codecs: Mapping[str, Codec]) -> tuple[Companion, ...]:
    """Return a companion for each closed column with a share of rare values above ``RARE_SHARE``."""
    found = []
    for place, (name, codec) in enumerate(codecs.items()):
        width, column = codec.body.card, codes[:, place]
        rare = other_code(codec)
        if rare is None or width < 2 or (column == rare).mean() < RARE_SHARE:
            continue
        known = column < width
        best, score = None, 0.0
        for other, (by, partner) in enumerate(codecs.items()):
            if other != place and partner.card <= NARROW:
                table = np.zeros((partner.card, width))
                np.add.at(table, (codes[known, other], column[known]), 1.0)
                gain = information(table)
                if gain > score:
                    best, score = Companion(name, by, rare, table), gain
        if best is not None:
            marginal = best.counts.sum(axis=0)
            found.append(Companion(name, best.by, rare, best.counts + 0.5 * marginal / marginal.sum()))
    return tuple(found)


def other_code(codec: Codec) -> int | None:
    """Return the code of rare values; ``None`` if there is none."""
    return codec.body.card + codec.specials.index("other") if "other" in codec.specials else None


def information(table: NDArray[np.float64]) -> float:
    """Return the mutual information of a table of counts in nats, less its expectation under independence.

    The expectation is that of Miller (1955): degrees of freedom over twice the number of rows.
    """
    rows = table.sum()
    if not rows:
        return 0.0
    p = table / rows
    one, other = p.sum(axis=1), p.sum(axis=0)
    seen = p > 0
    expected = np.outer(one, other)
    chance = (np.count_nonzero(one) - 1) * (np.count_nonzero(other) - 1) / (2 * rows)
    return float((p[seen] * np.log(p[seen] / expected[seen])).sum() - chance)


@dataclass(frozen=True, slots=True)
class Model:
    """Codecs in the order of the columns, the trees over their codes (``None`` without columns), and what mends a draw."""

    codecs: dict[str, Codec]
    trees: Trees | None
    companions: tuple[Companion, ...] = ()
    zeros: Zeros = field(default_factory=Zeros.none)
    shares: tuple[NDArray[np.float64], ...] = ()

    @classmethod
    def fit(
        cls,
        columns: Mapping[str, Sequence[Any]],
        parts: Sequence[Part],
        *,
        levels: Mapping[str, Sequence[Any]],
        units: NDArray[np.int64],
        target: str | None,
        steer: Mapping[str, Sequence[Any]] | None,
        seed: int,
        leaf: int | None = None,
        given: Sequence[str] = (),
    ) -> Model:
        """Learn codes and trees.

        Args:
            columns: values by part, of the train rows.
            parts: what there is to learn.
            levels: the order of the values of ordinal parts.
            units: privacy unit of each row.
            target: the part to draw first.
            steer: values by part of the rows that choose the size of the leaves.
            seed: of everything left to chance.
            leaf: least rows of a leaf; chosen on ``steer`` if not given.
            given: parts that will always be fixed.
        """
        owners = units.tolist()
        codecs = {
            part.name: Codec.fit(
                columns[part.name],
                part.kind,
                units=owners,
                step=part.step,
                levels=levels.get(part.name),
                rare=LEAST,
                seed=seed,
            )
            for part in parts
        }
        if not codecs:
            return cls({}, None)
        made = cls(codecs, None)
        tuning = made.encode(steer) if steer is not None else None
        codes = made.encode(columns)
        shares = tuple(
            np.bincount(codes[:, place], minlength=codec.card) / max(len(codes), 1)
            for place, codec in enumerate(codecs.values())
        )
        trees = Trees.fit(
            codes,
            [codec.card for codec in codecs.values()],
            [codec.ordered for codec in codecs.values()],
            names=list(codecs),
            target=target if target in codecs else None,
            steer=tuning if tuning is not None and len(tuning) else None,
            seed=seed,
            leaf=leaf,
            given=given,
        )
        return cls(codecs, trees, find_companions(codes, codecs), Zeros.find(codes, codecs), shares)

    @property
    def names(self) -> list[str]:
        """The parts, in the order of the codes' columns."""
        return list(self.codecs)

    def encode(self, columns: Mapping[str, Sequence[Any]]) -> Codes:
        """Return codes, int32 (n, d)."""
        return np.stack([codec.encode(columns[name]) for name, codec in self.codecs.items()], axis=1)

    def decode(self, codes: Codes, random: np.random.Generator) -> dict[str, list[Any]]:
        """Return values by part. A rare category becomes a frequent one that goes with its companion's value."""
        for companion in self.companions:
            codes = companion.redraw(codes, self.names, random)
        return {name: codec.decode(codes[:, place], random) for place, (name, codec) in enumerate(self.codecs.items())}

    def draw(self, n: int, random: np.random.Generator, fixed: Codes | None) -> Drawn:
        """Draw rows of codes; those with a pair of values that never stand together are drawn again."""
        if self.trees is None:
            return Drawn(np.zeros((n, 0), dtype=np.int32), np.zeros((n, 0), dtype=np.bool_))
        trees = self.trees
        drawn = trees.sample(n, random, fixed)
        self.zeros.mend(
            drawn.codes,
            fixed,
            trees.order,
            lambda some: trees.sample(len(some), random, some).codes,
            self.shares,
            random,
        )
        return drawn

    def as_data(self) -> dict[str, Any]:
        """Return the codecs as JSON values."""
        return {name: codec.as_data() for name, codec in self.codecs.items()}
