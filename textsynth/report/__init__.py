"""What a person reads about a run: the dataset card (Markdown) and the report (one HTML page, and its numbers as JSON).

Both are pure functions of what the ledger and an evaluation hold: no clock, no network, the same input gives the same
file.
"""

from textsynth.report.card import RunFacts, card, facts
from textsynth.report.measures import card_lines

__all__ = ["RunFacts", "card", "card_lines", "facts"]
