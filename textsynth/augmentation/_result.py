"""What an augmentation made: counts by class, and the real rows with the synthetic ones beside them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textsynth import export
from textsynth.augmentation._balance import ClassCount
from textsynth.augmentation._recipe import Source
from textsynth.errors import ExportError
from textsynth.markdown import code, table
from textsynth.records import Record
from textsynth.runs import Run
from textsynth.schema import RecordSchema, observe

if TYPE_CHECKING:
    from datasets import Dataset

BEYOND = {"quota", "surplus"}
"""Reasons of draws that were more than needed: no fault of theirs."""


@dataclass(frozen=True)
class Augmentation:
    """Real rows, what their scarce classes lack, and the run that makes it.

    Args:
        source: the real rows and their columns.
        counts: one entry per class, the scarcest first.
        notes: what the user should know.
        marker: the column that tells synthetic rows from real ones.
        seed: of the run.
        run: the run; ``None`` if none was needed or only the plan was asked for.
    """

    source: Source
    counts: tuple[ClassCount, ...]
    notes: tuple[str, ...]
    marker: str
    seed: int
    run: Run | None = None

    @property
    def needed(self) -> int:
        """How many synthetic records are wanted in all."""
        return sum(count.needed for count in self.counts)

    @property
    def accepted(self) -> int:
        """How many synthetic records were made."""
        return sum(count.made for count in self.counts)

    @property
    def complete(self) -> bool:
        """Whether nothing is lacking any more."""
        return self.accepted >= self.needed

    def with_run(self, run: Run) -> Augmentation:
        """Return the same with what a run made, by class."""
        label = self.source.label
        made = Counter(repr(record[label]) for record in run.records())
        judged = made + Counter(
            repr(json.loads(item["attributes"])[label]) for item in run.ledger.dropped() if item["reason"] not in BEYOND
        )
        counts = (c.with_made(made[repr(c.value)], judged[repr(c.value)]) for c in self.counts)
        return replace(self, counts=tuple(counts), run=run)

    def records(self) -> Iterator[Record]:
        """Yield the synthetic records."""
        yield from self.run.records() if self.run is not None else ()

    @property
    def dataset(self) -> Dataset:
        """The real rows, in their order, then the synthetic ones."""
        rows = [row | {self.marker: False} for row in self.source.rows]
        made = [
            {name: record.get(name) for name in self.source.rows[0]} | {self.marker: True} for record in self.records()
        ]
        opaque = set(self.source.observed.opaque)
        told = [{name: value for name, value in row.items() if name not in opaque} for row in chain(rows, made)]
        schema: RecordSchema = observe(told).schema
        return export.to_dataset(told, export.build("records", {}), schema, {"train": 1.0}, self.seed)["train"]

    def export(self, folder: Path | None = None, files: export.Files = "parquet") -> list[str]:
        """Write the dataset with its card; return the places.

        Args:
            folder: by default ``dataset`` in the run folder.

        Raises:
            ExportError: nothing was made, or the folder cannot be written.
        """
        from datasets import DatasetDict

        if self.run is None:
            raise ExportError("augment: no class lacks records, so nothing was made that could be exported")
        target = folder or self.run.folder / "dataset"
        export.write(DatasetDict({"train": self.dataset}), target, files, self.card())
        return [str(target)]

    def card(self) -> str:
        """Return the dataset card: what is real, what was made and how."""
        rows = [[str(c.value), str(c.real), str(c.wanted), str(c.made), share(c)] for c in self.counts]
        model = self.run.recipe.model if self.run is not None else ""
        model = Path(model).name if Path(model).is_dir() else model
        return "\n".join(
            [
                f"# {self.source.label}: real rows and {self.accepted} synthetic ones",
                "",
                f"The column {code(self.marker)} says which rows were made by a language model ({code(model)}, with",
                "textsynth) from real examples of the same class. Do not test on synthetic rows.",
                "",
                *table(["class", "real", "wanted", "made", "kept share"], rows),
                "",
                *[f"- {note}" for note in self.notes],
                "",
            ]
        )

    def as_data(self) -> dict[str, Any]:
        """Return the counts as JSON values."""
        return {
            "label": self.source.label,
            "text": list(self.source.text),
            "needed": self.needed,
            "made": self.accepted,
            "classes": [
                {"value": c.value, "real": c.real, "wanted": c.wanted, "made": c.made, "kept_share": c.kept_share}
                for c in self.counts
            ],
            "notes": list(self.notes),
            "folder": str(self.run.folder) if self.run is not None else None,
        }


def share(count: ClassCount) -> str:
    """Return the share that was kept as text."""
    return "" if count.kept_share is None else f"{count.kept_share:.0%}"
