"""Filters over data that exists already: any dataset, judged window by window as a run judges its candidates.

The rows are read twice, once for their types and once to be judged, and written to disk as they end; memory holds a few
windows and what the filters remember.
"""

from __future__ import annotations

import re
import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from textsynth import export, tables
from textsynth.assemble import build_engine, named
from textsynth.engines import Engine
from textsynth.errors import ExportError, Problems, RecipeError, unknown
from textsynth.filters import Filter, Setting
from textsynth.judge import Hearing, Judge
from textsynth.recipe import DEFAULT_FILTERS, NamedPart, Recipe
from textsynth.records import Candidate, Draw, EngineStatus, Record, Seed, Verdict
from textsynth.registry import pydantic_problems
from textsynth.schema import RecordSchema, observe
from textsynth.schema import load as load_schema
from textsynth.windows import Progress

if TYPE_CHECKING:
    from datasets import Dataset

WINDOW = 256
"""Rows judged together."""
AHEAD = 3
"""Windows on which slow filters work while an earlier one is judged."""
_DRAW = re.compile(r"\bdraw (\d+)")
REDRAW = 0.3
"""Seconds between two calls of ``on_progress``."""
DROP_COLUMNS = {
    "drop_row": "int64",
    "drop_reason": "string",
    "drop_detail": "string",
    "drop_score": "float64",
    "drop_culprit": "string",
}
"""What the dropped rows have beside their own columns; ``drop_culprit`` is the row number of a duplicate's first."""


@dataclass(frozen=True)
class Validation:
    """What filters made of a dataset.

    Args:
        kept: the rows that passed, as they were (or as a filter changed them).
        dropped: the others, with the columns ``drop_row``, ``drop_reason``, ``drop_detail``, ``drop_score`` and
            ``drop_culprit``.
        reasons: how many rows were dropped, by reason.
        remarks: how many kept rows a filter changed or remarked on, by filter.
        filters: per filter, in order: what it checked, dropped and edited, the seconds it took, what it measured.
        notes: what the user should know of filters that broke.
        seconds: wall time of the judging.
    """

    kept: Dataset
    dropped: Dataset
    reasons: Mapping[str, int]
    remarks: Mapping[str, int]
    filters: Mapping[str, Mapping[str, Any]]
    notes: Sequence[str]
    seconds: float

    @property
    def rows(self) -> int:
        """How many rows were judged."""
        return int(self.kept.num_rows + self.dropped.num_rows)

    def row(self, number: int) -> Record:
        """Return the row that was number ``number`` of the data, kept or dropped."""
        at = bisect_left(self._dropped_rows, number)
        if at < len(self._dropped_rows) and self._dropped_rows[at] == number:
            return dict(self.dropped[at])
        return dict(self.kept[number - at])

    @cached_property
    def _dropped_rows(self) -> list[int]:
        return list(self.dropped["drop_row"])

    def examples(self, reason: str, count: int) -> list[Record]:
        """Return the first rows dropped for ``reason``, with their ``drop_`` columns."""
        found: list[Record] = []
        for start in range(0, self.dropped.num_rows, 1000):
            part = self.dropped[start : start + 1000]
            hits = [at for at, name in enumerate(part["drop_reason"]) if name == reason]
            found += [{name: values[at] for name, values in part.items()} for at in hits]
            if len(found) >= count:
                break
        return found[:count]


@dataclass(frozen=True)
class Source:
    """Rows that can be read again and again; ``features`` are given where they come from a ``Dataset``."""

    rows: Callable[[], Iterator[Record]]
    features: Any = None


