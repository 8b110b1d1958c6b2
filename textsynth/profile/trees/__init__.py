"""The joint distribution of coded columns: sequential trees whose leaves hold histograms (the family of synthpop)."""

from textsynth.profile.trees._trees import Drawn, Trees

__all__ = ["Drawn", "Trees"]
