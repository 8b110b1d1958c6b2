"""Personal data in text: find it, with its span, its type and how sure the finding is.

`Detector` finds what patterns, checksums and context words can tell. Names and places beyond that
come from a `NameFinder`, which the caller gives.
"""

from textsynth.pii.detector import Detector
from textsynth.pii.findings import Finding, Level, NameFinder
from textsynth.pii.types import TYPES

__all__ = ["TYPES", "Detector", "Finding", "Level", "NameFinder"]
