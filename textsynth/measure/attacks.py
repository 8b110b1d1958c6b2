"""What attacks on privacy are judged by: AUC with bootstrap intervals, and the risk that is left beside a control."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from textsynth.measure.measured import Gate, Measured
from textsynth.measure.sampled import SURE, Floats, Interval, wilson

_DRAWS = 200
ADVICE = "Memorisation alarm: whether a record was used can be told from the synthetic data. Use fewer or other seeds."


def attack(name: str, members: Floats, others: Floats, by: str, *, seed: int = 0) -> Measured:
    """Return the AUC of scores that are to be higher for members, with bootstrap intervals and TPR at 1 % FPR."""
    value, caught = area(members, others), _caught(members, others)
    random = np.random.default_rng([seed, 13])
    draws = [[some[random.integers(len(some), size=len(some))] for some in (members, others)] for _ in range(_DRAWS)]
    areas = np.array([area(*draw) for draw in draws])
    rates = np.quantile([_caught(*draw) for draw in draws], [0.025, 0.975])
    chance = math.sqrt((len(members) + len(others) + 1) / (12 * len(members) * len(others)))
    low, high = np.quantile(areas, [0.025, 0.975])
    return Measured(
        name=f"privacy.membership.{name}",
        value=value,
        real=0.5,
        size=len(members) + len(others),
        low=float(low),
        high=float(high),
        gate=Gate(high=0.5 + max(0.03, SURE * max(chance, float(areas.std()))), advice=ADVICE),
        meaning=f"By {by}, {len(members):,} members are told from {len(others):,} others with AUC {value:.3f} (chance 0.5); "
        f"at 1 % false alarms {caught:.1%} are found. No proof of privacy.",
        detail={"tpr_at_1_fpr": caught, "tpr_low": float(rates[0]), "tpr_high": float(rates[1])},
    )


def area(members: Floats, others: Floats) -> float:
    """Return the AUC: the chance that a member scores higher than another, ties half (Mann and Whitney 1947)."""
    ordered = np.sort(others)
    below = np.searchsorted(ordered, members, side="left") + np.searchsorted(ordered, members, side="right")
    return float(below.mean() / 2 / len(others))


def _caught(members: Floats, others: Floats) -> float:
    """Return the share of members that score above all but 1 % of the others."""
    limit = np.sort(others)[len(others) - 1 - int(0.01 * len(others))]
    return float((members > limit).mean())


@dataclass(frozen=True, slots=True)
class Residual:
    """How much more often an attack succeeds on train records than on a control, of what the control leaves."""

    value: float
    interval: Interval
    error: float
    attack: Interval
    control: Interval


def residual_risk(hits: int, count: int, control_hits: int, control: int) -> Residual:
    """Return ``(attack - control) / (1 - control)`` of two success rates (Giomi et al. 2023, Anonymeter, section 4.2).

    The ends of both Wilson intervals are put together by error propagation (Newcombe 1998, method 10).
    """
    rate, base = hits / count, control_hits / control
    first, second = wilson(hits, count), wilson(control_hits, control)
    left = max(1 - base, 1 / control)
    below = math.hypot(rate - first.low, second.high - base) / left
    above = math.hypot(first.high - rate, base - second.low) / left
    value = (rate - base) / left
    return Residual(value, Interval(value - below, value + above), below / 1.959964, first, second)


def risk(name: str, found: Residual, size: int, what: str, *, sure: float = SURE, **detail: object) -> Measured:
    """Return a residual risk as a measured value; its gate allows for chance."""
    rates = [(one.low + one.high) / 2 for one in (found.attack, found.control)]
    return Measured(
        name=f"privacy.{name}",
        value=found.value,
        real=0.0,
        size=size,
        low=found.interval.low,
        high=found.interval.high,
        gate=Gate(high=max(0.02, sure * found.error), advice=ADVICE),
        meaning=f"{what} succeeds on about {rates[0]:.1%} of {size:,} train records and on {rates[1]:.1%} of others: "
        f"a residual risk of {found.value:+.1%}. No proof of privacy.",
        detail={
            "attack": [found.attack.low, found.attack.high],
            "control": [found.control.low, found.control.high],
            **detail,
        },
    )
