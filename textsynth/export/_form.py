"""What a form of export is: the columns of the dataset, and how a record becomes a row of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from textsynth import registry
from textsynth.errors import ExportError, unknown
from textsynth.export._encode import Misfit, row_encoder
from textsynth.export._features import EXTRA, Shape, json_columns, read_columns, to_features
from textsynth.records import Record
from textsynth.schema import RecordSchema


def whole_record(record: Record) -> Sequence[Record]:
    """Return the record alone: one record, one row."""
    return (record,)


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a dataset, and the function that arranges the fields of a record into a row of JSON values.

    Args:
        rows_per_record: how many rows every record becomes; they always lie in the same split.
        apart: takes a record apart into as many, of which ``row`` makes one row each.
    """

    columns: Mapping[str, Shape]
    row: Callable[[Record], Record]
    rows_per_record: int = 1
    apart: Callable[[Record], Sequence[Record]] = whole_record

    def rows(self, record: Record) -> list[Record]:
        """Return the rows of one record."""
        return [self.row(part) for part in self.apart(record)]


@dataclass(kw_only=True)
class Form(ABC):
    """Base of all forms; subclasses are dataclasses whose fields are their options, and say what their ``layout`` is.

    Args:
        as_json: fields of the record to write as JSON text in a string column, where no other can hold the values.
    """

    tasks: ClassVar[tuple[str, ...]] = ()
    """The hub's task categories of such a dataset; a plain record may be for anything."""

    as_json: tuple[str, ...] = ()

    @abstractmethod
    def layout(self, schema: RecordSchema) -> Layout:
        """Return columns and arrangement for records of ``schema``.

        Raises:
            ExportError: an option that does not fit the schema: the option, its value, the rule, the nearest match.
        """

    def fields(self, schema: RecordSchema) -> dict[str, Shape]:
        """Return one column per field of the record, those of ``as_json`` as JSON text."""
        known = read_columns(schema, as_json=[name for name in self.as_json if name == EXTRA])
        require(known, {f"as_json[{i}]": name for i, name in enumerate(self.as_json)})
        return read_columns(schema, as_json=self.as_json)

    def check(self, schema: RecordSchema) -> None:
        """Find, before the run, what could not be exported. Raises ``ExportError``."""
        self.layout(schema)

    def features(self, schema: RecordSchema) -> Any:
        """Return the dataset's ``datasets.Features``; a label whose names only the records tell is still a string."""
        return to_features(self.layout(schema).columns)

    def json_columns(self, schema: RecordSchema) -> dict[str, str]:
        """Return the paths of the dataset that hold JSON text, with the reason for each."""
        return json_columns(self.layout(schema).columns)

    def rows(self, records: Iterable[Record], schema: RecordSchema) -> Iterator[Record]:
        """Yield the rows of each record, their values as Arrow takes them.

        Raises:
            ExportError: a value that its column cannot hold exactly, with the number of the record and the place in it.
        """
        layout, fields = self.layout(schema), self.fields(schema)
        encode = row_encoder(layout.columns)
        for number, record in enumerate(records):
            whole = gather(record, fields) if EXTRA in fields else record
            try:
                yield from [encode(row) for row in layout.rows(whole)]
            except Misfit as misfit:
                raise does_not_fit(number, misfit.path, misfit.rule, fields, layout.columns) from None


def does_not_fit(number: int, path: str, rule: str, fields: Collection[str], columns: Collection[str]) -> ExportError:
    """Word the error for a value that its column cannot hold: a field of the record, one beyond them, or a made column."""
    name = next(
        (known for known in (*fields, *columns) if path == known or path.startswith((f"{known}.", f"{known}["))), EXTRA
    )
    hint = f"export again with the option as_json: [{name}], which writes JSON text"
    if name in columns and name not in fields:
        hint = f"{name} is made by the form: export again in the form records, with as_json for what does not fit there"
    return ExportError(f"record {number}, {path}: {rule}", hint=f"nothing is lost: {hint}")


def gather(record: Record, columns: Mapping[str, Shape]) -> Record:
    """Move the fields that no column is for into one object, the column ``EXTRA``."""
    extra = {name: value for name, value in record.items() if name not in columns or name == EXTRA}
    if not extra:
        return record
    return {name: value for name, value in record.items() if name not in extra} | {EXTRA: extra}


def require(columns: Collection[str], options: Mapping[str, str]) -> None:
    """Raise ``ExportError`` unless the value of each option is a field of the record."""
    for place, name in options.items():
        if name not in columns:
            raise ExportError(unknown(place, name, columns), hint="it must be a field of the record's schema")


def build(name: str, options: Mapping[str, Any], *, folder: Path | None = None, place: str = "export.format") -> Form:
    """Make the form called ``name`` (or the user's own, ``module:Class``) with its options.

    Raises:
        RecipeError: a name or an option that does not exist, with the nearest match; a value of the wrong type.
    """
    cls = registry.load("export", name, place=place, folder=folder)
    found: Form = registry.build(cls, dict(options), place=f"{place}.{name}")
    return found
