"""Rows of UCI Adult as tables, and what can be done wrong with them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from textsynth.measure.table import Column, Table

DATA = Path(__file__).parent / "data" / "evaluate"
NUMBERS = ("age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week")


def rows(name):
    return [json.loads(line) for line in (DATA / f"adult_{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def table(records):
    kinds = {name: "integer" if name in NUMBERS else "categorical" for name in records[0]}
    return Table.of({name: [record.get(name) for record in records] for name in kinds}, kinds)


REAL, HOLDOUT, OTHER = (table(rows(name)) for name in ("real", "holdout", "other"))


def perturb(given, share, seed=0):
    """Exchange this share of the cells within their columns; 1 makes the columns independent."""
    random = np.random.default_rng(seed)
    columns = []
    for column in given.columns:
        other = column.take(random.permutation(len(given)))
        swapped = random.random(len(given)) < share
        values = np.where(swapped, other.values, column.values)
        states = np.where(swapped, other.states, column.states)
        columns.append(Column(column.name, column.kind, values, states, column.labels))
    return Table(tuple(columns), len(given))


def by_name(values):
    return {value.name: value for value in values}
