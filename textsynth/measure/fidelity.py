"""How like the real rows the synthetic ones are, column by column and in columns taken together.

Accuracy is that of mostlyai-qa 1.10: a table of k columns, binned on real rows, is right to ``1 - ½ Σ|p - q|``. Real data
does not reach 1 either: two samples differ by chance. What it reaches stands beside each value twice: expected from the
sizes, and measured on the holdout.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth.measure.measured import Gate, Measured
from textsynth.measure.similarity import similarity
from textsynth.measure.table import Bins, Table

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]

__all__ = ["Agreement", "Rows", "accuracy", "agree", "choose", "coherence", "similarity"]

TRIPLES = 1500
"""Most triples of columns counted; beyond, as many are drawn at random."""
PAIRS = 5000
"""Most pairs."""
SMALLEST = 30
"""Fewest rows on each side to say anything."""
_BANDS = {1: 0.01, 2: 0.02, 3: 0.03}  # how far below real data is near enough, by number of columns
_WAYS = {1: "univariate", 2: "bivariate", 3: "trivariate"}
_SUBJECTS = {1: "Single columns agree", 2: "Two columns taken together agree", 3: "Three columns taken together agree"}
_WORST = 10  # columns or pairs listed
_PLOTTED = 60  # columns up to which the matrix of pairs is kept


@dataclass(slots=True)
class Rows:
    """The bins of every row of one dataset, and how much each row lowers the agreement on average over the tables."""

    codes: list[Codes]
    sizes: list[int]
    influence: Floats = field(init=False)

    def __post_init__(self) -> None:
        """Start with no influence."""
        self.influence = np.zeros(len(self))

    def __len__(self) -> int:
        return len(self.codes[0]) if self.codes else 0

    def cells(self, combination: Sequence[int]) -> Codes:
        """Return the cell of each row in the table of the given columns."""
        found = self.codes[combination[0]]
        for column in combination[1:]:
            found = found * self.sizes[column] + self.codes[column]
        return found

    def variance(self, tables: int) -> float:
        """Return the variance of the mean influence, ``tables`` having been added up."""
        return float(np.var(self.influence / tables)) / len(self) if len(self) else 0.0


@dataclass(frozen=True, slots=True)
class Agreement:
    """Accuracies of tables, one entry each.

    ``maxima`` is what two samples of the same distribution of these sizes reach on average; ``real`` what the holdout
    reaches, brought to these sizes (NaN without one); ``error`` the standard error of the mean of ``values``.
    """

    combinations: tuple[tuple[int, ...], ...]
    values: Floats
    maxima: Floats
    real: Floats
    error: float


def accuracy(synthetic: Table, *, real: Table, holdout: Table | None = None, seed: int = 0) -> list[Measured]:
    """Return ``fidelity.accuracy.univariate``, ``.bivariate``, ``.trivariate`` and ``.overall``, the mean of the first two.

    As in mostlyai-qa the reference is the real rows and the holdout together, and bins are fitted on them. ``real`` is
    the measured difference of holdout and real rows, scaled by √(1/n + 1/m) to the sizes compared here. The interval
    comes from the linearised statistic (each row's influence): it does not resample. It is somewhat too wide where
    there is no difference but chance. For two and three columns the gate is two-sided: better than real data by more than chance
    means copies.

    Args:
        seed: of the draw of triples, if there are more than 1,500 (and of pairs beyond 5,000).
    """
    if problem := _too_little(synthetic, real):
        return [_unmeasured(f"fidelity.accuracy.{way}", synthetic, problem) for way in (*_WAYS.values(), "overall")]
    bins = Bins.fit(Table.stack(real, holdout))
    sizes = [each.size for each in bins]
    datasets = [Rows(bins.codes(table), sizes) for table in (synthetic, real, *([holdout] if holdout else []))]
    found, values = {}, []
    for ways in _WAYS:
        combinations = choose(len(sizes), ways, seed=seed)
        if combinations:
            found[ways] = agree(combinations, *datasets)
            values.append(_measure_accuracy(ways, found[ways], bins, datasets))
    return [*values, _overall(found, len(synthetic))]


def choose(columns: int, ways: int, *, seed: int) -> tuple[tuple[int, ...], ...]:
    """Return the combinations of that many columns that are counted: all, or as many as is allowed, drawn at random."""
    most = {1: columns, 2: PAIRS, 3: TRIPLES}[ways]
    if math.comb(columns, ways) <= most:
        return tuple(itertools.combinations(range(columns), ways))
    random, found = np.random.default_rng(seed), set[tuple[int, ...]]()
    while len(found) < most:
        found.add(tuple(sorted(random.choice(columns, ways, replace=False).tolist())))
    return tuple(sorted(found))


def agree(
    combinations: Sequence[tuple[int, ...]], synthetic: Rows, real: Rows, holdout: Rows | None = None
) -> Agreement:
    """Return the accuracy of every table."""
    extra = [holdout] if holdout is not None else []
    n, m = len(synthetic), len(real) + sum(map(len, extra))
    scale = np.sqrt((1 / n + 1 / m) / (1 / len(real) + 1 / len(extra[0]))) if extra else np.nan
    for each in (synthetic, real, *extra):
        each.influence[:] = 0
    values, maxima, reals = (np.empty(len(combinations)) for _ in range(3))
    for at, combination in enumerate(combinations):
        cells = [each.cells(combination) for each in (synthetic, real, *extra)]
        size = int(np.prod([synthetic.sizes[column] for column in combination]))
        counts = [np.bincount(cell, minlength=size) for cell in cells]
        reference = sum(counts[1:]) / m
        difference = counts[0] / n - reference
        values[at] = 1 - np.abs(difference).sum() / 2
        maxima[at] = 1 - np.sqrt(2 / np.pi * reference * (1 - reference) * (1 / n + 1 / m)).sum() / 2
        if extra:
            reals[at] = 1 - scale * np.abs(counts[1] / len(real) - counts[2] / len(extra[0])).sum() / 2
        sign = np.sign(difference) / 2
        for each, cell in zip((synthetic, real, *extra), cells, strict=True):
            each.influence += sign[cell]
    if not extra:
        reals[:] = np.nan
    together = np.concatenate([each.influence for each in (real, *extra)]) / len(combinations)
    error = np.sqrt(synthetic.variance(len(combinations)) + float(np.var(together)) / m)
    return Agreement(tuple(combinations), values, maxima, reals, float(error))


def _measure_accuracy(ways: int, found: Agreement, bins: Bins, datasets: Sequence[Rows]) -> Measured:
    value, real = float(found.values.mean()), _mean_or_none(found.real)
    reached = real if real is not None else float(found.maxima.mean())
    detail = {"maximum": float(found.maxima.mean()), "tables": len(found.combinations)}
    detail |= {1: _marginals, 2: _pairs, 3: _triples}[ways](found, bins, datasets)
    advice = "look at the worst columns in detail; fit with smaller leaves, or steer the cells that lack records"
    return Measured(
        name=f"fidelity.accuracy.{_WAYS[ways]}",
        value=value,
        real=real,
        size=len(datasets[0]),
        low=value - 1.96 * found.error,
        high=min(1.0, value + 1.96 * found.error),
        gate=_gate(reached, detail["maximum"], _BANDS[ways], found.error, advice, two_sided=ways > 1),
        meaning=f"{_SUBJECTS[ways]} with the real ones to {_percent(value)}; real data {_reaches(real, detail['maximum'])}."
        + _subsampled(ways, found, len(bins.bins)),
        detail=detail,
    )


def _gate(real: float, maximum: float, band: float, error: float, advice: str, *, two_sided: bool = True) -> Gate:
    """Return the range: at most ``band`` below real data (three standard errors if those are more), at most three above."""
    low = min(real, maximum) - max(band, 3 * error)
    return Gate(low=low, high=max(real, maximum) + 3 * error if two_sided else None, advice=advice)


def _reaches(real: float | None, maximum: float) -> str:
    return f"reaches {_percent(real)}" if real is not None else f"of these sizes would reach {_percent(maximum)}"


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def _subsampled(ways: int, found: Agreement, columns: int) -> str:
    every, counted = math.comb(columns, ways), len(found.combinations)
    return f" Counted on {counted:,} of {every:,} combinations, drawn at random." if counted < every else ""


def _overall(found: dict[int, Agreement], size: int) -> Measured:
    chosen = [found[ways] for ways in (1, 2) if ways in found]
    value = float(np.mean([each.values.mean() for each in chosen]))
    maximum = float(np.mean([each.maxima.mean() for each in chosen]))
    real = _mean_or_none(np.array([each.real.mean() for each in chosen]))
    error = float(np.mean([each.error for each in chosen]))
    three = float(np.mean([each.values.mean() for each in found.values()]))
    return Measured(
        name="fidelity.accuracy.overall",
        value=value,
        real=real,
        size=size,
        low=value - 1.96 * error,
        high=min(1.0, value + 1.96 * error),
        meaning=f"Columns and pairs of columns agree with the real ones to {_percent(value)} on average; "
        f"real data {_reaches(real, maximum)}.",
        detail={"maximum": maximum, "with_trivariate": three},
    )


def _mean_or_none(values: Floats) -> float | None:
    mean = float(values.mean())
    return None if np.isnan(mean) else mean


def _marginals(found: Agreement, bins: Bins, datasets: Sequence[Rows]) -> dict[str, Any]:
    """Return each column with the share of every bin in synthetic, real and holdout rows."""
    names = ("synthetic", "real", "holdout")
    columns = []
    for at, each in enumerate(bins):
        shares = [np.bincount(rows.codes[at], minlength=each.size) / max(1, len(rows)) for rows in datasets]
        used = [bin_ for bin_ in range(each.size) if bin_ < each.own or any(share[bin_] for share in shares)]
        columns.append(
            {
                "name": each.name,
                "kind": each.kind,
                "accuracy": float(found.values[at]),
                "maximum": float(found.maxima[at]),
                "real": None if np.isnan(found.real[at]) else float(found.real[at]),
                "labels": [each.labels[bin_] for bin_ in used],
                "shares": {n: [float(s[b]) for b in used] for n, s in zip(names, shares, strict=False)},
            }
        )
    return {"columns": columns}


def _pairs(found: Agreement, bins: Bins, datasets: Sequence[Rows]) -> dict[str, Any]:
    """Return the pairs with the most difference beyond chance, and the matrix of all for few columns."""
    names = [each.name for each in bins]
    excess = found.maxima - found.values
    detail: dict[str, Any] = {"worst": _worst(found, names)}
    if len(names) <= _PLOTTED:
        matrix: list[list[float | None]] = [[None] * len(names) for _ in names]
        for (one, other), lost in zip(found.combinations, excess, strict=True):
            matrix[one][other] = matrix[other][one] = round(float(lost), 5)
        detail |= {"columns": names, "excess": matrix}
    return detail


def _triples(found: Agreement, bins: Bins, datasets: Sequence[Rows]) -> dict[str, Any]:
    return {"worst": _worst(found, [each.name for each in bins])}


def _worst(found: Agreement, names: Sequence[str]) -> list[dict[str, Any]]:
    order = np.argsort(found.values - found.maxima, kind="stable")[:_WORST]
    return [
        {
            "columns": [names[column] for column in found.combinations[at]],
            "accuracy": float(found.values[at]),
            "maximum": float(found.maxima[at]),
        }
        for at in order
    ]


def _too_little(synthetic: Table, real: Table) -> str:
    if not synthetic.columns:
        return "Not measured: no column holds numbers or categories."
    fewest = min(len(synthetic), len(real))
    return f"Not measured: it needs {SMALLEST} rows on each side, got {fewest}." if fewest < SMALLEST else ""


def _unmeasured(name: str, synthetic: Table, why: str) -> Measured:
    return Measured(name=name, value=None, size=len(synthetic), meaning=why)


# Sequences -----------------------------------------------------------------------------------------------------------


def coherence(
    synthetic: Table,
    *,
    keys: Sequence[Any],
    real: Table,
    real_keys: Sequence[Any],
    holdout: Table | None = None,
    holdout_keys: Sequence[Any] = (),
    seed: int = 0,
) -> list[Measured]:
    """Return ``fidelity.coherence.next``, ``.variety`` and ``.reach`` of rows that belong to groups and follow each other.

    After mostlyai-qa: tables of a column's value in a row of the group and in the next one (one such pair per group,
    drawn at random), of the number of different bins a group has, and of the share of groups that a bin occurs in.
    (It bins with 30 ranges for the last two; here it is ten.) ``keys`` name the group of each row.
    """
    names = ("next", "variety", "reach")
    groups = [_groups(keys), _groups(real_keys), *([_groups(holdout_keys)] if holdout else [])]
    if min(len(synthetic), len(real)) < SMALLEST or min(map(len, groups)) < SMALLEST:
        why = f"Not measured: it needs {SMALLEST} groups on each side, got {min(map(len, groups))}."
        return [_unmeasured(f"fidelity.coherence.{name}", synthetic, why) for name in names]
    bins = Bins.fit(Table.stack(real, holdout))
    sizes = [each.size for each in bins]
    codes = [bins.codes(table) for table in (synthetic, real, *([holdout] if holdout else []))]
    steps = [_steps(code, sizes, group, seed) for code, group in zip(codes, groups, strict=True)]
    variety = [_variety(code, group) for code, group in zip(codes, groups, strict=True)]
    single = [(column,) for column in range(len(sizes))]
    reach = [_reach(code, sizes, group) for code, group in zip(codes, groups, strict=True)]
    return [
        _coherence(
            "next", len(groups[0]), "A row and the next one of its group agree", agree(_next_pairs(sizes), *steps)
        ),
        _coherence(
            "variety", len(groups[0]), "The numbers of different values in a group agree", agree(single, *variety)
        ),
        _coherence("reach", len(groups[0]), "The shares of groups that a value occurs in agree", agree(single, *reach)),
    ]


def _coherence(name: str, size: int, subject: str, found: Agreement) -> Measured:
    value, real, maximum = float(found.values.mean()), _mean_or_none(found.real), float(found.maxima.mean())
    reached = real if real is not None else maximum
    return Measured(
        name=f"fidelity.coherence.{name}",
        value=value,
        real=real,
        size=size,
        low=value - 1.96 * found.error,
        high=min(1.0, value + 1.96 * found.error),
        gate=_gate(reached, maximum, _BANDS[2], found.error, "generate a group's rows together, each given the last"),
        meaning=f"{subject} with the real ones to {_percent(value)}; real data {_reaches(real, maximum)}.",
        detail={"maximum": maximum, "columns": [float(v) for v in found.values]},
    )


def _groups(keys: Sequence[Any]) -> list[Codes]:
    """Return the rows of each group, in order."""
    found: dict[Any, list[int]] = {}
    for row, key in enumerate(keys):
        found.setdefault(key, []).append(row)
    return [np.array(rows) for rows in found.values()]


def _next_pairs(sizes: Sequence[int]) -> list[tuple[int, ...]]:
    return [(column, column + len(sizes)) for column in range(len(sizes))]


def _steps(codes: Sequence[Codes], sizes: Sequence[int], groups: Sequence[Codes], seed: int) -> Rows:
    """Return one row per group, its columns twice: as they are in a row of the group, and in the next (or "none")."""
    random = np.random.default_rng(seed)
    first = np.array([rows[int((len(rows) - 1) * random.random())] for rows in groups])
    position = {int(row): at for rows in groups for at, row in enumerate(rows)}
    last = np.array([position[int(row)] + 1 >= len(rows) for row, rows in zip(first, groups, strict=True)])
    after = np.array([rows[min(position[int(r)] + 1, len(rows) - 1)] for r, rows in zip(first, groups, strict=True)])
    following = [np.where(last, size, code[after]) for code, size in zip(codes, sizes, strict=True)]
    return Rows([code[first] for code in codes] + following, [*sizes, *(size + 1 for size in sizes)])


def _variety(codes: Sequence[Codes], groups: Sequence[Codes]) -> Rows:
    counts = [np.array([min(len(np.unique(code[rows])), 31) for rows in groups]) for code in codes]
    return Rows(counts, [32] * len(codes))


def _reach(codes: Sequence[Codes], sizes: Sequence[int], groups: Sequence[Codes]) -> Rows:
    """Return, per column, one row for each group and bin that it has."""
    pairs = [np.concatenate([np.unique(code[rows]) for rows in groups]) for code in codes]
    return Rows(pairs, list(sizes))
