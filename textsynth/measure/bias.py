"""Does the synthetic data treat groups as the real data does? Drift from real, in either direction.

A generator can bend what it learnt both ways: it exaggerates one difference between groups and levels another. So every
value here compares with real data, and the gates are two-sided. Groups of fewer than 30 rows are left out, and named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth.measure.counterfactual import association, swap
from textsynth.measure.measured import Gate, Measured
from textsynth.measure.predictions import Predictions, predict
from textsynth.measure.table import Bins, Table

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

__all__ = ["Counts", "association", "bias", "count", "information", "log_ratios", "odds_gap", "swap", "widest_gap"]

SMALLEST = 30
"""Fewest rows of a group, in the real and in the holdout data, to measure it."""
RESAMPLES = 500
_FIFTHS = float(np.log(1.25))  # the four-fifths rule, as a log ratio
_CHANCE = 0.00135  # one side of three standard errors, for all groups of a column together
_GAP = 0.05  # of shares
_ODDS = 0.15
_INFORMATION = 0.02  # bits
_LEVEL = 0.02  # a gap smaller than this is none
_SIDES = ("synthetic", "real", "holdout")


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows by group and outcome (groups × outcomes) in synthetic, real and, if given, holdout data.

    ``groups`` are those that are large enough; ``small`` are the others.
    """

    groups: tuple[str, ...]
    outcomes: tuple[str, ...]
    tables: tuple[Floats, ...]
    small: tuple[str, ...]


def bias(
    synthetic: Table,
    *,
    protected: Sequence[str],
    real: Table,
    label: str = "",
    holdout: Table | None = None,
    seed: int = 0,
    predictions: Predictions | None = None,
) -> list[Measured]:
    """Return five measures for each protected column A; the last four need a label.

    - ``bias.representation.A``: |log(share in synthetic / share in real)| of the group that drifts most, beyond what
      chance does to a group of its size (the four-fifths rule, or three standard errors, more for many groups, if that is wider);
    - ``bias.association.A``: |I_syn(A; label) − I_real(A; label)|, mutual information in bits, corrected for its bias
      in small samples (Miller 1955);
    - ``bias.parity.A``: the gap P(y|a) − P(y|a') in synthetic minus that in real data, for the outcome y and the groups
      between which it is widest in real data, beyond chance;
    - ``bias.amplification.A``: the ratio of the two;
    - ``bias.odds.A``: the equalised-odds gap (Hardt et al. 2016: the largest difference between groups in true- or
      false-positive rate, over classes) of a model that learnt from synthetic data, beside that of one that learnt from
      real data, both on holdout rows.

    Numbers are cut into bins fitted on real rows. ``real`` compares the holdout with the real rows; intervals are
    bootstrap percentiles of the counts (500 resamples, synthetic and real data both resampled).

    Args:
        predictions: those of ``utility.predict`` for the label, if they are there already.
    """
    bins = Bins.fit(Table.stack(real, holdout))
    tables = [synthetic, real, *([holdout] if holdout else [])]
    found = []
    for name in protected:
        if name not in real.names:
            raise ValueError(
                f"protected: there is no column {name!r} of numbers or categories; there are: {', '.join(real.names)}"
            )
        outcome = label if label != name else ""
        counts = count(tables, bins, name, outcome)
        found += _by_counts(name, outcome, counts, [len(table) for table in tables], seed)
    if label and holdout is not None and any(name != label for name in protected):
        found += _odds(synthetic, protected, real, label, holdout, bins, seed, predictions)
    return found


