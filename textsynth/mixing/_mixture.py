"""A mixture: what each source gave, what was dropped, the dataset and its card."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from textsynth import export
from textsynth.errors import ExportError
from textsynth.markdown import code, section, table
from textsynth.mixing._forms import Arrangement
from textsynth.mixing._select import Chosen
from textsynth.mixing._spec import LINEAGE, MixSpec
from textsynth.mixing._spool import Spool
from textsynth.records import Record
from textsynth.schema import RecordSchema

if TYPE_CHECKING:
    from datasets import DatasetDict

LINEAGE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "source": {"type": "string"},
        "index": {"type": "integer"},
        "origin": {"type": "string"},
        "copy": {"type": "integer"},
    },
    "required": ["source", "index", "origin", "copy"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Share:
    """What one source had, was to give and gave.

    Args:
        source: its name.
        path: as the user wrote it.
        kind: run, export, file or hub.
        origin: what identifies the very rows.
        license: empty if none is known.
        attribution: whom its licence wants named.
        read: rows read.
        refused: those that did not fit the form.
        available: those left after repetitions.
        wanted: rows wanted.
        taken: rows in the mixture.
    """

    source: str
    path: str
    kind: str
    origin: str
    license: str
    attribution: str
    read: int
    refused: int
    available: int
    wanted: int
    taken: int


@dataclass(frozen=True)
class Mixture:
    """Rows of several sources, chosen and in order.

    Args:
        spec: what was asked for.
        arrangement: the form.
        shares: one entry per source.
        repeats: dropped rows by reason, source, and the source of the row that was repeated.
        notes: what the user should know.
        schema: of the rows, without lineage.
        spool: the rows on disk.
        chosen: those of the mixture.
    """

    spec: MixSpec
    arrangement: Arrangement
    shares: tuple[Share, ...]
    repeats: Mapping[tuple[str, str, str], int]
    notes: tuple[str, ...]
    schema: RecordSchema
    spool: Spool
    chosen: tuple[Chosen, ...]

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.chosen)

    def records(self) -> Iterator[Record]:
        """Yield the rows, each with its lineage."""
        records = self.spool.read(one.number for one in self.chosen)
        for one, record in zip(self.chosen, records, strict=True):
            place = self.spool.place(one.number)
            share = self.shares[place.source]
            lineage = {"source": share.source, "index": place.index, "origin": share.origin, "copy": one.copy}
            yield record | {LINEAGE: lineage}

    @property
    def dataset(self) -> DatasetDict:
        """The mixture by split.

        Raises:
            ExportError: no rows, or values that their column cannot hold.
        """
        form = export.build("records", {"as_json": self.spec.as_json})
        return export.to_dataset(self.records(), form, with_lineage(self.schema), self.spec.splits, self.spec.seed)

    def export(self, folder: Path) -> Path:
        """Write the dataset with its card.

        Raises:
            ExportError: no rows, or a folder that cannot be written.
        """
        if not self.chosen:
            raise ExportError("mix: no row is left, so there is no dataset to write")
        return export.write(self.dataset, folder, self.spec.files, self.card())

    def card(self) -> str:
        """Return the dataset card: sources, licences, proportions wanted and got, what was dropped."""
        head = {
            **export.license_metadata(self.license),
            "language": self.spec.language,
            "size_categories": [export.size_category(len(self))],
            "tags": ["synthetic"],
        }
        parts = [
            f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n\n# {self.spec.name}",
            f"{len(self):,} rows in the form {code(self.arrangement.name)}, mixed with textsynth (seed {self.spec.seed}). "
            f"The column {code(LINEAGE)} says of each row its source, its number there (of a run: the draw), what "
            "identifies the source's rows, and which copy of the row it is.",
            section("Sources", [*self.source_table(), "", *self.license_lines()]),
            section("Dropped as repetitions", self.repeat_table()),
            section("Notes", [f"- {note}" for note in self.notes]),
            section("Origins", [f"- {s.source}: {code(s.path)}, {s.kind}, {code(s.origin)}" for s in self.shares]),
        ]
        return "\n\n".join(filter(None, parts)) + "\n"

    @property
    def license(self) -> str:
        """The licence stated for the mixture, or the one that all its sources have; empty if they differ."""
        found = {share.license for share in self.shares if share.taken}
        return self.spec.license or (found.pop() if len(found) == 1 else "")

    def source_table(self) -> list[str]:
        """Return what each source gave, as Markdown."""
        total = max(1, len(self))
        asked = max(1, sum(share.wanted for share in self.shares))
        rows = [
            [
                s.source,
                s.license or "not stated",
                s.read,
                s.available,
                f"{s.wanted:,} ({s.wanted / asked:.1%})",
                f"{s.taken:,} ({s.taken / total:.1%})",
            ]
            for s in self.shares
        ]
        return table(["source", "licence", "rows read", "after repetitions", "wanted", "taken"], rows)

    def license_lines(self) -> list[str]:
        """Return what a reader must know of licences."""
        lines = [f"- {s.source}: {s.attribution}" for s in self.shares if s.attribution]
        if len({s.license for s in self.shares if s.taken}) > 1 and not self.spec.license:
            lines.append("- The sources have different licences: each row is under that of its source.")
        return lines

    def repeat_table(self) -> list[str]:
        """Return the dropped rows by pair of sources, as Markdown."""
        rows = [[reason, source, first, count] for (reason, source, first), count in self.repeats.items()]
        return table(["reason", "row of", "repeats a row of", "rows"], rows)

    def as_data(self) -> dict[str, Any]:
        """Return the counts as JSON values."""
        repeats = [
            {"reason": reason, "source": source, "repeats": first, "rows": count}
            for (reason, source, first), count in self.repeats.items()
        ]
        return {
            "rows": len(self),
            "form": self.arrangement.name,
            "license": self.license,
            "sources": [asdict(share) for share in self.shares],
            "repeats": repeats,
            "notes": list(self.notes),
        }


def with_lineage(schema: RecordSchema) -> RecordSchema:
    """Return the schema of the rows with their lineage."""
    document = json.loads(json.dumps(schema.document))
    document["properties"][LINEAGE] = LINEAGE_SCHEMA
    document["required"] = [*document.get("required", []), LINEAGE]
    return RecordSchema(document)
