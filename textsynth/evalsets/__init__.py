"""Eval sets from the items of a run: selected to quotas, parted from the training rows so that nothing leaks, written for harnesses.

``build`` does it all and returns what was found; ``score`` asks a model the items of a written set.
"""

from textsynth.evalsets._build import EvalSet, build
from textsynth.evalsets._score import Scores, load_items, score

__all__ = ["EvalSet", "Scores", "build", "load_items", "score"]
