"""Seeds: the real examples shown to the model, and the choice of which ones a draw gets.

Choosing depends only on the generator it is given and on how often each seed was used before, so a plan repeats exactly.
"""

from textsynth.seeds._pool import SeedPool
from textsynth.seeds._rows import as_records, check, json_types, load, misfits
from textsynth.seeds._spec import SeedSpec

__all__ = ["SeedPool", "SeedSpec", "as_records", "check", "json_types", "load", "misfits"]
