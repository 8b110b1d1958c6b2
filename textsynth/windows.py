"""What is under way in a run: windows of draws, each draw a generator that waits for its completion; and how far it is."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from textsynth.methods import Steps
from textsynth.recipe import Limits
from textsynth.records import Candidate, Draw, EngineStatus
from textsynth.steer import Ended


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands. Rates are of this process; ``seconds_left`` is ``None`` while nothing can be said."""

    phase: str
    kept: int
    wanted: int
    draws: int
    reasons: Mapping[str, int]
    tokens: int
    tokens_per_second: float
    seconds: float
    seconds_left: float | None
    engine: EngineStatus


@dataclass(slots=True)
class Window:
    """Draws judged together, and those of them that are done.

    ``resumed`` says that some were begun by an earlier process; ``before`` are those of this window that ended there.
    ``tokens`` counts the generated tokens of each draw.
    """

    number: int
    draws: list[Draw]
    done: dict[int, Candidate] = field(default_factory=dict)
    resumed: bool = False
    before: Sequence[Ended] = ()
    tokens: Counter[int] = field(default_factory=Counter)

    @property
    def complete(self) -> bool:
        """Whether every draw is done."""
        return len(self.done) == len(self.draws)

    @property
    def candidates(self) -> list[Candidate]:
        """What the draws became, in index order."""
        return [self.done[draw.index] for draw in self.draws]


class Pace:
    """How many draws of the last windows were kept, and whether a run's limits let it go on.

    Args:
        windows: over how many windows the acceptance is taken.
    """

    def __init__(self, windows: int) -> None:
        self._recent: deque[tuple[int, int]] = deque(maxlen=windows)

    def see(self, kept: int, judged: int) -> None:
        """Count a window that has been judged."""
        self._recent.append((kept, judged))

    def limit(self, limits: Limits, *, tokens: int, seconds: float) -> str:
        """Return the limit that is met, with its value; empty while none is."""
        if limits.tokens is not None and tokens >= limits.tokens:
            return f"limits.tokens: {limits.tokens}"
        if limits.minutes is not None and seconds >= limits.minutes * 60:
            return f"limits.minutes: {limits.minutes:g}"
        kept, judged = (sum(part) for part in zip(*self._recent, strict=True)) if self._recent else (0, 0)
        full = len(self._recent) == self._recent.maxlen
        if full and judged > 0 and kept / judged < limits.acceptance:
            least = f"at least {limits.acceptance:.0%} are needed"
            return f"limits.acceptance: {kept} of the last {judged} draws were kept, {least}"
        return ""


@dataclass(slots=True)
class Active:
    """A draw under way: its window and the generator that is waiting for a completion."""

    draw: Draw
    window: Window
    steps: Steps
