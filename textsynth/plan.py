"""The plan: index to draw. What draw *i* asks for depends on the recipe, the seed and the steering, never on timing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from textsynth.attributes import Attribute, Choice
from textsynth.records import Draw
from textsynth.seeds import SeedPool
from textsynth.steer import OVERSAMPLE, Ended, Steering

if TYPE_CHECKING:
    from textsynth.joint import Joint


class Plan:
    """Makes the draws of one window after the other.

    Args:
        seed: the recipe's seed.
        attributes: in the order in which they are drawn.
        seeds: the pool examples are taken from, or ``None``.
        steering: how many draws a window has, which quota values they get, and what they should make up for.
        joint: a profile that attributes are drawn from together, before the others.
    """

    def __init__(
        self,
        *,
        seed: int,
        attributes: Mapping[str, Attribute],
        seeds: SeedPool | None,
        steering: Steering,
        joint: Joint | None = None,
    ) -> None:
        self.seed, self.attributes, self.seeds, self.steering = seed, dict(attributes), seeds, steering
        self.joint = joint
        self.next_index = 0
        if seeds is not None and seeds.spec.grown:
            steering.learners.append(self._grow_seeds)

    def next_window(self, most: int | None = None) -> list[Draw]:
        """Return the next window's draws; none when nothing more is needed or verdicts must be waited for.

        Args:
            most: how many draws may still be made (a limit of the recipe).
        """
        size = self.steering.next_size()
        size = size if most is None else min(size, most)
        size = size if self.seeds is None else min(size, self.seeds.draws_left())
        if size <= 0:
            return []
        number = self.steering.planned_windows
        random = generator(self.seed, "window", number)
        shares = self.steering.share_out(size, random)
        given = [{name: values[position] for name, values in shares.items()} for position in range(size)]
        rows = self._rows(given, random)
        draws = [self.draw(self.next_index + position, number, row) for position, row in enumerate(rows)]
        self._count(draws)
        return draws

    def _rows(self, given: list[dict[str, Any]], random: Random) -> Sequence[Mapping[str, Any]]:
        """Return what is settled of each draw of a window: its quota values and, with a profile, all that it draws."""
        if self.joint is None:
            return given
        if any(given) or self.steering.cells is None:
            return self.joint.rows(random, given)
        rows = self.joint.rows(random, [{}] * (len(given) * OVERSAMPLE))
        return [rows[at] for at in self.steering.cells.choose(rows, len(given))]

    def draw(self, index: int, window: int, settled: Mapping[str, Any]) -> Draw:
        """Return draw ``index``: what is settled of it, its other attributes, its examples and its sampling seed."""
        random = generator(self.seed, "draw", index)
        drawn: dict[str, Any] = {**settled, **self.joint.ids(index)} if self.joint else {}
        for name, attribute in self.attributes.items():
            drawn[name] = settled[name] if name in settled else attribute.draw(random, drawn)
        sampling_seed = random.getrandbits(31)
        arm = self.steering.arms.choose(random) if self.steering.arms else ""
        seeds = self.seeds.choose(random, drawn) if self.seeds else ()
        return Draw(index, window, drawn, seeds, sampling_seed, arm)

    def share(self, name: str, counts: Mapping[Any, int]) -> None:
        """Draw a further attribute so that as many records of each value are kept as ``counts`` says."""
        self.attributes[name] = Choice(choices=tuple(counts))
        self.steering.share(name, counts)

    def _grow_seeds(self, ended: Sequence[Ended]) -> None:
        """Offer what was kept as examples to later draws."""
        if self.seeds is not None:
            self.seeds.grow({each.draw.index: each.record for each in ended if each.record is not None})

    def restore(self, draws: Sequence[Draw]) -> None:
        """Take over a window that was planned before the run was resumed."""
        for draw in draws:
            if self.seeds:
                self.seeds.restore(draw.seeds)
        self._count(draws)

    def _count(self, draws: Sequence[Draw]) -> None:
        self.steering.plan(draws)
        self.next_index += len(draws)


def generator(seed: int, kind: str, number: int) -> Random:
    """Return the generator of one draw or window; BLAKE2b keeps neighbours independent of each other."""
    digest = hashlib.blake2b(f"{seed}:{kind}:{number}".encode(), digest_size=8).digest()
    return Random(int.from_bytes(digest))