def validate(
    data: Any,
    *,
    filters: Sequence[Any] = DEFAULT_FILTERS,
    fields: Sequence[str] | None = None,
    schema: Any = None,
    seeds: Any = None,
    model: str = "scripted",
    seed: int = 0,
    split: str = "train",
    limit: int | None = None,
    folder: str | Path | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Validation:
    """Judge existing rows by filters.

    Args:
        data: a file (JSONL, JSON, CSV, TSV, Parquet), a folder, the id of a Hugging Face dataset, a ``datasets.Dataset``,
            or a list of dictionaries.
        filters: as in a recipe: names, or ``{name: options}``.
        fields: the columns whose text is judged; by default those that hold running text.
        schema: what a row must be, in any form a recipe takes; rows that break it are dropped as ``schema``.
        seeds: rows that ``copied`` and others compare with, in any form of ``data``.
        model: who answers filters that ask a language model.
        folder: what paths in the filters' options are relative to.
        on_progress: called a few times a second.

    Raises:
        RecipeError: rows that cannot be read, filters or options that do not exist, columns that are not there.
        ExportError: no room on the disk.
    """
    base = Path(folder) if folder is not None else Path.cwd()
    source = read_source(data, base, split, limit, "data")
    observed = observe(source.rows())
    if not observed.rows:
        raise RecipeError(["data: no rows"])
    if observed.opaque and source.features is None:
        raise RecipeError(
            [f"data: the columns {', '.join(observed.opaque)} hold values that JSON does not have"],
            hint="give a datasets.Dataset, which knows their types",
        )
    given = None if schema is None else load_schema(schema, folder=base)
    rules = given or observed.schema
    if fields is not None and (lost := [name for name in fields if name not in observed.schema.properties]):
        raise RecipeError([unknown("fields", name, observed.schema.properties) for name in lost])
    examples = () if seeds is None else [*islice(read_source(seeds, base, split, None, "seeds").rows(), 1_000_000)]
    setting = Setting(
        schema=rules,
        seeds=[Seed(number, row) for number, row in enumerate(examples)],
        text_fields=observed.text_fields if fields is None else tuple(fields),
        seed=seed,
        folder=base,
    )
    made = build_filters(filters, setting, checked=given is not None)
    judge = Judge(filters=made)
    bench = Bench(judge, source, Target(source, observed.schema, observed.opaque), engine_for(made, model, base))
    return bench.run(observed.rows, on_progress or (lambda progress: None))


def read_source(data: Any, folder: Path, split: str, limit: int | None, place: str) -> Source:
    """Return the rows of whatever the user gives.

    Raises:
        RecipeError: something that holds no rows, or can be read only once.
    """
    if isinstance(data, str | Path):
        return Source(lambda: tables.stream(str(data), folder=folder, place=place, split=split, limit=limit))
    if hasattr(data, "with_format") and hasattr(data, "num_rows") and not isinstance(data, Mapping):
        part = data if limit is None else data.select(range(min(limit, data.num_rows)))
        return Source(lambda: arrow_rows(part), part.features)
    if isinstance(data, Mapping) or not isinstance(data, Iterable) or iter(data) is data:
        what = "a DatasetDict: name one split" if isinstance(data, Mapping) else type(data).__name__
        raise RecipeError(
            [f"{place}: it must be a path, a Dataset or a list of rows that can be read twice, got {what}"]
        )
    return Source(lambda: (dict(row) for row in islice(iter(data), limit)))


def arrow_rows(dataset: Dataset) -> Iterator[Record]:
    """Yield the rows of a dataset as stored: images and the like are not decoded."""
    for batch in dataset.with_format("arrow").iter(batch_size=1000):
        yield from batch.to_pylist()


def build_filters(wanted: Sequence[Any], setting: Setting, *, checked: bool) -> dict[str, Filter]:
    """Build and prepare the filters, the schema's first if the user gave one.

    Raises:
        RecipeError: all that is wrong with them.
    """
    try:
        parts = TypeAdapter(tuple[NamedPart, ...]).validate_python(tuple(wanted))
    except ValidationError as error:
        raise RecipeError(pydantic_problems(error, place="filters")) from None
    if checked:
        parts = (*TypeAdapter(tuple[NamedPart, ...]).validate_python(("schema",)), *parts)
    problems, built = Problems(), {}
    recipe = Recipe(records=1).at(setting.folder)
    for part in parts:
        place = f"filters.{part.name}"
        if part.name in built:
            problems.found.append(f"{place}: it stands twice")
        made = problems.attempt(lambda part=part: named("filters", part, "filters", recipe), place)  # type: ignore[misc]
        if made is not None:
            problems.attempt(lambda made=made: made.prepare(setting), place)  # type: ignore[misc]
            built[part.name] = made
    if problems.found:
        raise problems.error()
    return built


def engine_for(filters: Mapping[str, Filter], model: str, folder: Path) -> Engine | None:
    """Return the engine that answers the filters' questions, if any of them asks."""
    asking = {name: item for name, item in filters.items() if type(item).ask is not Filter.ask}
    if not asking:
        return None
    models = {item.asked_model or model for item in asking.values()}
    if len(models) > 1:
        raise RecipeError([f"filters: one model answers all questions here, got {', '.join(sorted(models))}"])
    return build_engine(Recipe(records=1, model=models.pop()).at(folder), dry_run=False)


@dataclass
class Target:
    """Where kept and dropped rows go: two Arrow files with the columns of the source."""

    source: Source
    schema: RecordSchema
    opaque: Sequence[str]
    folder: Path = field(default_factory=export.scratch_folder)

    def __post_init__(self) -> None:
        """Open both files."""
        from datasets import Features, Value

        columns = export.read_columns(self.schema)
        features = self.source.features or export.to_features(columns)
        self._encode = export.row_encoder(columns) if self.source.features is None else dict
        wider = Features({**features, **{name: Value(kind) for name, kind in DROP_COLUMNS.items()}})
        names = list(self.schema.properties)
        self.kept = export.RowWriter(self.folder / "kept.arrow", features.arrow_schema, names)
        self.dropped = export.RowWriter(self.folder / "dropped.arrow", wider.arrow_schema, names)

    def record(self, row: Record) -> Record:
        """Return what the filters see of a row: its JSON values."""
        return {name: value for name, value in row.items() if name not in self.opaque} if self.opaque else row

    def write(self, rows: Sequence[Record], verdicts: Sequence[Verdict]) -> None:
        """Write a window's rows, changed ones as they are now."""
        kept, dropped = [], []
        for row, verdict in zip(rows, verdicts, strict=True):
            if verdict.drop is None:
                kept.append(self._stored(row | (verdict.candidate.record or {}), verdict.candidate.draw.index))
                continue
            drop, index = verdict.drop, verdict.candidate.draw.index
            detail = _DRAW.sub(r"row \1", drop.detail)
            ends = (index, drop.reason, detail, drop.score, drop.culprit)
            dropped.append(self._stored(row, index) | dict(zip(DROP_COLUMNS, ends, strict=True)))
        self.kept.add(kept)
        self.dropped.add(dropped)

    def _stored(self, row: Record, number: int) -> Record:
        try:
            return self._encode(row)
        except export.Misfit as misfit:
            raise ExportError(f"row {number}, {misfit.path}: {misfit.rule}") from None

    def close(self) -> None:
        """Complete the files."""
        self.kept.__exit__()
        self.dropped.__exit__()


@dataclass(slots=True)
class Batch:
    """Rows judged together, and the candidates made of them."""

    rows: list[Record]
    candidates: list[Candidate]


class Bench:
    """The loop: rows in, verdicts out, a few windows begun ahead of the one that is judged."""

    def __init__(self, judge: Judge, source: Source, target: Target, engine: Engine | None) -> None:
        self.judge, self.source, self.target, self.engine = judge, source, target, engine
        self._reasons: Counter[str] = Counter()
        self._remarks: Counter[str] = Counter()
        self._drawn = self._started = time.monotonic()

    def run(self, wanted: int, on_progress: Callable[[Progress], None]) -> Validation:
        """Judge every row and return the result."""
        from datasets import Dataset

        try:
            self._start()
            for batch in self._begun():
                self._end(batch, self._verdicts(batch))
                if time.monotonic() - self._drawn >= REDRAW:
                    on_progress(self._progress("judging", wanted))
            found = self.judge.report()
            seconds = time.monotonic() - self._started
            on_progress(self._progress("finished", wanted))
        finally:
            for judging in self.judge.filters.values():
                judging.close()
            if self.engine is not None:
                self.engine.close()
            self.target.close()
        files = (self.target.kept.file, self.target.dropped.file)
        kept, dropped = (Dataset.from_file(str(file)) for file in files)
        notes = list(dict.fromkeys(self.judge.notes))
        return Validation(kept, dropped, dict(self._reasons.most_common()), dict(self._remarks), found, notes, seconds)

    def _start(self) -> None:
        for judging in self.judge.filters.values():
            judging.start()
        if self.engine is not None:
            self.engine.start(backend="guidance")
        self._started = time.monotonic()

    def _begun(self) -> Iterator[Batch]:
        """Yield the windows in order, each after slow work on the next ones has begun."""
        ahead: deque[Batch] = deque()
        for batch in self._batches():
            self.judge.begin(batch.candidates)
            ahead.append(batch)
            if len(ahead) > AHEAD:
                yield ahead.popleft()
        yield from ahead

    def _batches(self) -> Iterator[Batch]:
        rows, number = self.source.rows(), 0
        while chunk := list(islice(rows, WINDOW)):
            draws = (Draw(number + at, number // WINDOW, {}, (), number + at) for at in range(len(chunk)))
            records = map(self.target.record, chunk)
            yield Batch(chunk, [Candidate(draw, record) for draw, record in zip(draws, records, strict=True)])
            number += len(chunk)

    def _verdicts(self, batch: Batch) -> list[Verdict]:
        hearing = Hearing(self.judge.judge(batch.candidates))
        while questions := deque(hearing.proceed()):
            missing = len(questions)
            while missing and self.engine is not None:
                room = min(self.engine.room(), len(questions))
                self.engine.submit([questions.popleft() for _ in range(room)])
                for done in self.engine.collect(0.05):
                    hearing.answer(done)
                    missing -= 1
        return hearing.verdicts or []

    def _end(self, batch: Batch, verdicts: Sequence[Verdict]) -> None:
        with export.disk_errors(self.target.folder):
            self.target.write(batch.rows, verdicts)
        for verdict in verdicts:
            if verdict.drop is not None:
                self._reasons[verdict.drop.reason] += 1
            for remark in verdict.remarks:
                self._remarks[remark.partition(":")[0]] += 1

    def _progress(self, phase: str, wanted: int) -> Progress:
        self._drawn = now = time.monotonic()
        lived, kept = now - self._started, self.target.kept.count
        done = kept + self.target.dropped.count
        return Progress(
            phase=phase,
            kept=kept,
            wanted=wanted,
            draws=done,
            reasons=dict(self._reasons.most_common()),
            tokens=0,
            tokens_per_second=0.0,
            seconds=lived,
            seconds_left=lived / done * (wanted - done) if done else None,
            engine=EngineStatus(),
        )
