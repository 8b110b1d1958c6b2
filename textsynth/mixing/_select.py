"""How many rows each source gives, and which: proportions kept to the row, chosen by the seed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xxhash import xxh3_64_intdigest

from textsynth.errors import RecipeError
from textsynth.mixing._spec import MixSpec
from textsynth.steer import largest_remainder


@dataclass(frozen=True, slots=True)
class Wanted:
    """Rows by source: wanted at first, and those that are taken; with what the user should know."""

    wanted: tuple[int, ...]
    taken: tuple[int, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chosen:
    """A row of the mixture: its number in the spool, and which copy of it this is, from 0."""

    number: int
    copy: int


def wanted_counts(spec: MixSpec, available: Sequence[int]) -> Wanted:
    """Return how many rows each source gives.

    Raises:
        RecipeError: a source has too few, and ``scarce`` does not say what to do.
    """
    shares = proportions(spec, available)
    possible = largest_total(shares, available)
    total = spec.total if spec.total is not None else counted(spec, available, possible)
    wanted = tuple(largest_remainder(dict(enumerate(shares)), total).values())
    scarce = [number for number, count in enumerate(wanted) if count > available[number]]
    if not scarce:
        return Wanted(wanted, wanted)
    names = list(spec.sources)
    if spec.scarce == "scale" and possible:
        taken = tuple(largest_remainder(dict(enumerate(shares)), possible).values())
        short = ", ".join(names[number] for number in scarce)
        return Wanted(wanted, taken, (f"scaled down from {total:,} to {possible:,} rows: {short} has too few",))
    if spec.scarce == "repeat" and all(wanted[n] <= spec.copies * available[n] for n in scarce):
        notes = [
            f"{names[n]}: {available[n]:,} rows stand up to {math.ceil(wanted[n] / available[n])} times" for n in scarce
        ]
        return Wanted(wanted, wanted, tuple(notes))
    raise too_few(spec, names, wanted, available, scarce, possible)


def proportions(spec: MixSpec, available: Sequence[int]) -> list[float]:
    """Return the shares of the sources: as stated, as counts have it, or as many as there are."""
    sources = spec.sources.values()
    stated = [source.share or source.count for source in sources]
    return [float(amount or rows) for amount, rows in zip(stated, available, strict=True)]


def counted(spec: MixSpec, available: Sequence[int], possible: int) -> int:
    """Return the total where none is stated: the sum of the counts, or all that the shares allow."""
    counts = [source.count for source in spec.sources.values()]
    if all(count is not None for count in counts):
        return sum(count or 0 for count in counts)
    return possible


def largest_total(shares: Sequence[float], available: Sequence[int]) -> int:
    """Return the largest total that the sources can give in these proportions."""
    if not sum(shares):
        return 0
    whole = sum(shares)
    total = math.floor(min(n * whole / s for n, s in zip(available, shares, strict=True) if s) + 1e-9)
    total += len(shares)  # rounding may leave a source a row more than its exact share
    while total > 0 and any(
        count > n
        for count, n in zip(largest_remainder(dict(enumerate(shares)), total).values(), available, strict=True)
    ):
        total -= 1
    return total


def too_few(
    spec: MixSpec,
    names: Sequence[str],
    wanted: Sequence[int],
    available: Sequence[int],
    scarce: Sequence[int],
    possible: int,
) -> RecipeError:
    """Word the error for sources with too few rows."""
    lines = [
        f"sources.{names[n]}: {wanted[n]:,} rows are wanted, {available[n]:,} are left after repetitions"
        for n in scarce
    ]
    if spec.scarce == "repeat":
        return RecipeError(
            lines, hint=f"copies: {spec.copies} are not enough; raise it, or use scarce: scale ({possible:,} rows)"
        )
    return RecipeError(
        lines,
        hint=f"in these proportions {possible:,} rows are possible: total: {possible}, or scarce: scale or repeat",
    )


def choose_rows(available: Sequence[Sequence[int]], taken: Sequence[int], seed: int) -> list[Chosen]:
    """Return the rows of the mixture in its order: both depend on the seed and the rows' numbers alone."""
    chosen = [one for rows, count in zip(available, taken, strict=True) for one in draw(rows, count, seed)]
    return sorted(chosen, key=lambda one: (rank(one.number, seed + 1 + one.copy), one.number, one.copy))


def draw(rows: Sequence[int], count: int, seed: int) -> Iterator[Chosen]:
    """Yield ``count`` of the rows; every one once before any stands twice."""
    order = sorted(rows, key=lambda number: (rank(number, seed), number))
    for at in range(count):
        yield Chosen(order[at % len(order)], at // len(order))


def rank(number: int, seed: int) -> int:
    """Return a number that looks random and is always the same."""
    return xxh3_64_intdigest(number.to_bytes(8, "little"), seed=seed % 2**64)
