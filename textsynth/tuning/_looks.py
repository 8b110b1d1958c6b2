"""One look at the model while it is tuned, and what the looks so far say: go on, or stop, and which adapter to keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from textsynth.tuning._alarms import Alarm

PROGRESS = 0.002
"""Least fall of the held-out loss, relative, that counts as progress."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of the model after some steps.

    Args:
        step: how many steps had been taken; 0 is the model as it was.
        epoch: how often each row had been seen.
        train_loss: mean loss per completion token on watched train rows.
        heldout_loss: the same on rows that nothing is learnt from.
        alarms: what was checked for memorisation.
        seconds: that the look took.
    """

    step: int
    epoch: float
    train_loss: float
    heldout_loss: float
    alarms: tuple[Alarm, ...] = ()
    seconds: float = 0.0

    @property
    def gap(self) -> float:
        """By how much the held-out loss is higher than that of train rows."""
        return self.heldout_loss - self.train_loss

    @property
    def ringing(self) -> tuple[Alarm, ...]:
        """The alarms that ring."""
        return tuple(alarm for alarm in self.alarms if alarm.rings)

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self) | {"gap": self.gap, "alarms": [alarm.as_data() for alarm in self.alarms]}

    @staticmethod
    def of_data(data: Mapping[str, Any]) -> Look:
        """Read it back."""
        alarms = tuple(Alarm.of_data(alarm) for alarm in data["alarms"])
        return Look(data["step"], data["epoch"], data["train_loss"], data["heldout_loss"], alarms, data["seconds"])


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why to stop (empty: go on), and the step whose adapter is the best so far."""

    stop: str
    best: int


def judge(looks: Sequence[Look], *, patience: int) -> Verdict:
    """Say what follows from all looks so far.

    An alarm stops at once, whatever the loss says. Without one it stops after ``patience`` looks that did not lower the
    held-out loss. The best adapter is the one with the lowest held-out loss among looks without an alarm.
    """
    quiet = [look for look in looks if not look.ringing]
    best = min(quiet, key=lambda look: look.heldout_loss).step if quiet else 0
    last = looks[-1]
    if last.ringing:
        return Verdict("memorisation alarm: " + "; ".join(alarm.meaning for alarm in last.ringing), best)
    if stale(looks) >= patience:
        return Verdict(f"the held-out loss has not fallen for {patience} looks", best)
    return Verdict("", best)


def stale(looks: Sequence[Look]) -> int:
    """Return how many looks ago the held-out loss last fell by a notable amount."""
    lowest, since = looks[0].heldout_loss, 0
    for look in looks[1:]:
        since += 1
        if look.heldout_loss < lowest * (1 - PROGRESS):
            lowest, since = look.heldout_loss, 0
    return since
