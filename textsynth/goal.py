"""When a steered run is good enough, and which of its accepted records are left out in the end.

After every judged window the kept records are compared with the ``steer`` split of the real data. A run with a pool goes on
beyond the number wanted while that helps; then those records are left out without which the rest is closest to real data.
The ``report`` split is not read here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from textsynth.records import Record
from textsynth.steer import Arms, Cells, Ended, Wanted
from textsynth.steer.cells import chance_distance, chance_spread
from textsynth.steer.likeness import Reading, Reference
from textsynth.steer.selection import eliminate, fourier, median_distance

if TYPE_CHECKING:
    from textsynth.filters.adherence import Adherence

COMPARED = 1000
"""Most records, and most real texts, that are compared after a window; the differences beyond are below the noise."""
LEAST = 50
"""Kept records from which anything is compared."""
MARGIN = 0.01
"""How far the mean distance of the attributes may be above what chance explains."""


UNSELECTED = "unselected"
"""The reason of a good record that is left out of a pool."""


class Goal:
    """Compares, decides and selects.

    Args:
        records: how many records the dataset has in the end.
        accepted: how many may be accepted before some are left out; the same number without a pool.
        patience: windows without progress after which no more are accepted than wanted.
        wanted: the cells wanted and their shares.
        watch: the filter that reads the texts, and embeds them if the profile has clusters; ``None`` for records without text.
        steer: real records of the split that steers.
        train: real records that others are compared with.
        arms: the ways of asking, for the account.
    """

    def __init__(
        self,
        *,
        records: int,
        accepted: int,
        patience: int,
        wanted: Wanted,
        watch: Adherence | None,
        steer: Sequence[Record],
        train: Sequence[Record],
        arms: Arms | None,
    ) -> None:
        self.records, self.accepted, self._patience, self._arms = records, accepted, patience, arms
        self._watch = watch if watch is not None and watch.embeds else None
        self._cells = Cells(wanted)
        self._real = (list(steer[:COMPARED]), list(train[:COMPARED]))
        self._reference: Reference | None = None
        self._kept: list[Ended] = []
        self._best: dict[str, Reading] = {}
        self._idle = 0
        self._last: list[Reading] = []
        self._windows: list[dict[str, Any]] = []

    def see(self, number: int, ended: Sequence[Ended]) -> None:
        """Take in one judged window."""
        self._cells.plan([each.draw for each in ended])
        self._cells.learn(ended)
        kept = [each for each in ended if each.record is not None]
        self._kept += kept
        self._last = self._read() if len(self._kept) >= LEAST else []
        better = [now for now in self._last if now.name not in self._best or now.better_than(self._best[now.name])]
        self._best |= {now.name: now for now in better}
        self._idle = 0 if better or not self._last else self._idle + 1
        self._windows.append(self._account(number, ended, len(kept)))

    def enough(self) -> str:
        """Return why no more records than there are should be accepted; empty while they should."""
        if len(self._kept) < self.records or not self._last:
            return ""
        if all(reading.met for reading in self._last):
            return "steer: every band is met"
        if self._idle >= self._patience:
            return f"steer: nothing improved beyond its standard error for {self._idle} windows"
        return ""

    def leave_out(self) -> list[int]:
        """Return the draws whose accepted records are too many, in order: without them the others are closest to real data."""
        if len(self._kept) <= self.records:
            return []
        blocks, goals = self._cells.indicators([{**e.draw.attributes, **e.observed} for e in self._kept])
        features, goal = [blocks], [goals]
        if self._watch is not None and (reference := self._refer()):
            ours, middle = self._vectors(self._kept), median_distance(reference.steer)
            for bandwidth in (middle, middle / 3):  # the whole, and who is near whom
                features.append(fourier(ours, bandwidth=bandwidth))
                goal.append(fourier(reference.steer, bandwidth=bandwidth).mean(axis=0))
        out = eliminate(np.hstack(features), np.concatenate(goal), self.records)
        return [self._kept[at].draw.index for at in out]

    def account(self) -> dict[str, Any]:
        """Return what happened, as JSON values, for the report."""
        arms = {name or "recipe": asdict(found) for name, found in self._arms.yields.items()} if self._arms else {}
        return {
            "windows": self._windows,
            "arms": arms,
            "pool": len(self._kept),
            "records": min(self.records, len(self._kept)),
            "gaps": [asdict(gap) for gap in self._cells.gaps()],
        }

    def _read(self) -> list[Reading]:
        """Return the readings of the kept records as they are now."""
        targets, kept = self._cells.targets, self._cells.kept
        found = []
        if targets:
            apart = float(np.mean([self._cells.distance(target) for target in targets]))
            chance = float(np.mean([chance_distance(target.shares.values(), kept) for target in targets]))
            spread = float(np.mean([chance_spread(target.shares.values(), kept) for target in targets]))
            found.append(Reading("attributes", apart, spread, chance + MARGIN, False))
        if self._watch is not None and (reference := self._refer()):
            step = max(1, len(self._kept) // COMPARED)
            found += reference.read(self._vectors(self._kept[::step][:COMPARED]))
        return found

    def _refer(self) -> Reference | None:
        """Return the embedded real texts, embedded at first use; ``None`` if there are too few."""
        if self._reference is None and self._watch is not None and min(map(len, self._real)) >= LEAST:
            steer, train = (self._watch.embed(rows) for rows in self._real)
            self._reference = Reference(steer, train)
        return self._reference

    def _vectors(self, some: Sequence[Ended]) -> Any:
        assert self._watch is not None
        return np.stack([self._watch.seen[each.draw.index].vector for each in some])

    def _account(self, number: int, ended: Sequence[Ended], kept: int) -> dict[str, Any]:
        readings = {now.name: {"value": now.value, "error": now.error, "limit": now.limit} for now in self._last}
        used: dict[str, int] = {}
        for each in ended:
            used[each.draw.arm or "recipe"] = used.get(each.draw.arm or "recipe", 0) + 1
        tokens = sum(each.tokens for each in ended)
        distance = readings.get("attributes", {}).get("value")
        return {
            "window": number, "draws": len(ended), "kept": kept, "tokens": tokens, "distance": distance,
            "readings": readings, "arms": used,
            "deficits": [[gap.cell, round(gap.wanted, 1), gap.got] for gap in self._cells.gaps(5)],
        }  # fmt: skip
