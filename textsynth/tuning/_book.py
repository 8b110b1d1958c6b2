"""``tuning.json``: every look and decision of a tuning, written as it goes, so that it can be resumed and checked."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from textsynth.errors import RecipeError
from textsynth.tuning._looks import Look, Verdict, judge
from textsynth.tuning._rows import Pairs
from textsynth.tuning._settings import Training

Existing = Literal["resume", "replace"]
BOOK = "tuning.json"
VERSION = 1
PACKAGES = ("textsynth", "torch", "transformers", "peft", "trl")


@dataclass(frozen=True)
class Tuned:
    """A tuning that ended.

    Args:
        folder: of the adapter.
        looks: at the model, in order; the first is before the first step.
        kept: the step whose adapter was kept; 0 is the model as it was.
        stopped_by: why it ended.
        facts: what it was made from.
        settings: of the training.
        notes: what the user should know.
    """

    folder: Path
    looks: tuple[Look, ...]
    kept: int
    stopped_by: str
    facts: Mapping[str, Any]
    settings: Training
    notes: tuple[str, ...] = ()

    @property
    def before(self) -> Look:
        """The look before the first step."""
        return self.looks[0]

    @property
    def best(self) -> Look:
        """The look at the adapter that was kept."""
        return next(look for look in self.looks if look.step == self.kept)

    @property
    def alarmed(self) -> bool:
        """Whether an alarm ended it."""
        return bool(self.looks[-1].ringing)

    def recipe_lines(self) -> str:
        """Return what a recipe needs so that the tuned model writes its records."""
        rank = f"\n  max_lora_rank: {self.settings.engine_rank}" if self.settings.engine_rank > 16 else ""
        return (
            f"model: {self.facts['model']}\nprofile: {{folder: {self.facts['profile']}, shots: 0}}\n"
            f"engine:\n  lora: {self.folder.resolve()}{rank}"
        )

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "folder": str(self.folder),
            "kept": self.kept,
            "stopped_by": self.stopped_by,
            "alarmed": self.alarmed,
            "notes": list(self.notes),
            "looks": [look.as_data() for look in self.looks],
        }


@dataclass
class Book:
    """What is known of a tuning so far; ``save`` puts it on disk."""

    folder: Path
    facts: Mapping[str, Any]
    training: Training
    looks: list[Look] = field(default_factory=list)
    stopped_by: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def finished(self) -> bool:
        """Whether it ended."""
        return bool(self.stopped_by)

    @property
    def checkpoints(self) -> Path:
        """Where the trainer keeps what it needs to go on."""
        return self.folder / "checkpoints"

    def seen(self, step: int) -> bool:
        """Whether the model was looked at after so many steps."""
        return any(look.step == step for look in self.looks)

    def verdict(self) -> Verdict:
        """Return what the looks so far say."""
        return judge(self.looks, patience=self.training.patience)

    def rewind(self, step: int) -> None:
        """Forget looks at steps that must be taken again."""
        self.looks = [look for look in self.looks if look.step <= step]

    def end(self, why: str) -> None:
        """Note why it ended, and clear away what was only there to go on."""
        self.stopped_by = why
        self.save()
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    def save(self) -> None:
        """Write ``tuning.json``, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.as_data(), ensure_ascii=False, indent=1) + "\n"
        fresh = self.folder / f"{BOOK}.new"
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(self.folder / BOOK)

    def as_data(self) -> dict[str, Any]:
        """Return what ``tuning.json`` holds."""
        return {
            "textsynth_tuning": VERSION,
            "state": "finished" if self.finished else "running",
            "made_from": dict(self.facts),
            "settings": asdict(self.training),
            "versions": versions(),
            "stopped_by": self.stopped_by,
            "kept_step": self.verdict().best if self.looks else 0,
            "notes": self.notes,
            "looks": [look.as_data() for look in self.looks],
        }

    def tuned(self) -> Tuned:
        """Return the result."""
        kept = self.verdict().best
        return Tuned(
            self.folder, tuple(self.looks), kept, self.stopped_by, self.facts, self.training, tuple(self.notes)
        )


def versions() -> dict[str, str]:
    """Return the versions of what trained."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def open_book(folder: Path, pairs: Pairs, training: Training, *, existing: Existing) -> Book:
    """Return the book of a tuning: a new one, or that of the same tuning to go on with.

    Raises:
        RecipeError: a file, other files, or the adapter of another tuning in the folder.
    """
    fresh = Book(folder, pairs.facts, training)
    if folder.is_file():
        raise RecipeError([f"{str(folder)!r} is a file: an adapter is a folder"])
    if not folder.is_dir() or not any(folder.iterdir()):
        return fresh
    if not (folder / BOOK).is_file():
        raise RecipeError([f"{str(folder)!r} holds other files and no {BOOK}"], hint="give a new or empty folder: -o")
    if existing == "replace":
        shutil.rmtree(folder)
        return fresh
    data = read_book(folder / BOOK)
    if differing := differences(data, fresh):
        raise RecipeError(
            [f"{str(folder)!r} is another tuning: {', '.join(differing[:4])}"],
            hint="give another folder with -o, or --overwrite",
        )
    fresh.looks = [Look.of_data(look) for look in data["looks"]]
    fresh.stopped_by, fresh.notes = data["stopped_by"], list(data["notes"])
    return fresh


def read_book(file: Path) -> dict[str, Any]:
    """Read ``tuning.json``.

    Raises:
        RecipeError: it is damaged or of another version.
    """
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RecipeError([f"{file} is damaged: {error}"], hint="tune again with --overwrite") from None
    if not isinstance(data, dict) or data.get("textsynth_tuning") != VERSION:
        raise RecipeError([f"{file} is no tuning of version {VERSION}"], hint="tune again with --overwrite")
    return data


def differences(data: Mapping[str, Any], book: Book) -> Sequence[str]:
    """Return in what a stored tuning differs from one that is asked for."""
    asked = json.loads(json.dumps({**book.facts, **asdict(book.training)}))
    stored = {**data["made_from"], **data["settings"]}
    return [
        f"{name} was {stored.get(name)!r}, now {value!r}" for name, value in asked.items() if stored.get(name) != value
    ]
