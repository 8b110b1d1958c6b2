"""Tables as measures see them: columns of numbers and of categories, their bins, and matrices for learners."""

from textsynth.measure.table._bins import BINS, Bin, Bins, find_edges
from textsynth.measure.table._columns import KINDS, STATES, Column, Table, category_column, number_column
from textsynth.measure.table._matrices import Encoded, encode

__all__ = [
    "BINS",
    "KINDS",
    "STATES",
    "Bin",
    "Bins",
    "Column",
    "Encoded",
    "Table",
    "category_column",
    "encode",
    "find_edges",
    "number_column",
]
