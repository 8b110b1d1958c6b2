"""Edge cases for software tests: valid records at the bounds of their schema, and records invalid in one named way.

They are derived by rule from records that the schema accepts: no model is asked, and the same seed gives the same
records. ``boundary`` and ``invalid`` make them, each checked by the schema's own check; ``edge_splits`` makes the
splits that a recipe's ``edge_cases`` asks for.
"""

from textsynth.edges._edge import Edge, EdgeSpec, Ways
from textsynth.edges._make import boundary, invalid, ways
from textsynth.edges._splits import as_text, boundary_schema, edge_splits, invalid_schema

__all__ = [
    "Edge",
    "EdgeSpec",
    "Ways",
    "as_text",
    "boundary",
    "boundary_schema",
    "edge_splits",
    "invalid",
    "invalid_schema",
    "ways",
]
