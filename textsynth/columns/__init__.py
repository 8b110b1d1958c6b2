"""Records as columns: which fields there are, of what kind, and their values one list per field.

``infer`` reads records and names their fields; ``columns`` takes records apart and ``rebuild`` puts them together again.
Null, absent and empty stay three things throughout.
"""

from textsynth.columns._dates import from_seconds, parse_format, to_seconds
from textsynth.columns._field import ABSENT, Absent, Field, JsonType, Kind
from textsynth.columns._infer import infer, infer_column
from textsynth.columns._numbers import from_numbers, ordinary, to_numbers
from textsynth.columns._patterns import draw_pattern, draw_texts, find_pattern, pattern_size, widen
from textsynth.columns._rows import columns, rebuild
from textsynth.columns._strings import type_strings

__all__ = [
    "ABSENT",
    "Absent",
    "Field",
    "JsonType",
    "Kind",
    "columns",
    "draw_pattern",
    "draw_texts",
    "find_pattern",
    "from_numbers",
    "from_seconds",
    "infer",
    "infer_column",
    "ordinary",
    "parse_format",
    "pattern_size",
    "rebuild",
    "to_numbers",
    "to_seconds",
    "type_strings",
    "widen",
]
