"""Are synthetic records nearer to the real ones they were made from than to real ones that nobody used?

Every value sets the train records beside a holdout of the same size. Gates are alarms for memorisation; passing them is
no proof of privacy (Yao et al. 2025, The DCR Delusion).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth.measure.gower import (
    Mixed,
    Near,
    column_groups,
    count_rows,
    encode,
    independent,
    nearest,
    shared_cells,
    surprise,
)
from textsynth.measure.measured import Gate, Measured
from textsynth.measure.sampled import SURE, Rows, around, choose, clustered_error, difference_error, wilson
from textsynth.text import fingerprint

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]
Columns = Mapping[str, Sequence[Any]]
MOST = 5000
REFERENCES = 50_000
TABLE_MOST = 2000
TABLE_REFERENCES = 20_000
_TIE = 1e-6
_BLOCK = 2048
_ADVICE = "Memorisation alarm: {what}. Use fewer or other seed records, or a model that was not trained on them."


def text_copying(
    synthetic: Vectors,
    train: Vectors,
    holdout: Vectors,
    *,
    most: int = MOST,
    references: int = REFERENCES,
    seed: int = 0,
) -> list[Measured]:
    """Return five values of texts by their vectors (n × d, of length 1); distance is 1 - cosine.

    ``privacy.closest_share``: share of synthetic texts nearer to train than to holdout, ties half (0.5 by chance);
    ``.nearest_ratio``: tenth smallest ratio of the nearest to the second nearest distance (Yale et al. 2019);
    ``.authenticity``: share of synthetic texts further from their nearest train text than that is from its own nearest
    train text (Alaa et al. 2022, How Faithful is your Synthetic Data, equation 9), with the holdout in their place as real;
    ``.nearer``: by how much the distribution of cosines to the nearest train text lies above that of holdout texts
    (one-sided Kolmogorov-Smirnov), as real the same with train and holdout exchanged; ``.near_copies``: share of synthetic
    texts nearer to a train text than 99.5 % of holdout texts are, as real the same with holdout and train exchanged.

    Train and holdout are brought to one size of ``references`` at most, ``most`` texts are compared with them; exact copies
    among the rest are for ``identical``. Memory: blocks of 2,048 × 8,192 distances.
    """
    size = min(len(train), len(holdout), references)
    if size < 20 or len(synthetic) < 20:
        return [_none(name, "every set needs at least 20 texts") for name in _NAMES]
    train, holdout = (part[choose(len(part), size, seed=seed)] for part in (train, holdout))
    made = synthetic[choose(len(synthetic), most, seed=seed)]
    controls = holdout[choose(size, most, seed=seed + 1)]
    to_train, to_holdout, usual = _nearest(made, train), _nearest(made, holdout), _nearest(controls, train)
    back = _nearest(train[choose(size, most, seed=seed + 2)], holdout)
    return [
        _closest_share(_Closer.of(to_train, to_holdout), 0.5, "texts", name="privacy.closest_share"),
        _nearest_ratio(to_train, usual, "texts"),
        _authenticity(to_train, usual, _others(train, np.union1d(to_train.rows, usual.rows))),
        _nearer(to_train, to_holdout, usual, back),
        _near_copies(to_train, to_holdout, usual, back),
    ]


_NAMES = ("closest_share", "nearest_ratio", "authenticity", "nearer", "near_copies")


def _none(name: str, why: str) -> Measured:
    return Measured(name=f"privacy.{name}", value=None, size=0, meaning=f"Not measured: {why}.")


def _nearest(made: Vectors, references: Vectors, *, own: Rows | None = None) -> Near:
    """Return the two nearest references by cosine; ``own`` is a reference per record that does not count."""
    rows = np.zeros(len(made), dtype=np.int64)
    first, second = np.full(len(made), -np.inf, np.float32), np.full(len(made), -np.inf, np.float32)
    for start in range(0, len(made), _BLOCK):
        here = slice(start, min(start + _BLOCK, len(made)))
        lines = np.arange(here.stop - here.start)
        for begin in range(0, len(references), 4 * _BLOCK):
            cosines = made[here] @ references[begin : begin + 4 * _BLOCK].T
            if own is not None:
                inside = np.flatnonzero((own[here] >= begin) & (own[here] < begin + cosines.shape[1]))
                cosines[inside, own[here][inside] - begin] = -np.inf
            at = cosines.argmax(axis=1)
            best = cosines[lines, at]
            cosines[lines, at] = -np.inf
            next_best = np.maximum(cosines.max(axis=1), np.minimum(best, first[here]))
            second[here] = np.maximum(second[here], next_best)
            rows[here] = np.where(best > first[here], at + begin, rows[here])
            first[here] = np.maximum(first[here], best)
    return Near(rows, np.maximum(1 - first.astype(np.float64), 0), np.maximum(1 - second.astype(np.float64), 0))


def _others(train: Vectors, rows: Rows) -> Floats:
    """Return the distance of each train text to its nearest other one; nan for rows that are not asked for."""
    found = np.full(len(train), np.nan)
    found[rows] = _nearest(train[rows], train, own=rows).first
    return found


@dataclass(frozen=True, slots=True)
class _Closer:
    """How much nearer train is, per record (1, ½ for a tie, 0), its mean and standard error.

    Records with the same nearest real record say the same thing and count as one for the error.
    """

    values: Floats
    share: float
    error: float

    @classmethod
    def of(cls, train: Near, holdout: Near) -> _Closer:
        """Compare the distances to train and holdout."""
        apart = holdout.first - train.first
        values = np.where(np.abs(apart) <= _TIE, 0.5, apart > 0)
        groups = np.where(values >= 0.5, train.rows, -1 - holdout.rows)
        chance = math.sqrt(np.square(np.unique(groups, return_counts=True)[1]).sum()) / 2 / len(values)
        tied = float((values == 0.5).mean())
        return cls(values, float(values.mean()), max(clustered_error(values, groups), chance * math.sqrt(1 - tied)))


def _closest_share(closer: _Closer, null: float, what: str, *, name: str, sure: float = SURE) -> Measured:
    share, size = closer.share, len(closer.values)
    effective = min(size, share * (1 - share) / max(closer.error, 1e-9) ** 2) if 0 < share < 1 else size
    interval = wilson(share * effective, effective)
    return Measured(
        name=name,
        value=share,
        real=null,
        size=size,
        low=interval.low,
        high=interval.high,
        gate=Gate(
            high=max(null, 0.5) + max(0.02, sure * closer.error),
            advice=_ADVICE.format(what="records stand nearer to the train data than to the holdout"),
        ),
        meaning=f"{share:.1%} of the synthetic {what} are nearer to train than to the holdout; without memory it is "
        f"{null:.1%}. More is an alarm, less is no proof of privacy.",
        detail={"ties": float((closer.values == 0.5).mean())},
    )


def _nearest_ratio(made: Near, usual: Near, what: str) -> Measured:
    value, real = (_tenth(some) for some in (made, usual))
    return Measured(
        name="privacy.nearest_ratio",
        value=value,
        real=real,
        size=len(made.first),
        gate=Gate(
            low=real / 5,
            advice=_ADVICE.format(what="at least ten records are much nearer to one real record than to any other"),
        ),
        meaning=f"The tenth smallest ratio of nearest to second nearest distance is {value:.3f}; of holdout {what} "
        f"{real:.3f}. Near 0 is a copy.",
    )


def _tenth(near: Near) -> float:
    ratios = np.where(
        near.second > _TIE, near.first / np.maximum(near.second, _TIE), 1.0
    )  # two of the same tell nothing
    return float(np.sort(ratios)[min(9, len(ratios) - 1)])


def _authenticity(made: Near, usual: Near, others: Floats) -> Measured:
    value, real = (float((others[near.rows] < near.first).mean()) for near in (made, usual))
    size = len(made.first)
    error = clustered_error((others[made.rows] < made.first).astype(np.float64), made.rows)
    slack = max(0.05, SURE * math.hypot(error, difference_error(real, 2 * len(usual.first), 2 * len(usual.first))))
    interval = around(value, error)
    return Measured(
        name="privacy.authenticity",
        value=value,
        real=real,
        size=size,
        low=max(0.0, interval.low),
        high=min(1.0, interval.high),
        gate=Gate(
            low=real - slack,
            advice=_ADVICE.format(what="records lie closer to real ones than real ones do to each other"),
        ),
        meaning=f"{value:.1%} of the synthetic texts are further from their nearest train text than that one is from its own "
        f"neighbour; of holdout texts {real:.1%}.",
    )


def _nearer(made: Near, control: Near, usual: Near, back: Near) -> Measured:
    value, real = _above(made.first, usual.first), _above(control.first, back.first)
    groups = np.unique(made.rows, return_counts=True)[1]
    effective = len(made.first) ** 2 / np.square(groups).sum()  # texts with one nearest neighbour tell one thing
    chance = math.sqrt(-math.log(0.001) / 2 * (1 / effective + 1 / len(usual.first)))
    return Measured(
        name="privacy.nearer",
        value=value,
        real=real,
        size=len(made.first),
        gate=Gate(
            high=real + max(0.1, chance), advice=_ADVICE.format(what="texts lie nearer to train than holdout texts do")
        ),
        meaning=f"Cosines to the nearest train text exceed those of holdout texts by {value:.3f} (one-sided distance of the "
        f"distributions, 0 to 1); with train and holdout exchanged by {real:.3f}.",
        detail={"synthetic": _quantiles(made), "holdout": _quantiles(usual)},
    )


def _above(left: Floats, right: Floats) -> float:
    """Return by how much the distribution function of ``left`` lies above that of ``right`` at most."""
    at = np.concatenate([left, right])
    below = [np.searchsorted(np.sort(some), at, side="right") / len(some) for some in (left, right)]
    return float(max(0.0, (below[0] - below[1]).max()))


def _quantiles(near: Near) -> list[float]:
    return [float(value) for value in np.quantile(1 - near.first, np.linspace(0, 1, 21))]


def _near_copies(made: Near, control: Near, usual: Near, back: Near) -> Measured:
    """Compare how often synthetic texts come nearer to train, and to the holdout, than nearly all real texts do."""
    limits = [float(np.quantile(near.first, 0.005)) for near in (usual, back)]
    hits = [near.first <= limit + _TIE for near, limit in zip((made, control), limits, strict=True)]
    value, real = float(hits[0].mean()), float(hits[1].mean())
    error = math.hypot(
        *(clustered_error(h.astype(np.float64), n.rows) for h, n in zip(hits, (made, control), strict=True))
    )
    interval = wilson(value * len(made.first), len(made.first))
    return Measured(
        name="privacy.near_copies",
        value=value,
        real=real,
        size=len(made.first),
        low=interval.low,
        high=interval.high,
        gate=Gate(
            high=real + max(0.01, SURE * error), advice=_ADVICE.format(what="some texts are near copies of train texts")
        ),
        meaning=f"{value:.2%} of the synthetic texts are nearer to a train text than 99.5 % of real texts are to texts they "
        f"have nothing to do with; to the holdout {real:.2%}.",
        detail={"rows": np.flatnonzero(hits[0])[:20].tolist()},
    )


def table_copying(
    synthetic: Columns,
    train: Columns,
    holdout: Columns,
    *,
    kinds: Mapping[str, str],
    most: int = TABLE_MOST,
    references: int = TABLE_REFERENCES,
    seed: int = 0,
) -> list[Measured]:
    """Return the values of tables by Gower distance (Gower 1971): mean over columns of ``|x - y| / range`` or ``x ≠ y``.

    ``privacy.closest_share`` as of texts, beside its null: the share that independent columns drawn from train reach;
    ``privacy.closest_share.columns``: the worst share over three groups of correlated and three of random columns;
    ``privacy.equal_cells``: how many more cells synthetic rows share with their most equal train row than with their most
    equal holdout row, each cell weighted by how rare its value is; ``privacy.nearest_ratio``.

    Args:
        synthetic: name to values, one per row.
        train: the same columns.
        holdout: the same columns.
        kinds: by column ``number`` or ``category``. A number that is missing is a category of its own.
        most: synthetic rows compared.
        references: rows of train and holdout compared with, the same number of both.
        seed: of all choices.
    """
    size = min(count_rows(train), count_rows(holdout), references)
    if size < 20 or count_rows(synthetic) < 20:
        return [_none(name, "every set needs at least 20 rows") for name in _TABLE_NAMES]
    made, known, held = encode((synthetic, train, holdout), kinds, sizes=(most, size, size), seed=seed)
    groups = column_groups(known, seed=seed)
    to_train, to_holdout = nearest(made, known, groups), nearest(made, held, groups)
    chance = independent(known, len(made), seed=seed)
    null = _Closer.of(nearest(chance, known)[0], nearest(chance, held)[0]).share
    usual = nearest(held.take(choose(len(held), most, seed=seed + 1)), known)[0]
    closer = [_Closer.of(near, far) for near, far in zip(to_train, to_holdout, strict=True)]
    return [
        _closest_share(closer[0], null, "rows", name="privacy.closest_share"),
        _worst_columns(closer[1:], groups, list(kinds)),
        _nearest_ratio(to_train[0], usual, "rows"),
        _equal_cells(made, known, held, chance),
    ]


_TABLE_NAMES = ("closest_share", "closest_share.columns", "nearest_ratio", "equal_cells")
_MANY = 3.5  # standard errors for the worst of six


def _worst_columns(closer: Sequence[_Closer], groups: Sequence[Rows], names: Sequence[str]) -> Measured:
    if not closer:
        return _none("closest_share.columns", "groups of columns need at least four columns")
    worst = max(range(len(closer)), key=lambda at: (closer[at].share - 0.5) / max(closer[at].error, 1e-9))
    found = _closest_share(closer[worst], 0.5, "rows", name="privacy.closest_share.columns", sure=_MANY)
    columns = [names[at] for at in groups[worst]]
    every = [
        {"columns": [names[at] for at in group], "share": one.share} for group, one in zip(groups, closer, strict=True)
    ]
    meaning = f"On the worst of {len(closer)} groups of columns ({', '.join(columns)}): {found.meaning}"
    return replace(found, meaning=meaning, detail={**found.detail, "groups": every})


def _equal_cells(made: Mixed, train: Mixed, holdout: Mixed, chance: Mixed) -> Measured:
    """Compare how much of each row stands in one train row and in one holdout row, weighted by how rare the values are."""
    codes = 1 + max(int(part.cells.max(initial=0)) for part in (made, chance))
    weights = surprise((train, holdout), codes=codes)
    known, unused = (shared_cells(made, part, weights) for part in (train, holdout))
    apart = known.shares - unused.shares
    null = float(np.mean(shared_cells(chance, train, weights).shares - shared_cells(chance, holdout, weights).shares))
    value, error = float(apart.mean()), clustered_error(apart, np.where(apart >= 0, known.rows, -1 - unused.rows))
    interval = around(value, error)
    return Measured(
        name="privacy.equal_cells",
        value=value,
        real=null,
        size=len(made),
        low=interval.low,
        high=interval.high,
        gate=Gate(
            high=max(null, 0.0) + max(0.005, SURE * error),
            advice=_ADVICE.format(what="rows repeat cells of single train rows"),
        ),
        meaning=f"Of what a synthetic row says, {known.shares.mean():.1%} stands in one train row and "
        f"{unused.shares.mean():.1%} in one holdout row; of rows of independent columns {null:+.2%} more.",
    )


def identical(synthetic: Sequence[Any], train: Sequence[Any], holdout: Sequence[Any]) -> list[Measured]:
    """Return ``privacy.identical``: the share of records (texts or JSON values) that are a train record.

    Canonical forms are compared: case, width and white space do not count.
    Two controls: the share that are a holdout record (in ``detail``), and the share of holdout records that are a train
    record (``real``); where train is larger than the holdout, the first is scaled up to its size. Every record is
    compared, 16 bytes each.
    """
    if not min(len(synthetic), len(train), len(holdout)):
        return [_none("identical", "a set has no records")]
    every, known, held = (
        np.array([fingerprint(value) for value in part], dtype="S16") for part in (synthetic, train, holdout)
    )
    hits = np.isin(every, known)
    value, real = float(hits.mean()), float(np.isin(held, known).mean())
    control = float(np.isin(every, held).mean()) * max(1.0, len(train) / len(holdout))
    usual = max(control, real)
    interval = wilson(value * len(every), len(every))
    slack = max(0.001, SURE * math.sqrt(2 * max(usual, 1 / len(every)) / len(every)))
    return [
        Measured(
            name="privacy.identical",
            value=value,
            real=real,
            size=len(every),
            low=interval.low,
            high=interval.high,
            gate=Gate(high=min(1.0, usual + slack), advice=_ADVICE.format(what="records are copies of train records")),
            meaning=f"{value:.2%} of the synthetic records are a train record word for word, {control:.2%} a holdout record; "
            f"{real:.2%} of the holdout are a train record.",
            detail={"control": control, "rows": np.flatnonzero(hits)[:20].tolist()},
        )
    ]
