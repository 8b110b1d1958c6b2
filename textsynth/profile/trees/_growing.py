"""One tree: grown by scikit-learn on some rows, pruned by the likelihood of the others, its histograms smoothed.

Growing and pruning never see the same rows, so a split stays only if it holds for rows it was not made for. That, more
than the size of the leaves, keeps the trees from learning single rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textsynth.errors import MissingPackageError
from textsynth.profile.encoding import Codes, Floats

Ints = NDArray[np.int64]

GROUPS = 24
"""Most classes that a split is judged by; a target with more codes is grouped, its histograms are not."""
RARE = 200
"""A code of a target without order is a class of its own if it has at least this part of the rows."""
GROWN = 0.75
"""Share of the rows that grow a tree; the others prune it."""
ROWS = 30_000
"""Most rows that grow a tree."""
FEATURES = 40
"""Most columns that a split chooses from; a random choice if there are more."""
ABOVE = 20.0
"""How many rows the parent node's histogram counts for, over groups of codes."""
WITHIN = 100.0
"""How many rows the parent node's histogram counts for inside one group of codes."""
TOLERANCE = 2.0
"""How much log-likelihood a split may lose on the pruning rows: an average of trees forgives some overfitting."""


@dataclass(slots=True)
class Tree:
    """Nodes in order, a child after its parent.

    Args:
        feature: the column a node looks at, -1 in a leaf.
        goes: per node, for each code of its column whether it goes left; ``None`` in a leaf.
        left: the left child.
        right: the right child.
        parent: -1 at the root.
        depth: 0 at the root.
    """

    feature: Ints
    goes: list[NDArray[np.bool_] | None]
    left: Ints
    right: Ints
    parent: Ints
    depth: Ints

    def levels(self) -> Iterator[Ints]:
        """Yield the nodes of each depth, from the root down."""
        for depth in range(int(self.depth.max()) + 1):
            yield np.flatnonzero(self.depth == depth)

    def locate(self, codes: Codes) -> Ints:
        """Return the leaf of each row."""
        nodes = np.zeros(len(codes), dtype=np.int64)
        where = [(0, np.arange(len(codes)))]
        while where:
            node, rows = where.pop()
            goes = self.goes[node]
            if self.feature[node] < 0 or goes is None:
                nodes[rows] = node
                continue
            left = goes[codes[rows, self.feature[node]]]
            where += [(int(self.left[node]), rows[left]), (int(self.right[node]), rows[~left])]
        return nodes

    def count(self, codes: Codes, target: Codes, card: int) -> Floats:
        """Return the histogram of ``target`` in every node, (nodes, card)."""
        nodes = len(self.feature)
        cells = np.bincount(self.locate(codes) * card + target, minlength=nodes * card)
        counts: Floats = cells.reshape(nodes, card).astype(np.float64)
        for level in reversed(list(self.levels())[1:]):
            np.add.at(counts, self.parent[level], counts[level])
        return counts

    def prune(self, likelihood: Floats) -> None:
        """Make a leaf of every node whose subtree does not explain the pruning rows better than it does."""
        best = likelihood.copy()
        for level in reversed(list(self.levels())):
            inner = level[self.feature[level] >= 0]
            below = best[self.left[inner]] + best[self.right[inner]]
            keeps = below + TOLERANCE > likelihood[inner]
            best[inner] = np.where(keeps, below, likelihood[inner])
            self.feature[inner[~keeps]] = -1

    def reached(self) -> Ints:
        """Return the nodes that are still in the tree, in order."""
        alive = np.zeros(len(self.feature), dtype=bool)
        alive[0] = True
        for level in self.levels():
            inner = level[alive[level] & (self.feature[level] >= 0)]
            alive[self.left[inner]] = alive[self.right[inner]] = True
        return np.flatnonzero(alive)


@dataclass(frozen=True, slots=True)
class Task:
    """What a tree is grown for: the rows, the column it predicts and those it may look at."""

    codes: Codes
    cards: Sequence[int]
    ordered: Sequence[bool]
    target: int
    given: Sequence[int]
    leaf: int

    @property
    def card(self) -> int:
        """Number of codes of the target."""
        return self.cards[self.target]

    def share(self) -> Floats:
        """Return the share of each code of the target in all rows."""
        return np.bincount(self.codes[:, self.target], minlength=self.card) / max(len(self.codes), 1)


def grow(task: Task, random: np.random.Generator) -> tuple[Tree, Floats]:
    """Return a tree and the smoothed histogram of each of its nodes, (nodes, card), of all rows."""
    rows, target = len(task.codes), task.codes[:, task.target]
    groups = group(target, task.card, task.ordered[task.target])
    base = task.share()
    if not task.given or rows < 4 * task.leaf:
        tree = _stump()
        return tree, smooth(tree, tree.count(task.codes, target, task.card), groups, base)
    mixed = random.permutation(rows)
    grown = min(int(GROWN * rows), ROWS)
    used, apart = np.sort(mixed[:grown]), mixed[grown:][:ROWS]
    tree = _split(task, used, groups, int(random.integers(2**31)))
    first = smooth(tree, tree.count(task.codes[used], target[used], task.card), groups, (base * rows + 0.5))
    seen = tree.count(task.codes[apart], target[apart], task.card)
    tree.prune(np.einsum("ij,ij->i", seen, np.log(np.maximum(first, 1e-12))))
    return tree, smooth(tree, tree.count(task.codes, target, task.card), groups, base)


