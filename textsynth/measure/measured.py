"""One measured value with everything that is needed to read it: real against real, size, interval, range, a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Gate:
    """The range a value must lie in, ends included; ``None`` leaves an end open. ``advice`` is what to do if it does not."""

    low: float | None = None
    high: float | None = None
    advice: str = ""

    def holds(self, value: float) -> bool:
        """Return whether ``value`` lies in the range."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A value of one measure.

    Args:
        name: group and name with dots between: ``fidelity.accuracy.univariate``. The groups are fidelity, utility,
            diversity, privacy and bias.
        value: ``None`` if it could not be measured; ``meaning`` then says why.
        real: the same statistic with the holdout in the synthetic records' place, at equal size: what real data scores.
        size: how many synthetic records it was computed on.
        low: lower end of the 95 % interval of ``value``.
        high: its upper end.
        meaning: one plain sentence on what this value says.
        gate: what counts as good enough; ``None`` for values that inform only.
        detail: what stands behind the value (per column, per pair, curves), as JSON values, for plots and tables.
    """

    name: str
    value: float | None
    meaning: str
    size: int
    real: float | None = None
    low: float | None = None
    high: float | None = None
    gate: Gate | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def group(self) -> str:
        """The first part of the name."""
        return self.name.partition(".")[0]

    @property
    def passed(self) -> bool | None:
        """Whether the value is good enough; ``None`` without a gate or a value."""
        if self.gate is None or self.value is None or math.isnan(self.value):
            return None
        return self.gate.holds(self.value)

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON values; ``passed`` and the gate included."""
        gate = self.gate and {"low": self.gate.low, "high": self.gate.high, "advice": self.gate.advice}
        shown = {"name": self.name, "value": self.value, "real": self.real, "low": self.low, "high": self.high}
        return (
            shown
            | {"size": self.size, "passed": self.passed, "gate": gate, "meaning": self.meaning}
            | {"detail": dict(self.detail)}
        )
