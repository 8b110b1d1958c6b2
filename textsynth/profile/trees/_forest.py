"""The trees of one column as flat arrays: drawn from and loaded without scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth.profile.encoding import Codes, Floats
from textsynth.profile.trees._growing import Ints, Tree

_PARTS = ("roots", "feature", "offset", "goes", "children", "leaf", "histograms")


@dataclass(frozen=True, slots=True)
class Forest:
    """Trees for one column; a row is drawn from one of them, taken at random, so what is drawn from is their average.

    Args:
        roots: the first node of each tree.
        feature: per node the column it looks at, -1 in a leaf.
        offset: per node where its part of ``goes`` begins.
        goes: for each code of the column looked at whether it goes right (1) or left (0).
        children: (nodes, 2): left and right child.
        leaf: per node its row of ``histograms``.
        histograms: (leaves, card), the share of each code.
        ends: the running sums of the histograms plus the number of the leaf: one ascending sequence.
    """

    roots: Ints
    feature: Ints
    offset: Ints
    goes: NDArray[np.uint8]
    children: Ints
    leaf: Ints
    histograms: NDArray[np.float32]
    ends: Floats

    @classmethod
    def of(cls, parts: Mapping[str, NDArray[Any]]) -> Forest:
        """Make it from its arrays."""
        own = {name: np.asarray(parts[name]) for name in _PARTS}
        sums = np.cumsum(own["histograms"].astype(np.float64), axis=1)
        sums /= np.maximum(sums[:, -1:], 1e-300)
        whole = {name: own[name].astype(np.int64) for name in ("roots", "feature", "offset", "children", "leaf")}
        return cls(**(own | whole), ends=(sums + np.arange(len(sums))[:, None]).ravel())

    @classmethod
    def pack(cls, trees: Sequence[tuple[Tree, Floats]]) -> Forest:
        """Put the reached nodes of the trees, each given with its nodes' histograms, into flat arrays."""
        roots, feature, children, leaf, goes, histograms = [], [], [], [], [], []
        nodes = leaves = 0
        for tree, shares in trees:
            reached = tree.reached()
            place = np.zeros(len(tree.feature), dtype=np.int64)
            place[reached] = nodes + np.arange(len(reached))
            inner = tree.feature[reached] >= 0
            roots.append(nodes)
            feature.append(tree.feature[reached])
            below = np.stack([place[tree.left[reached]], place[tree.right[reached]]], axis=1)
            children.append(np.where(inner[:, None], below, 0))
            leaf.append(np.where(inner, 0, leaves + np.cumsum(~inner) - 1))
            goes += [_right(tree, node) for node in reached.tolist()]
            histograms.append(shares[reached[~inner]])
            nodes, leaves = nodes + len(reached), leaves + int((~inner).sum())
        offset = np.concatenate([[0], np.cumsum([len(part) for part in goes])[:-1]])
        parts = (np.array(roots), np.concatenate(feature), offset, np.concatenate(goes), np.concatenate(children))
        ends = (np.concatenate(leaf), np.concatenate(histograms).astype(np.float32))
        return cls.of(dict(zip(_PARTS, parts + ends, strict=True)))

    def as_arrays(self) -> dict[str, NDArray[Any]]:
        """Return its arrays, small types."""
        whole = {
            name: getattr(self, name).astype(np.int32) for name in ("roots", "feature", "offset", "children", "leaf")
        }
        return whole | {"goes": self.goes, "histograms": self.histograms}

    @property
    def leaves(self) -> float:
        """Mean number of leaves of a tree."""
        return len(self.histograms) / len(self.roots)

    def locate(self, codes: Codes, random: np.random.Generator) -> Ints:
        """Return, for each row, the number of the leaf it reaches in a tree taken at random."""
        rows, columns = codes.shape
        nodes = self.roots[random.integers(len(self.roots), size=rows)]
        flat = np.ascontiguousarray(codes).ravel()
        active = np.flatnonzero(self.feature[nodes] >= 0)
        while len(active):
            now = nodes[active]
            right = self.goes[self.offset[now] + flat[active * columns + self.feature[now]]]
            now = self.children.ravel()[2 * now + right]
            nodes[active] = now
            active = active[self.feature[now] >= 0]
        return np.asarray(self.leaf[nodes])

    def draw(self, codes: Codes, random: np.random.Generator) -> Codes:
        """Draw this column for rows whose earlier columns are drawn, int32 (n,)."""
        leaves, card = self.locate(codes, random), self.histograms.shape[1]
        places = np.searchsorted(self.ends, leaves + random.random(len(leaves)), side="right")
        return np.asarray(np.clip(places - leaves * card, 0, card - 1), dtype=np.int32)

    def likelihood(self, codes: Codes, drawn: Codes, random: np.random.Generator) -> Floats:
        """Return the share of the code ``drawn`` in the leaf of each row, (n,)."""
        return self.histograms[self.locate(codes, random), drawn].astype(np.float64)


def _right(tree: Tree, node: int) -> NDArray[np.uint8]:
    goes = tree.goes[node]
    if tree.feature[node] < 0 or goes is None:
        return np.empty(0, dtype=np.uint8)
    return (~goes).astype(np.uint8)
