"""From accepted records to a ``DatasetDict``: streamed to Arrow files, split exactly, the same for the same seed.

The records are written once to one Arrow file. Only then are their number and the labels seen known, so a second pass
over that file deals the rows out to one file per split. Memory holds one chunk of rows and some bytes per record.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xxhash import xxh3_64_intdigest

from textsynth.errors import ExportError
from textsynth.export._disk import disk_errors, scratch_folder
from textsynth.export._features import Shape, to_features
from textsynth.export._form import Form, build, does_not_fit
from textsynth.records import Record
from textsynth.schema import RecordSchema

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

CHUNK = 1000
"""Rows in memory at a time."""


def to_dataset(
    records: Iterable[Record], form: Form, schema: RecordSchema, splits: Mapping[str, float], seed: int
) -> DatasetDict:
    """Build the dataset of ``records`` in the given form.

    Args:
        records: read once, from first to last.
        splits: shares by name; the sizes are exact in records (largest remainder). Which record goes where depends on
            ``seed`` and on the number of records alone; all its rows go there, and within a split the order is kept.

    Returns:
        One memory-mapped dataset per split, possibly without rows. Its files are removed when the process ends.

    Raises:
        ExportError: no records, options that do not fit the schema, split names or shares that cannot be, a value that
            its column cannot hold, no room on the disk.
    """
    from datasets import Dataset, DatasetDict

    check_splits(splits)
    folder = scratch_folder()
    with disk_errors(folder):
        layout = form.layout(schema)
        columns, each = layout.columns, layout.rows_per_record
        undealt = folder / "rows.arrow"
        with RowWriter(undealt, to_features(columns).arrow_schema, form.fields(schema), each) as writer:
            rows = form.rows(records, schema)
            while chunk := list(islice(rows, CHUNK)):
                writer.add(chunk)
        count = writer.count // each
        if not count:
            raise ExportError(
                "export: no record was accepted, so there is no dataset to write",
                hint="textsynth show RUN tells why the draws were dropped; textsynth run goes on with the run",
            )
        columns = with_seen_labels(columns, undealt)
        files = {name: folder / f"{name}.split.arrow" for name in splits}
        deal(undealt, files, assign(split_sizes(splits, count), seed).repeat(each), columns)
        undealt.unlink()
        return DatasetDict({name: Dataset.from_file(str(file), split=name) for name, file in files.items()})


def to_plain(rows: Sequence[Record], schema: RecordSchema, split: str) -> Dataset:
    """Return rows as one dataset with a column per field.

    Raises:
        ExportError: a value that its column cannot hold.
    """
    return to_dataset(rows, build("records", {}, folder=Path()), schema, {split: 1.0}, 0)[split]


def check_splits(splits: Mapping[str, float]) -> None:
    """Raise ``ExportError`` unless there are splits, with names that datasets takes and shares that can be."""
    shares = splits.values()
    if not all(share >= 0 and math.isfinite(share) for share in shares) or sum(shares) <= 0:
        raise ExportError(f"splits: shares must be 0 or more and not all 0, got {dict(splits)}")
    for name in splits:
        if not re.fullmatch(r"\w+(\.\w+)*", name) or name == "all":
            raise ExportError(
                f"splits: {name!r} cannot name a split: letters, digits and underscores only, and not 'all'",
                hint="usual names are train, validation and test",
            )


def split_sizes(splits: Mapping[str, float], count: int) -> dict[str, int]:
    """Round shares to sizes that add up to ``count`` (Hamilton's largest remainder; ties go to the earlier one)."""
    total = sum(splits.values())
    exact = {name: share / total * count for name, share in splits.items()}
    sizes = {name: math.floor(size) for name, size in exact.items()}
    for name in sorted(exact, key=lambda n: sizes[n] - exact[n])[: count - sum(sizes.values())]:
        sizes[name] += 1
    return sizes


def assign(sizes: Mapping[str, int], seed: int) -> Any:
    """Return the number of its split for each record: an array of small integers, the same on every machine."""
    import numpy

    count = sum(sizes.values())
    hashes = (xxh3_64_intdigest(row.to_bytes(8, "little"), seed=seed % 2**64) for row in range(count))
    order = numpy.argsort(numpy.fromiter(hashes, dtype=numpy.uint64, count=count), kind="stable")
    assigned = numpy.empty(count, dtype=numpy.int16)
    assigned[order] = numpy.repeat(numpy.arange(len(sizes), dtype=numpy.int16), list(sizes.values()))
    return assigned


class RowWriter:
    """Writes rows to an Arrow file as they come; the file is complete once the context is left.

    Args:
        schema: the ``pyarrow.Schema`` of the columns.
        fields: the fields of the record, for messages.
        rows_per_record: how many rows each record becomes, for messages.
    """

    def __init__(self, file: Path, schema: Any, fields: Collection[str], rows_per_record: int = 1) -> None:
        import pyarrow

        self.file, self.count = file, 0
        self._schema, self._fields, self._each = schema, fields, rows_per_record
        self._sink = pyarrow.OSFile(str(file), "wb")
        self._writer = pyarrow.ipc.new_stream(self._sink, schema)

    def __enter__(self) -> RowWriter:
        """Begin."""
        return self

    def __exit__(self, *error: object) -> None:
        """Complete the file."""
        self._writer.close()
        self._sink.close()

    def add(self, rows: Sequence[Record]) -> None:
        """Write some rows. Raises ``ExportError`` for a value that its column cannot hold."""
        if rows:
            self._writer.write_batch(self._to_batch(rows))
            self.count += len(rows)

    def _to_batch(self, chunk: Sequence[Record]) -> Any:
        try:
            return to_batch(chunk, self._schema)
        except (TypeError, ValueError, OverflowError) as error:
            raise self._find_misfit(chunk, storage_schema(self._schema)) or error from error

    def _find_misfit(self, chunk: Sequence[Record], schema: Any) -> ExportError | None:
        """Find the value that Arrow refused: the first row, and its column, that cannot be written alone."""
        import pyarrow

        for number, row in enumerate(chunk, self.count):
            for column in schema:
                try:
                    pyarrow.array([row[column.name]], column.type)
                except (TypeError, ValueError, OverflowError) as refused:
                    record = number // self._each
                    return does_not_fit(record, column.name, str(refused), self._fields, schema.names)
        return None


def to_batch(rows: Sequence[Record], schema: Any) -> Any:
    """Return rows as a record batch."""
    import pyarrow

    batch = pyarrow.RecordBatch.from_pylist(rows, schema=storage_schema(schema))
    pairs = zip(batch.columns, schema, strict=True)
    # a cast of nested nulls breaks: only columns that need one
    arrays = [array if array.type == column.type else array.cast(column.type) for array, column in pairs]
    return pyarrow.RecordBatch.from_arrays(arrays, schema=schema)


def storage_schema(schema: Any) -> Any:
    """Return a schema with text in place of objects: Arrow builds no nested extension arrays, but casts to them."""
    import pyarrow

    return pyarrow.schema([field.with_type(storage_type(field.type)) for field in schema], metadata=schema.metadata)


def storage_type(kind: Any) -> Any:
    """Return a type with text in place of objects, at any depth."""
    import pyarrow

    if isinstance(kind, pyarrow.BaseExtensionType):
        return kind.storage_type
    if pyarrow.types.is_list(kind):
        return pyarrow.list_(storage_type(kind.value_type))
    if pyarrow.types.is_struct(kind):
        return pyarrow.struct([field.with_type(storage_type(field.type)) for field in kind])
    return kind


def with_seen_labels(columns: Mapping[str, Shape], file: Path) -> dict[str, Shape]:
    """Give every label whose names are open those that ``file`` holds, sorted; whole numbers by value."""
    found = dict(columns)
    for name, shape in columns.items():
        if shape.kind == "label" and shape.names is None:
            seen = {text for batch in read_batches(file) for text in batch.column(name).unique().to_pylist()} - {None}
            found[name] = replace(shape, names=tuple(sorted(seen, key=label_order)))
    return found


def label_order(name: str) -> tuple[bool, int, str]:
    """Sort labels that are whole numbers by value, before all others."""
    number = re.fullmatch(r"-?\d{1,18}", name)
    return number is None, int(name) if number else 0, name


def deal(source: Path, files: Mapping[str, Path], assigned: Any, columns: Mapping[str, Shape]) -> None:
    """Write each row of ``source`` to the file of its split, labels as numbers."""
    from contextlib import ExitStack

    import pyarrow

    schema = to_features(columns).arrow_schema
    with ExitStack() as stack:
        writers = []
        for file in files.values():
            sink = stack.enter_context(pyarrow.OSFile(str(file), "wb"))
            writers.append(stack.enter_context(pyarrow.ipc.new_stream(sink, schema)))
            writers[-1].write_batch(to_batch([], schema))
        start = 0
        for batch in read_batches(source):
            part = assigned[start : start + batch.num_rows]
            start += batch.num_rows
            final = number_labels(batch, schema, columns)
            for number, writer in enumerate(writers):
                if (part == number).any():
                    writer.write_batch(final.filter(pyarrow.array(part == number)))


def number_labels(batch: Any, schema: Any, columns: Mapping[str, Shape]) -> Any:
    """Return ``batch`` with the labels that are still text as numbers, in the final schema."""
    import pyarrow
    from pyarrow import compute

    arrays = list(batch.columns)
    for place, (name, shape) in enumerate(columns.items()):
        if shape.kind == "label" and pyarrow.types.is_string(arrays[place].type):
            names = pyarrow.array(shape.names, pyarrow.string())
            arrays[place] = compute.index_in(arrays[place], value_set=names).cast(schema.field(name).type)
    return pyarrow.RecordBatch.from_arrays(arrays, schema=schema)


def read_batches(file: Path) -> Iterator[Any]:
    """Yield the record batches of an Arrow stream."""
    import pyarrow

    with pyarrow.memory_map(str(file)) as source, pyarrow.ipc.open_stream(source) as reader:
        yield from reader