def count(tables: Sequence[Table], bins: Bins, name: str, label: str) -> Counts:
    """Return the rows of each group, by outcome; one outcome if there is no label."""
    cut = next(each for each in bins if each.name == name)
    groups = [cut.codes(table.column(name)) for table in tables]
    outcomes: tuple[str, ...] = ("",)
    answers = [np.zeros(len(table), dtype=np.int64) for table in tables]
    if label:
        by = next(each for each in bins if each.name == label)
        answers = [by.codes(table.column(label)) for table in tables]
        outcomes = by.labels
    shape = (cut.size, len(outcomes))
    made = [
        np.bincount(group * shape[1] + answer, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
        for group, answer in zip(groups, answers, strict=True)
    ]
    large = np.min([table.sum(axis=1) for table in made[1:]], axis=0) >= SMALLEST
    seen = np.sum(made, axis=(0, 2)) > 0
    used = np.sum(made, axis=(0, 1)) > 0
    return Counts(
        tuple(cut.labels[at] for at in np.flatnonzero(large)),
        tuple(outcomes[at] for at in np.flatnonzero(used)),
        tuple(table[large][:, used] for table in made),
        tuple(cut.labels[at] for at in np.flatnonzero(seen & ~large)),
    )


def _by_counts(name: str, label: str, counts: Counts, sizes: Sequence[int], seed: int) -> list[Measured]:
    if len(counts.groups) < 2:
        why = f"fewer than two groups of {name} have {SMALLEST} real rows"
        return [_unmeasured(f"bias.representation.{name}", sizes[0], why)]
    found = [_representation(name, counts, sizes, seed)]
    if not label:
        return found
    if len(counts.outcomes) < 2:
        return [*found, _unmeasured(f"bias.parity.{name}", sizes[0], f"{label} has one value only")]
    return [*found, _association(name, label, counts, sizes, seed), *_parity(name, label, counts, sizes, seed)]


def _representation(name: str, counts: Counts, sizes: Sequence[int], seed: int) -> Measured:
    totals = [table.sum(axis=1) for table in counts.tables]
    ratios = log_ratios(totals[0], sizes[0], totals[1], sizes[1])
    pairs = zip(_resample(totals[0], sizes[0], seed), _resample(totals[1], sizes[1], seed + 1), strict=True)
    spread = np.array([log_ratios(one, sizes[0], other, sizes[1]) for one, other in pairs])
    bands = np.maximum(_FIFTHS, NormalDist().inv_cdf(1 - _CHANCE / len(ratios)) * spread.std(axis=0))
    worst = int((np.abs(ratios) / bands).argmax())
    of_holdout = log_ratios(totals[2], sizes[2], totals[1], sizes[1])[worst] if len(totals) > 2 else 0.0
    shares = [total / size for total, size in zip(totals, sizes, strict=True)]
    around = spread[:, worst] * np.sign(ratios[worst])
    return Measured(
        name=f"bias.representation.{name}",
        value=float(abs(ratios[worst])),
        real=float(abs(of_holdout)) if len(totals) > 2 else None,
        size=sizes[0],
        low=max(0.0, _end(around, 2.5)),
        high=_end(around, 97.5),
        gate=Gate(high=float(bands[worst]), advice=f"draw {name} from the real shares"),
        meaning=f"The group of {name} that drifts most is {counts.groups[worst]}: {np.exp(ratios[worst]):.2f} times its "
        f"real share ({_percent(shares[0][worst])} instead of {_percent(shares[1][worst])})." + _small(counts),
        detail={
            "mean": float(np.abs(ratios).mean()),
            "largest": float(np.abs(ratios).max()),
            "groups": _listing(counts, shares),
            "small": list(counts.small),
        },
    )


def log_ratios(one: Floats, of_one: int, other: Floats, of_other: int) -> Floats:
    """Return the log of the ratio of shares, half a row added to each so that an absent group has one."""
    found: Floats = np.log((one + 0.5) / (of_one + 1)) - np.log((other + 0.5) / (of_other + 1))
    return found


def _association(name: str, label: str, counts: Counts, sizes: Sequence[int], seed: int) -> Measured:
    bits = [information(table) for table in counts.tables]
    spread = np.array(
        [
            abs(information(one) - information(other))
            for one, other in zip(*_resampled_tables(counts, seed), strict=True)
        ]
    )
    real = abs(bits[2] - bits[1]) if len(bits) > 2 else None
    return Measured(
        name=f"bias.association.{name}",
        value=abs(bits[0] - bits[1]),
        real=real,
        size=sizes[0],
        low=_end(spread, 2.5),
        high=_end(spread, 97.5),
        gate=Gate(high=max(_INFORMATION, (real or 0) + _error(spread)), advice=_ADVICE),
        meaning=f"{name} tells {bits[0]:.3f} bits about {label} in synthetic data, {bits[1]:.3f} in real data."
        + _small(counts),
        detail=dict(zip(_SIDES, bits, strict=False)),
    )


def information(table: Floats) -> float:
    """Return the mutual information of rows and columns of counts, in bits, less its expected bias, at least 0."""
    total = table.sum()
    if not total:
        return 0.0
    joint = table / total
    apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    there = joint > 0
    bits = float((joint[there] * np.log2(joint[there] / apart[there])).sum())
    rows, columns = (table.sum(axis=1) > 0).sum(), (table.sum(axis=0) > 0).sum()
    return max(0.0, bits - float((rows - 1) * (columns - 1) / (2 * total * np.log(2))))


def _parity(name: str, label: str, counts: Counts, sizes: Sequence[int], seed: int) -> list[Measured]:
    rates = [_rates(table) for table in counts.tables]
    pair = widest_gap(counts.tables[1])
    top, bottom, outcome = pair
    gaps = [_gap(rate, pair) for rate in rates]
    one, other = _resampled_tables(counts, seed)
    of_one = np.array([_gap(_rates(table), pair) for table in one])
    of_other = np.array([_gap(_rates(table), pair) for table in other])
    change, real = gaps[0] - gaps[1], gaps[2] - gaps[1] if len(gaps) > 2 else None
    spread = of_one - of_other
    band = max(_GAP, abs(real or 0) + _error(spread))
    names = f"{counts.groups[top]} and {counts.groups[bottom]}"
    told = f"The share of {label} = {counts.outcomes[outcome]} differs between {names} by {gaps[0]:.3f} in synthetic data, {gaps[1]:.3f} in real data"
    if min(counts.tables[0][[top, bottom]].sum(axis=1)) < SMALLEST:
        why = f"fewer than {SMALLEST} synthetic rows of {names}"
        return [_unmeasured(f"bias.{each}.{name}", sizes[0], why) for each in ("parity", "amplification")]
    parity = Measured(
        name=f"bias.parity.{name}",
        value=change,
        real=real,
        size=sizes[0],
        low=_end(spread, 2.5),
        high=_end(spread, 97.5),
        gate=Gate(low=-band, high=band, advice=_ADVICE),
        meaning=f"{told}." + _small(counts),
        detail={"outcomes": list(counts.outcomes), "groups": _listing(counts, rates), "small": list(counts.small)},
    )
    return [parity, _amplification(name, gaps, of_one, of_other, told, sizes)]


def _amplification(
    name: str, gaps: Sequence[float], of_one: Floats, of_other: Floats, told: str, sizes: Sequence[int]
) -> Measured:
    called = f"bias.amplification.{name}"
    if gaps[1] < max(_LEVEL, 3 * float(of_other.std())):
        return _unmeasured(
            called, sizes[0], f"real data shows no gap between groups that chance could not make ({gaps[1]:.3f})"
        )
    ratios = of_one / np.maximum(of_other, 1e-9)
    real = gaps[2] / gaps[1] if len(gaps) > 2 else None
    band = max(0.2, abs((real or 1) - 1) + _error(ratios))
    return Measured(
        name=called,
        value=gaps[0] / gaps[1],
        real=real,
        size=sizes[0],
        low=_end(ratios, 2.5),
        high=_end(ratios, 97.5),
        gate=Gate(low=1 - band, high=1 + max(0.25, band), advice=_ADVICE),
        meaning=f"{told}: {gaps[0] / gaps[1]:.2f} times as much (above 1 exaggerates, below 1 levels).",
    )


_ADVICE = "draw the label together with the group from the profile, or steer the cells of both"


def _odds(
    synthetic: Table,
    protected: Sequence[str],
    real: Table,
    label: str,
    holdout: Table,
    bins: Bins,
    seed: int,
    predictions: Predictions | None,
) -> list[Measured]:
    try:
        said = predictions or predict(synthetic, label=label, real=real, holdout=holdout, seed=seed)
    except ValueError as error:
        return [_unmeasured(f"bias.odds.{name}", len(synthetic), str(error)) for name in protected if name != label]
    if said.task == "number":
        return []
    return [_odds_of(name, label, holdout, bins, said, len(synthetic), seed) for name in protected if name != label]


def _odds_of(name: str, label: str, holdout: Table, bins: Bins, said: Predictions, size: int, seed: int) -> Measured:
    cut = next(each for each in bins if each.name == name)
    groups = cut.codes(holdout.column(name))[said.rows]
    answers = [said.synthetic.argmax(axis=1), said.real.argmax(axis=1)]
    shape = (cut.size, len(said.names))
    gaps = [odds_gap(groups, said.truth, answer, shape) for answer in answers]
    if gaps[0] is None or gaps[1] is None:
        return _unmeasured(
            f"bias.odds.{name}", size, f"fewer than two groups of {name} have {SMALLEST} holdout rows of a class"
        )
    random, spread = np.random.default_rng(seed), []
    for _ in range(RESAMPLES // 5):
        rows = random.integers(len(groups), size=len(groups))
        pair = [odds_gap(groups[rows], said.truth[rows], answer[rows], shape) for answer in answers]
        spread.append([np.nan if each is None else each for each in pair])
    drawn = np.array(spread)
    band = max(_ODDS, _error(drawn[:, 0] - drawn[:, 1]))
    return Measured(
        name=f"bias.odds.{name}",
        value=gaps[0],
        real=gaps[1],
        size=size,
        low=_end(drawn[:, 0], 2.5),
        high=_end(drawn[:, 0], 97.5),
        gate=Gate(low=gaps[1] - band, high=gaps[1] + band, advice=_ADVICE),
        meaning=f"Of a model that learnt {label} from synthetic data, the rates of right and wrong answers differ between groups "
        f"of {name} by up to {gaps[0]:.3f}; learnt from real data, by {gaps[1]:.3f}.",
    )


def odds_gap(groups: Codes, truth: Codes, said: Codes, shape: tuple[int, int]) -> float | None:
    """Return the largest difference between groups in the rate at which a class is told, given it is so or is not.

    Rates over fewer than 30 rows are left out; ``None`` if no two groups can be compared.
    """
    size, classes = shape
    cells = np.bincount((groups * classes + truth) * classes + said, minlength=size * classes * classes)
    table = cells.reshape(size, classes, classes).astype(np.float64)
    gaps = []
    for code in range(classes):
        told, true = table[:, :, code], table[:, code].sum(axis=1)
        false = table.sum(axis=(1, 2)) - true
        for right, given in ((told[:, code], true), (told.sum(axis=1) - told[:, code], false)):
            rates = right[given >= SMALLEST] / given[given >= SMALLEST]
            if len(rates) > 1:
                gaps.append(float(rates.max() - rates.min()))
    return max(gaps) if gaps else None


def widest_gap(table: Floats) -> tuple[int, int, int]:
    """Return two groups and the outcome whose share differs most between them, three standard errors taken off.

    So a wide gap between groups of few rows counts less than a sure one.
    """
    totals = table.sum(axis=1, keepdims=True)
    shares = (table + 1) / (totals + 2)
    errors = shares * (1 - shares) / totals
    sure = shares[:, None] - shares[None, :] - 3 * np.sqrt(errors[:, None] + errors[None, :])
    sure[np.arange(len(table)), np.arange(len(table))] = -np.inf
    top, bottom, outcome = np.unravel_index(int(sure.argmax()), sure.shape)
    return int(top), int(bottom), int(outcome)


def _rates(table: Floats) -> Floats:
    found: Floats = table / np.maximum(1, table.sum(axis=1, keepdims=True))
    return found


def _gap(rates: Floats, pair: tuple[int, int, int]) -> float:
    return float(rates[pair[0], pair[2]] - rates[pair[1], pair[2]])


def _resample(totals: Floats, size: int, seed: int) -> Floats:
    """Return resampled counts (resamples × groups); what the groups lack to ``size`` is a group of its own."""
    shares = np.append(totals, max(0.0, size - totals.sum())) / max(1, size)
    drawn = np.random.default_rng(seed).multinomial(size, shares / shares.sum(), size=RESAMPLES)
    return drawn[:, :-1].astype(np.float64)


def _resampled_tables(counts: Counts, seed: int) -> list[list[Floats]]:
    found = []
    for number, table in enumerate(counts.tables[:2]):
        flat = table.ravel()
        drawn = _resample(flat, int(flat.sum()), seed + number) if flat.sum() else np.zeros((RESAMPLES, len(flat)))
        found.append([each.reshape(table.shape) for each in drawn])
    return found


def _listing(counts: Counts, values: Sequence[Floats]) -> list[dict[str, Any]]:
    return [
        {"group": group} | {side: value[at].tolist() for side, value in zip(_SIDES, values, strict=False)}
        for at, group in enumerate(counts.groups)
    ]


def _small(counts: Counts) -> str:
    if not counts.small:
        return ""
    return f" Not measurable, fewer than {SMALLEST} rows: {', '.join(counts.small[:5])}" + (
        ", ..." if len(counts.small) > 5 else "."
    )


def _error(values: Floats) -> float:
    """Return three standard errors."""
    return 3 * float(np.nanstd(values))


def _end(values: Floats, percentile: float) -> float:
    return float(np.nanpercentile(values, percentile))


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def _unmeasured(name: str, size: int, why: str) -> Measured:
    return Measured(name=name, value=None, size=size, meaning=f"Not measured: {why}.")
