"""A record's schema: load it from what the user has, lint and rewrite it for the decoder, check records against it.

One internal form, JSON Schema. ``load`` brings every source into it, ``constrain`` says what the decoder is held to and
keyword by keyword whether that enforces it, and ``RecordSchema.problems`` is the independent check afterwards.
"""

from textsynth.schema._backends import Backend
from textsynth.schema._constrain import constrain
from textsynth.schema._decoding import Decoding, Finding
from textsynth.schema._features import to_json_schema
from textsynth.schema._load import load
from textsynth.schema._observe import Observed, observe
from textsynth.schema._problems import Problem
from textsynth.schema._record import RecordSchema
from textsynth.schema._short import short_form

__all__ = [
    "Backend",
    "Decoding",
    "Finding",
    "Observed",
    "Problem",
    "RecordSchema",
    "constrain",
    "load",
    "observe",
    "short_form",
    "to_json_schema",
]
