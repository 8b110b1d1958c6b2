"""Mix: one corpus from runs, exported folders and datasets that exist, to stated proportions and without repetitions.

Every source's rows are brought to one form, in the order of the sources: what repeats an earlier row is dropped, so the
first source has precedence. Of what is left each source gives its share, chosen by the seed. The column ``lineage`` says of
every row where it comes from. Rows lie on disk meanwhile; memory holds what the filters remember and a few bytes a row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textsynth.errors import RecipeError
from textsynth.filters import Setting
from textsynth.judge import Hearing, Judge
from textsynth.mixing._forms import Arrangement, agree_on
from textsynth.mixing._mixture import Mixture, Share
from textsynth.mixing._select import Wanted, choose_rows, wanted_counts
from textsynth.mixing._sources import Opened, open_source
from textsynth.mixing._spec import MixSpec, SourceSpec, read_spec
from textsynth.mixing._spool import Spool
from textsynth.records import Candidate, Draw
from textsynth.schema import Observed, observe
from textsynth.validate import WINDOW, build_filters

__all__ = ["MixSpec", "Mixture", "Share", "SourceSpec", "mix", "read_spec"]

Repeats = Counter[tuple[str, str, str]]
"""How many rows were dropped: by reason, the source of the row, and the source of the one that it repeats."""


def mix(spec: MixSpec | Mapping[str, Any] | str | Path, *, say: Callable[[str], None] = lambda _: None) -> Mixture:
    """Mix sources into one dataset.

    Args:
        spec: a ``MixSpec``, a mapping, or the path of a YAML file, to whose folder paths in it are relative.
        say: called with what goes on.

    Returns:
        The mixture, to be exported; nothing is written yet.

    Raises:
        RecipeError: mistakes in the spec, sources that cannot be read or brought to one form, and, unless ``scarce`` says
            otherwise, sources with fewer rows than they are to give: which, and what total would be possible.
    """
    wanted = read_spec(spec)
    opened = [open_source(name, source, wanted.folder) for name, source in wanted.sources.items()]
    arrangement = agree_on(wanted.form, opened)
    spool = Spool()
    for number, source in enumerate(opened):
        say(f"reading {source.name}")
        read_in(spool, number, source, arrangement)
    observed = observe(spool.records())
    say(f"comparing {len(spool):,} rows")
    screened = screen(spool, observed, wanted, opened)
    available = [[n for n in screened.kept if spool.source(n) == number] for number in range(len(opened))]
    counts = wanted_counts(wanted, [len(rows) for rows in available])
    chosen = choose_rows(available, counts.taken, wanted.seed)
    return Mixture(
        spec=wanted,
        arrangement=arrangement,
        shares=tuple(shares_of(opened, spool, available, counts)),
        repeats=dict(screened.repeats),
        notes=tuple([*notes_of(opened, spool), *counts.notes, *screened.notes]),
        schema=observed.schema,
        spool=spool,
        chosen=tuple(chosen),
    )


def read_in(spool: Spool, number: int, source: Opened, arrangement: Arrangement) -> None:
    """Bring a source's rows to the form and put them into the spool; rows that do not fit are counted.

    Raises:
        RecipeError: more than half of the rows do not fit.
    """
    for place, row in source.rows():
        record = arrangement.arrange(row)
        if isinstance(record, str):
            spool.refuse(number, place, record)
        else:
            spool.add(number, place, record)
    refused, taken = spool.refused[number], spool.counts[number]
    if refused.count > taken:
        raise RecipeError(
            [
                f"sources.{source.name}: {refused.count:,} of {refused.count + taken:,} rows do not fit the form "
                f"{arrangement.name}; the first is row {refused.first}: {refused.why}"
            ],
            hint="map its columns with columns: {NAME: COLUMN}, or choose another form",
        )


@dataclass(frozen=True, slots=True)
class Screened:
    """The rows left after those that repeat earlier ones, what they repeated, and what the filters had to say."""

    kept: tuple[int, ...]
    repeats: Repeats
    notes: tuple[str, ...]


def screen(spool: Spool, observed: Observed, spec: MixSpec, opened: list[Opened]) -> Screened:
    """Drop every row that repeats an earlier one: the same, nearly the same, or, if asked for, in other words."""
    setting = Setting(observed.schema, (), observed.text_fields, spec.seed, spec.folder)
    filters = build_filters(spec.filters(), setting, checked=False)
    judge, kept, repeats = Judge(filters=filters), [], Repeats()
    try:
        for judging in filters.values():
            judging.start()
        for window in windows(spool):
            judge.begin(window)
            hearing = Hearing(judge.judge(window))
            hearing.proceed()
            for verdict in hearing.verdicts or ():
                index, drop = verdict.candidate.draw.index, verdict.drop
                if drop is None:
                    kept.append(index)
                    continue
                first = spool.source(int(drop.culprit)) if drop.culprit else spool.source(index)
                repeats[drop.reason, opened[spool.source(index)].name, opened[first].name] += 1
    finally:
        for judging in filters.values():
            judging.close()
    return Screened(tuple(kept), repeats, tuple(dict.fromkeys(judge.notes)))


def windows(spool: Spool) -> Iterator[list[Candidate]]:
    """Yield the spool's rows as candidates, some at a time."""
    window: list[Candidate] = []
    for number, record in enumerate(spool.records()):
        window.append(Candidate(Draw(number, number // WINDOW, {}, (), number), Arrangement.compared(record)))
        if len(window) == WINDOW:
            yield window
            window = []
    if window:
        yield window


def shares_of(opened: list[Opened], spool: Spool, available: list[list[int]], counts: Wanted) -> Iterator[Share]:
    """Yield what each source had, was to give and gave."""
    for number, source in enumerate(opened):
        yield Share(
            source=source.name,
            path=source.path,
            kind=source.kind,
            origin=source.origin,
            license=source.license,
            attribution=source.attribution,
            read=spool.counts[number] + spool.refused[number].count,
            refused=spool.refused[number].count,
            available=len(available[number]),
            wanted=counts.wanted[number],
            taken=counts.taken[number],
        )


def notes_of(opened: list[Opened], spool: Spool) -> Iterator[str]:
    """Yield what the user should know of rows that were left out."""
    for number, source in enumerate(opened):
        if (refused := spool.refused[number]).count:
            yield f"{source.name}: {refused.count:,} rows left out; the first is row {refused.first}: {refused.why}"
