"""What rings when a model begins to repeat its train rows: copies in its texts, rows it can recite, members it gives away.

Each compares train rows with held-out rows of the same data, so that what all such texts share does not ring.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from textsynth.measure.attacks import attack
from textsynth.measure.measured import Measured
from textsynth.measure.memory import memorised
from textsynth.measure.sampled import SURE

RECITED = 24
"""Tokens in a row that greedy decoding must give back for a row to count as recited."""
LEAST_RECITED = 0.05
"""Greatest share of train rows recited beyond those of the held-out ones, where chance allows no more."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One check: it rings if ``value`` is above ``limit``. ``value`` is ``None`` where nothing could be measured."""

    name: str
    value: float | None
    limit: float
    meaning: str

    @property
    def rings(self) -> bool:
        """Whether the value is above the limit."""
        return self.value is not None and self.value > self.limit

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "name": self.name,
            "value": self.value,
            "limit": self.limit,
            "rings": self.rings,
            "meaning": self.meaning,
        }

    @staticmethod
    def of_data(data: Mapping[str, Any]) -> Alarm:
        """Read it back."""
        return Alarm(data["name"], data["value"], data["limit"], data["meaning"])


@dataclass(frozen=True, slots=True)
class Scores:
    """Of some rows, in order: the mean loss per completion token, and the longest run of tokens that greedy decoding from
    the prompt and what stands before would write as they are.
    """

    losses: tuple[float, ...]
    runs: tuple[int, ...]

    @property
    def mean(self) -> float:
        """The mean loss over the rows."""
        return float(np.mean(self.losses))


@dataclass(frozen=True, slots=True)
class Sides:
    """The same scores of watched train rows and of held-out ones."""

    train: Scores
    heldout: Scores


def alarms(
    now: Sides, before: Sides, made: Sequence[str], train: Sequence[str], heldout: Sequence[str], *, membership: float
) -> tuple[Alarm, ...]:
    """Return all alarms of one look.

    Args:
        now: scores of the model as it is.
        before: scores of the model before it was tuned, of the same rows.
        made: texts that the model wrote for the prompts of train rows.
        train: texts of watched train rows, those of the prompts among them.
        heldout: as many held-out texts.
        membership: the greatest AUC that is let pass.
    """
    copies = [of_measured(each) for each in memorised(made, train, heldout)]
    return (*copies, recitation(now), giveaway(now, before, membership))


def of_measured(found: Measured) -> Alarm:
    """Return a measure's gate as an alarm."""
    limit = found.gate.high if found.gate is not None and found.gate.high is not None else math.inf
    return Alarm(found.name.removeprefix("privacy."), found.value, limit, found.meaning)


def recitation(now: Sides) -> Alarm:
    """Return the share of train rows that the model can recite in part, less that of held-out rows.

    A row counts if greedy decoding, given the prompt and some words of the row, goes on with at least ``RECITED`` of its
    tokens (discoverable memorisation, Carlini et al. 2023, arXiv 2202.07646, with a shorter run: the rows are short).
    """
    shares = [float(np.mean([run >= RECITED for run in side.runs])) for side in (now.train, now.heldout)]
    pooled, size = sum(shares) / 2, min(len(now.train.runs), len(now.heldout.runs))
    error = math.sqrt(2 * max(pooled * (1 - pooled), 1 / size**2) / size)
    value = shares[0] - shares[1]
    text = f"{shares[0]:.0%} of watched train rows are recited for {RECITED} tokens or more, {shares[1]:.0%} of held-out rows"
    return Alarm("recited", value, max(LEAST_RECITED, SURE * error), text)


def giveaway(now: Sides, before: Sides, bound: float) -> Alarm:
    """Return the AUC with which train rows are told from held-out ones by how much tuning lowered their loss.

    A likelihood ratio with the untuned model as reference (Carlini et al. 2021, arXiv 2012.07805, section 5). The limit is
    ``bound``, or what chance allows for so few rows.
    """
    members, others = (
        np.array(old.losses) - np.array(new.losses)
        for old, new in ((before.train, now.train), (before.heldout, now.heldout))
    )
    found = attack("loss", members, others, "how much tuning lowered the loss")
    chance = math.sqrt((len(members) + len(others) + 1) / (12 * len(members) * len(others)))
    text = f"train rows are told from held-out ones by their loss with AUC {found.value:.2f}"
    return Alarm("membership", found.value, max(bound, 0.5 + SURE * chance), text)
