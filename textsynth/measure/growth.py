"""What each further record adds: a curve over the records that says when to stop."""

from __future__ import annotations

from typing import Any

_POINTS = 64  # of the curve at most; then two become one
_STEP = 100  # records a point, at first
_LEVEL = 0.05  # new word sequences among all: below, more records add next to nothing
_SLOW = 0.2


class Growth:
    """The share of new n-grams per hundred records; a long curve is thinned, so that it has at most 64 points."""

    def __init__(self) -> None:
        self.step = _STEP
        self._points: list[tuple[int, int]] = []
        self._open = (0, 0)
        self._inside = 0

    @property
    def room(self) -> int:
        """How many records still go into the open point."""
        return self.step - self._inside

    def add(self, records: int, grams: int, new: int) -> None:
        """Add what some records (no more than ``room``) brought: their n-grams, and how many of those were new."""
        self._inside += records
        self._open = (self._open[0] + grams, self._open[1] + new)
        if self._inside < self.step:
            return
        self._points.append(self._open)
        self._open, self._inside = (0, 0), 0
        if len(self._points) >= _POINTS:
            pairs = zip(self._points[::2], self._points[1::2], strict=True)
            self._points = [(one[0] + two[0], one[1] + two[1]) for one, two in pairs]
            self.step *= 2

    def curve(self) -> list[float]:
        """Return the share of n-grams that were new, per full step."""
        return [new / grams if grams else 0.0 for grams, new in self._points]

    def value(self) -> dict[str, Any]:
        """Return the curve and what it says, in words."""
        return {"records_a_point": self.step, "new_share": [round(p, 4) for p in self.curve()], "says": self.says()}

    def says(self) -> str:
        """Return in words whether further records still bring anything new."""
        curve = self.curve()
        if not curve:
            return f"too few records to tell (fewer than {self.step})"
        last = f"{curve[-1]:.0%} of the word sequences in the last {self.step} records were new"
        if curve[-1] >= _SLOW:
            return f"still growing: {last}"
        if curve[-1] >= _LEVEL:
            return f"slowing down: {last}"
        since = len(curve)
        while since and curve[since - 1] < _LEVEL:
            since -= 1
        return f"levelled off at {since * self.step} records: {last}; more of the same recipe adds little"
