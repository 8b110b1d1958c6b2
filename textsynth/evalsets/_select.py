"""Which items make the eval set: whole groups at a time, to quotas of difficulty and topic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

from textsynth.evalsets._entries import Entry, members
from textsynth.evalspec import EvalsetSpec
from textsynth.export import split_sizes


class Wanted:
    """What is still wanted: items in all, and per value of each field with a quota."""

    def __init__(self, spec: EvalsetSpec) -> None:
        self.items = spec.items
        shares: dict[str, Mapping[str, float]] = {"difficulty": dict(spec.difficulty.items()), "topic": spec.topics}
        self.open = {name: Counter(split_sizes(own, spec.items)) for name, own in shares.items() if own}

    def takes(self, entry: Entry) -> bool:
        """Whether one more such item is wanted."""
        return self.items > 0 and all(self.open[name][str(entry.record.get(name))] > 0 for name in self.open)

    def take(self, entry: Entry) -> None:
        """Count an item."""
        self.items -= 1
        for name, own in self.open.items():
            own[str(entry.record.get(name))] -= 1

    def would_take(self, entries: Sequence[Entry]) -> int:
        """Return how many of some items are wanted, taken in their order."""
        left, total = {name: Counter(own) for name, own in self.open.items()}, 0
        for entry in entries:
            values = {name: str(entry.record.get(name)) for name in left}
            if total < self.items and all(left[name][value] > 0 for name, value in values.items()):
                total += 1
                for name, value in values.items():
                    left[name][value] -= 1
        return total

    def missing(self) -> dict[str, int]:
        """Return what could not be found: the number of items, and per ``field=value`` with a quota."""
        found = {"items": self.items} if self.items > 0 else {}
        return found | {
            f"{name}={value}": count
            for name, own in self.open.items()
            for value, count in sorted(own.items())
            if count > 0 and self.items > 0
        }


def select(entries: Sequence[Entry], groups: Sequence[int], spec: EvalsetSpec) -> tuple[list[int], dict[str, int]]:
    """Return the numbers of the items chosen, in their order, and what was wanted and not found.

    A group of which one row is chosen is lost for training, so the group is taken next of which the greatest share is
    wanted; of equals, one at random.
    """
    wanted, chosen = Wanted(spec), list[int]()
    whole = members(groups)
    pools = {
        group: [at for at in rows if entries[at].eligible]
        for group, rows in whole.items()
        if any(entries[at].eligible for at in rows)
    }
    order = list(pools)
    Random(spec.seed).shuffle(order)
    while order and wanted.items > 0:
        shares = [wanted.would_take([entries[at] for at in pools[g]]) / len(whole[g]) for g in order]
        best = max(range(len(order)), key=lambda k: (shares[k], -k))
        if not shares[best]:
            break
        for at in pools[order.pop(best)]:
            if wanted.takes(entries[at]):
                wanted.take(entries[at])
                chosen.append(at)
    return sorted(chosen), wanted.missing()
