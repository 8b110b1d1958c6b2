"""How a tuning goes: how long, how fast, how often it is looked at, when it ends."""

from __future__ import annotations

import math
from dataclasses import dataclass

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Greatest ranks that vLLM can be told (``max_lora_rank``); 16 is its default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """The settings of a tuning.

    Args:
        epochs: how often each train row is seen at most.
        rank: of the adapter's matrices; more can learn more, and remember more.
        rate: the highest learning rate.
        batch: rows per step.
        limit: the most train rows; all if not given.
        looks: how often the model is looked at, evenly over the steps, besides the look before the first.
        patience: looks without a lower held-out loss after which it ends.
        watched: rows of train, and as many held out, that every look reads.
        texts: texts that the model writes at every look.
        longest: the most tokens of prompt and completion; longer rows are left out.
        membership: the greatest AUC with which train rows may be told from held-out ones by their loss.
        seed: of rows, order and sampling.
    """

    epochs: float = 3.0
    rank: int = 16
    rate: float = 5e-4
    batch: int = 8
    limit: int | None = None
    looks: int = 8
    patience: int = 2
    watched: int = 64
    texts: int = 24
    longest: int = 1024
    membership: float = 0.7
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse settings out of their range."""
        for name, low, high in BOUNDS:
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and low <= value <= high):
                raise ValueError(f"{name} must be between {low:g} and {high:g}, got {value:g}")

    @property
    def engine_rank(self) -> int:
        """The ``max_lora_rank`` that vLLM needs for this adapter."""
        return next(rank for rank in RANKS if rank >= max(self.rank, 16))

    def steps(self, rows: int) -> int:
        """Return how many steps there are for so many rows."""
        return max(1, math.ceil(self.epochs * rows / self.batch))

    def interval(self, rows: int) -> int:
        """Return the number of steps between two looks."""
        return max(1, math.ceil(self.steps(rows) / self.looks))


BOUNDS: tuple[tuple[str, float, float], ...] = (
    ("epochs", 0.01, 1000),
    ("rank", 1, 512),
    ("rate", 1e-7, 0.1),
    ("batch", 1, 1024),
    ("limit", 1, 10**8),
    ("looks", 1, 1000),
    ("patience", 1, 1000),
    ("watched", 8, 10_000),
    ("texts", 8, 10_000),
    ("longest", 16, 10**6),
    ("membership", 0.5, 1),
    ("seed", 0, 2**31 - 1),
)
