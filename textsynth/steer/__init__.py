"""Steering: what the next windows should ask for, given what was kept.

The loop tells it, window by window and in order, what was planned and what came of it; it answers how many draws the next
window needs, how quota values are shared out, which of the profile's rows fill the gaps between what was kept and what real
data looks like (``cells``), and which way of asking (``arms``). Its answers depend only on the recipe's numbers and on the
verdicts of windows up to a stated one, never on timing, so the plan of a run repeats exactly.
"""

from textsynth.steer.arms import Arms
from textsynth.steer.cells import OVERSAMPLE, Cells, Target, Wanted
from textsynth.steer.counts import Ended, Steering, acceptance, key, largest_remainder

__all__ = [
    "OVERSAMPLE",
    "Arms",
    "Cells",
    "Ended",
    "Steering",
    "Target",
    "Wanted",
    "acceptance",
    "key",
    "largest_remainder",
]
