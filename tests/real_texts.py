"""Real texts and rows that tests of measures share, and a stand-in for embeddings that needs no model."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np

from textsynth.measure import ngrams
from textsynth.minhash import hash_grams

DATA = Path(__file__).parent / "data" / "evaluate"


@cache
def rows(name):
    """Return the records of a file of tests/data/evaluate."""
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


@cache
def texts(name):
    """Return the texts of a file; banking and complaints have real, holdout and other."""
    return [row["text" if name.startswith("banking") else "narrative"] for row in rows(name)]


def columns(records):
    """Return rows as columns."""
    return {name: [row[name] for row in records] for name in records[0]}


def embed(some, *, dimension=64):
    """Return unit vectors of hashed words and pairs of words, projected at random: near for texts with common words."""
    words = ngrams.read(some)
    total = np.zeros((len(some), dimension))
    for order in (1, 2):
        grams, starts = hash_grams(words, order)
        keys, numbers, counts = np.unique(grams, return_inverse=True, return_counts=True)
        signs = np.stack([np.random.default_rng(int(key)).normal(size=dimension) for key in keys])
        signs /= np.sqrt(counts)[:, None]
        np.add.at(total, words.rows[starts], signs[numbers])
    return (total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def by_name(values):
    """Return measured values by the last parts of their names."""
    return {value.name.removeprefix("fidelity.text.").removeprefix("privacy."): value for value in values}
