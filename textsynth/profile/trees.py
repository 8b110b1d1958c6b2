"""The joint distribution of coded columns: a sequence of decision trees whose leaves hold histograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth.profile.encoding import Codes


@dataclass(frozen=True, slots=True)
class Drawn:
    """What :meth:`Trees.sample` returns.

    Args:
        codes: int32 (n, d), columns in the order of ``Trees.names``.
        unsupported: bool (n, d): the fixed cells that the real rows never showed together with the row's other fixed
            cells; such a row keeps its fixed codes, the rest is drawn as if the cell were free.
    """

    codes: Codes
    unsupported: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Trees:
    """Sequential trees over coded columns. Made by :meth:`fit`; plain numpy, so drawing needs no scikit-learn.

    Args:
        names: the columns, in the order of the codes' columns.
        cards: number of codes of each.
        order: the sequence in which the columns are drawn (indices into ``names``).
        leaf: least rows of a leaf.
        choice: how ``leaf`` was chosen, as JSON values: one entry per size tried.
    """

    names: tuple[str, ...]
    cards: tuple[int, ...]
    order: tuple[int, ...]
    leaf: int
    choice: tuple[Mapping[str, Any], ...]
    histograms: tuple[NDArray[np.float64], ...]

    @classmethod
    def fit(
        cls,
        codes: Codes,
        cards: Sequence[int],
        ordered: Sequence[bool],
        *,
        names: Sequence[str],
        target: str | None = None,
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
            steer: int32 (m, d), rows apart from ``codes`` that choose how far the trees are grown.
            seed: of everything left to chance.
            leaf: least rows of a leaf; chosen on ``steer`` if not given.
        """
        histograms = tuple(np.bincount(codes[:, j], minlength=cards[j]) / len(codes) for j in range(codes.shape[1]))
        return cls(tuple(names), tuple(cards), tuple(range(len(names))), leaf or 20, (), histograms)

    def sample(self, n: int, random: np.random.Generator, fixed: Codes | None = None) -> Drawn:
        """Draw rows.

        Args:
            n: how many.
            random: the source of chance.
            fixed: int32 (n, d) or (d,), -1 where the column is free: p(rest | fixed).
        """
        codes = np.stack([random.choice(len(h), size=n, p=h) for h in self.histograms], axis=1).astype(np.int32)
        if fixed is not None:
            codes = np.where(fixed >= 0, fixed, codes).astype(np.int32)
        return Drawn(codes, np.zeros(codes.shape, dtype=bool))

    def as_arrays(self) -> dict[str, NDArray[Any]]:
        """Return it as numpy arrays for ``np.savez``; no pickled objects."""
        return {f"histogram{j}": h for j, h in enumerate(self.histograms)} | {"names": np.array(self.names)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Trees:
        """Make it from what :meth:`as_arrays` returned (or the mapping that ``np.load`` gives)."""
        names = tuple(arrays["names"].tolist())
        hs = tuple(arrays[f"histogram{j}"] for j in range(len(names)))
        return cls(names, tuple(map(len, hs)), tuple(range(len(names))), 20, (), hs)
