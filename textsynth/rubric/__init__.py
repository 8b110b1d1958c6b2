"""Judging by a language model: scales, the answers it is held to, what its votes come to, and how far they agree.

A ``Rubric`` says what is judged and reads the answers; a ``Panel`` asks for several votes on it. Scores are given one text
at a time, places to two texts in both orders. Whoever asks renders the prompt and sends the requests. What it comes to is ``written`` into a record in one form.
"""

from textsynth.rubric._agreement import Agreement, Orders, krippendorff
from textsynth.rubric._panel import Panel, mixed
from textsynth.rubric._scales import BEST, RATIONALE, Rubric, Scale, ScaleOption, cut, readable
from textsynth.rubric._votes import LOST, PLACES, TIED, WON, Judgement, Vote
from textsynth.rubric._written import place_figures, score_figures, written, written_schema

__all__ = [
    "BEST",
    "LOST",
    "PLACES",
    "RATIONALE",
    "TIED",
    "WON",
    "Agreement",
    "Judgement",
    "Orders",
    "Panel",
    "Rubric",
    "Scale",
    "ScaleOption",
    "Vote",
    "cut",
    "krippendorff",
    "mixed",
    "place_figures",
    "readable",
    "score_figures",
    "written",
    "written_schema",
]