def group(target: Codes, card: int, ordered: bool) -> Ints:
    """Return the group of each code, all in one numbering: itself if there are few codes or it is frequent.

    Of a target with order the others share groups of equal mass with their neighbours, of one without all share one.
    """
    if card <= GROUPS:
        return np.arange(card)
    counts = np.bincount(target, minlength=card)
    heavy = counts * (GROUPS if ordered else RARE) >= counts.sum()
    groups = np.cumsum(heavy) - 1
    left, rest = max(GROUPS - int(heavy.sum()), 1), np.where(heavy, 0, counts)
    others = np.zeros(card, dtype=np.int64)
    if ordered:
        middle = (np.cumsum(rest) - rest / 2) / max(rest.sum(), 1)
        others = np.minimum((middle * left).astype(np.int64), left - 1)
    groups = np.where(heavy, groups, int(heavy.sum()) + others)
    return np.asarray(np.unique(groups, return_inverse=True)[1], dtype=np.int64)


def smooth(tree: Tree, counts: Floats, groups: Ints, base: Floats) -> Floats:
    """Return each node's distribution, mixed with its parent's: first over groups of codes, then within each group.

    Over groups the parent counts for ``ABOVE`` rows, for fewer in a node where one group prevails, so that nothing leaks
    into a node with one value. Within a group it counts for ``WITHIN`` rows.

    Args:
        tree: the nodes.
        counts: (nodes, card), rows of each code.
        groups: the group of each code.
        base: the distribution above the root, in any unit.
    """
    base = base / max(base.sum(), 1e-300)
    member = np.zeros((len(groups), int(groups.max(initial=0)) + 1))
    member[np.arange(len(groups)), groups] = 1
    coarse, above = counts @ member, base @ member
    size = coarse.sum(axis=1, keepdims=True)
    mixed = 1 - coarse.max(axis=1, keepdims=True) / np.maximum(size, 1)
    weight = 1 + ABOVE * np.minimum(2 * mixed, 1)
    within = base / np.maximum(above[groups], 1e-300)
    for level in tree.levels():
        parent = tree.parent[level]
        top = parent[0] < 0
        upper = above if top else coarse[parent]
        coarse[level] = (coarse[level] + weight[level] * upper) / np.maximum(size[level] + weight[level], 1e-300)
    spread, held = np.empty_like(counts), (counts @ member)[:, groups]
    for level in tree.levels():
        parent = tree.parent[level]
        upper = within if parent[0] < 0 else spread[parent]
        spread[level] = (counts[level] + WITHIN * upper) / (held[level] + WITHIN)
    return np.asarray(coarse[:, groups] * spread)


def _stump() -> Tree:
    one = np.zeros(1, dtype=np.int64)
    return Tree(one - 1, [None], one.copy(), one.copy(), one - 1, one.copy())


def _split(task: Task, used: Ints, groups: Ints, seed: int) -> Tree:
    """Grow a tree on the rows ``used``: each column's codes in order, or in that of what they say about the target."""
    try:
        from sklearn.tree import DecisionTreeClassifier
    except ImportError as error:
        raise MissingPackageError("scikit-learn", extra="fit", needed_for="learning a profile") from error
    rows, classes = task.codes[used], groups[task.codes[used, task.target]]
    ranks = [
        np.arange(task.cards[j]) if task.ordered[j] else _rank(rows[:, j], classes, task.cards[j]) for j in task.given
    ]
    table = np.stack([rank[rows[:, j]] for rank, j in zip(ranks, task.given, strict=True)], axis=1)
    features = FEATURES if len(task.given) > FEATURES else None
    learner = DecisionTreeClassifier(
        criterion="entropy", min_samples_leaf=task.leaf, max_features=features, random_state=seed
    )
    found = learner.fit(table.astype(np.float32), classes).tree_
    inner = np.flatnonzero(found.feature >= 0)
    goes: list[NDArray[np.bool_] | None] = [None] * found.node_count
    for node in inner.tolist():
        goes[node] = ranks[found.feature[node]] <= found.threshold[node]
    feature, parent = np.full(found.node_count, -1), np.full(found.node_count, -1)
    feature[inner] = np.asarray(task.given)[found.feature[inner]]
    left, right = found.children_left.astype(np.int64), found.children_right.astype(np.int64)
    parent[left[inner]] = parent[right[inner]] = inner
    depth = np.zeros(found.node_count, dtype=np.int64)
    for node in range(1, found.node_count):
        depth[node] = depth[parent[node]] + 1
    return Tree(feature, goes, left, right, parent, depth)


def _rank(column: Codes, classes: Ints, card: int) -> Ints:
    """Order unordered codes by the first principal component of what they say about the target (Coppersmith et al. 1999)."""
    width = int(classes.max(initial=0)) + 1
    counts = np.bincount(column * width + classes, minlength=card * width).reshape(card, width).astype(np.float64)
    size = counts.sum(axis=1, keepdims=True)
    off = np.where(size > 0, counts / np.maximum(size, 1) - counts.sum(axis=0) / max(len(column), 1), 0.0)
    _, directions = np.linalg.eigh((off * size).T @ off)
    return np.asarray(np.argsort(np.argsort(off @ directions[:, -1], kind="stable"), kind="stable"))
