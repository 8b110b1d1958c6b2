"""Attacks on the people in a table: guess a secret column, single a person out, link two halves of a row. With control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth.measure.attacks import Residual, residual_risk, risk
from textsynth.measure.gower import Mixed, count_rows, distances, encode
from textsynth.measure.measured import Measured
from textsynth.measure.sampled import Rows

Columns = Mapping[str, Sequence[Any]]
Flags = NDArray[np.bool_]
MOST = 1000
REFERENCES = 20_000
_BLOCK = 64
_WITHIN = 0.02  # of the range of a number column
_PREDICATE = 4  # columns that single a row out
_WORST = 3.5
_KNOWN = 0.9  # a column guessed so well in records nobody used follows from the others: there is nothing to betray


def inference(
    synthetic: Columns,
    train: Columns,
    holdout: Columns,
    *,
    kinds: Mapping[str, str],
    most: int = MOST,
    references: int = REFERENCES,
    seed: int = 0,
) -> list[Measured]:
    """Return ``privacy.inference``, ``.singling_out`` and ``.linkability``: residual risks of a table.

    Three attacks after Giomi et al. 2023 (Anonymeter), simplified. Inference: the attacker knows all columns of a record
    but one and takes the value of the nearest synthetic row (Gower); right if equal, or within 2 % of the range. The value
    is the worst column's, by its distance from 0 in standard errors, among those that are not known anyway (control below
    90 %). Singling out: the values of four random columns of a synthetic row (numbers within 1/64 of the ranks) fit exactly
    one record. Linkability: a record's two halves of columns have the same nearest synthetic row. Each is run on ``most``
    train records and as many of the holdout; the risk is ``(attack - control) / (1 - control)``. At most ``references``
    synthetic rows are used.

    Args:
        synthetic: name to values, one per row.
        train: the same columns.
        holdout: the same columns.
        kinds: by column ``number`` or ``category``.
        most: records attacked.
        references: synthetic rows, and rows in which one is to be singled out.
        seed: of all choices.
    """
    size = min(count_rows(train), count_rows(holdout), references)
    if size < 20 or count_rows(synthetic) < 20 or len(kinds) < 2:
        why = "Not measured: it needs two columns, and every set at least 20 rows."
        return [Measured(name=f"privacy.{n}", value=None, size=0, meaning=why) for n in _NAMES]
    made, known, held = encode((synthetic, train, holdout), kinds, sizes=(references, size, size), seed=seed)
    random = np.random.default_rng([seed, 23])
    some = np.sort(random.permutation(size)[:most])
    targets = [known.take(some), held.take(some)]
    halves = _halves(len(kinds), random)
    guesses = [_attack(part, made, halves) for part in targets]
    return [
        _inference(guesses, list(kinds)),
        _singling(made, known, held, most, random),
        _linkability(guesses),
    ]


_NAMES = ("inference", "singling_out", "linkability")


def _halves(columns: int, random: np.random.Generator) -> list[Rows]:
    order = random.permutation(columns)
    return [np.sort(order[: columns // 2]), np.sort(order[columns // 2 :])]


def _attack(targets: Mixed, made: Mixed, halves: Sequence[Rows]) -> Flags:
    """Return who was guessed right (targets × columns), and in a last column whose halves were linked."""
    columns = targets.places.shape[1]
    found = np.zeros((len(targets), columns + 1), dtype=np.bool_)
    for start in range(0, len(targets), _BLOCK):
        block = targets.take(np.arange(start, min(start + _BLOCK, len(targets))))
        apart = [distances(block, made, column) for column in range(columns)]
        total = np.sum(apart, axis=0)
        lines = np.arange(len(block))
        for column in range(columns):
            at = (total - apart[column]).argmin(axis=1)
            found[start : start + _BLOCK, column] = apart[column][lines, at] <= _WITHIN
        left, right = (np.sum([apart[column] for column in half], axis=0) for half in halves)
        both = (left <= left.min(axis=1, keepdims=True) + 1e-6) & (right <= right.min(axis=1, keepdims=True) + 1e-6)
        found[start : start + _BLOCK, columns] = both.any(axis=1)
    return found


def _compare(hits: Flags, control: Flags) -> Residual:
    return residual_risk(int(hits.sum()), len(hits), int(control.sum()), len(control))


def _inference(guesses: Sequence[Flags], names: Sequence[str]) -> Measured:
    found = [_compare(guesses[0][:, at], guesses[1][:, at]) for at in range(len(names))]
    rates = [guesses[1][:, at].mean() for at in range(len(names))]
    open_ = [at for at, rate in enumerate(rates) if rate < _KNOWN] or range(len(names))
    worst = max(open_, key=lambda at: found[at].value / max(found[at].error, 1e-9))
    columns = {name: round(one.value, 4) for name, one in zip(names, found, strict=True)}
    what = f"Guessing {names[worst]!r} (the worst of {len(open_)} columns) from the nearest synthetic row"
    return risk("inference", found[worst], len(guesses[0]), what, sure=_WORST, columns=columns)


def _linkability(guesses: Sequence[Flags]) -> Measured:
    found = _compare(guesses[0][:, -1], guesses[1][:, -1])
    return risk("linkability", found, len(guesses[0]), "Linking two halves of a record by one nearest synthetic row")


def _singling(made: Mixed, train: Mixed, holdout: Mixed, most: int, random: np.random.Generator) -> Measured:
    columns = made.cells.shape[1]
    used = min(_PREDICATE, columns)
    rows = random.choice(len(made), min(most, len(made)), replace=False)
    hits = [np.zeros(len(rows), dtype=np.bool_) for _ in range(2)]
    for number, row in enumerate(rows):
        chosen = random.choice(columns, used, replace=False)
        for flags, part in zip(hits, (train, holdout), strict=True):
            fits = np.ones(len(part), dtype=np.bool_)
            for column in chosen:
                fits &= part.cells[:, column] == made.cells[row, column]
            flags[number] = fits.sum() == 1
    return risk("singling_out", _compare(*hits), len(rows), f"Singling out by {used} values of a synthetic row")
