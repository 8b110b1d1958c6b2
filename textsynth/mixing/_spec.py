"""What a mixture is to be, as a user writes it: sources in order, proportions, form."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, PrivateAttr, ValidationError, model_validator

from textsynth.errors import RecipeError
from textsynth.recipe import Part, StrictLoader, run_name
from textsynth.registry import pydantic_problems

Scarce = Literal["fail", "scale", "repeat"]
FORMS = ("auto", "messages", "prompt_completion", "text")
LINEAGE = "lineage"
"""The column that says where a row comes from."""


def read_path(value: Any) -> Any:
    """Read the short form of a source: its path."""
    return {"path": value} if isinstance(value, str) else value


class SourceSpec(Part):
    """One source."""

    path: str = Field(description="a run folder, an exported folder, a file, or the id of a Hugging Face dataset")
    share: float | None = Field(default=None, gt=0, description="of the whole; shares need not add up to 1")
    count: int | None = Field(default=None, ge=1, description="rows, in place of a share")
    columns: dict[str, str] = Field(default_factory=dict, description="column of the mixture: column of the source")
    split: str = Field(default="train", description="of an exported folder or a Hugging Face dataset")
    limit: int | None = Field(default=None, ge=1, description="read only so many rows")
    license: str = Field(default="", description="default: what the source's own card says")
    attribution: str = ""


class MixSpec(Part):
    """A mixture.

    Sources are in the order of their precedence: of two rows that repeat each other the one of the earlier source stays.
    """

    name: str = Field(default="mixture", pattern=r"^[\w.-]+$")
    sources: dict[str, Annotated[SourceSpec, BeforeValidator(read_path)]] = Field(min_length=1)
    total: int | None = Field(default=None, ge=1, description="rows in all; by default as many as the shares allow")
    form: Literal["auto", "messages", "prompt_completion", "text"] | tuple[str, ...] = Field(
        default="auto", description="what rows are brought to, or the names of the columns that all sources have"
    )
    scarce: Scarce = Field(
        default="fail", description="when a source has too few rows: fail, scale the whole down, or repeat its rows"
    )
    copies: int = Field(default=4, ge=2, le=1000, description="with scarce: repeat, how often a row may stand at most")
    near_duplicates: float | None = Field(
        default=0.8, gt=0, le=1, description="least similarity; null: only equal rows"
    )
    semantic_duplicates: float | None = Field(
        default=None, gt=0, le=1, description="least cosine of rows that say the same in other words"
    )
    as_json: tuple[str, ...] = Field(default=(), description="columns to write as JSON text")
    splits: dict[str, float] = Field(default_factory=lambda: {"train": 1.0})
    files: Literal["arrow", "parquet", "jsonl"] = "parquet"
    seed: int = Field(default=0, ge=0)
    license: str = Field(default="", description="of the mixture, for its card")
    language: str = "en"

    _folder: Path = PrivateAttr(default_factory=Path.cwd)

    @property
    def folder(self) -> Path:
        """The folder that paths are relative to."""
        return self._folder

    @model_validator(mode="after")
    def check_amounts(self) -> MixSpec:
        """Amounts are all shares, all counts, or not given at all."""
        given = {name: [a for a in ("share", "count") if getattr(s, a) is not None] for name, s in self.sources.items()}
        kinds = {tuple(amounts) for amounts in given.values()}
        if len(kinds) > 1 or ("share", "count") in kinds:
            shown = ", ".join(f"{name}: {' and '.join(amounts) or 'neither'}" for name, amounts in given.items())
            raise ValueError(f"sources: give every one a share, every one a count, or none anything; got {shown}")
        if self.total is not None and kinds == {("count",)}:
            raise ValueError("total: with counts the total is their sum; give shares, or leave total out")
        return self

    @model_validator(mode="after")
    def check_copies(self) -> MixSpec:
        """Copies of a row must not stand in several splits."""
        if self.scarce == "repeat" and len(self.splits) > 1:
            raise ValueError("scarce: repeat would put copies of one row into several splits; give one split")
        if isinstance(self.form, tuple) and LINEAGE in self.form:
            raise ValueError(f"form: {LINEAGE!r} is the column that the mixture itself adds")
        return self

    def filters(self) -> list[Any]:
        """Return the filters that find repetitions, as a recipe names them."""
        found: list[Any] = ["duplicate"]
        if self.near_duplicates is not None:
            found.append({"near_duplicate": {"threshold": self.near_duplicates}})
        if self.semantic_duplicates is not None:
            found.append({"semantic_duplicate": {"threshold": self.semantic_duplicates}})
        return found

    def at(self, folder: Path) -> MixSpec:
        """Return the same spec with its paths relative to ``folder``."""
        copy = self.model_copy()
        copy._folder = folder
        return copy


def read_spec(source: MixSpec | Mapping[str, Any] | str | Path) -> MixSpec:
    """Return the spec in ``source``.

    Raises:
        RecipeError: no such file, invalid YAML, unknown keys, wrong values: all of them at once.
    """
    if isinstance(source, MixSpec):
        return source
    if isinstance(source, Mapping):
        return parse(dict(source), Path.cwd())
    path = Path(source)
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=StrictLoader)
    except OSError as error:
        raise RecipeError(
            [f"mix {str(path)!r}: {error.strerror}"], hint="textsynth mix MIX.yaml --to FOLDER"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError([f"mix {path}: not valid YAML: {error}"]) from error
    if not isinstance(data, dict):
        raise RecipeError([f"mix {path}: it must be a mapping of keys, got {type(data).__name__}"])
    return parse({"name": run_name(path)} | data, path.resolve().parent)


def parse(data: dict[str, Any], folder: Path) -> MixSpec:
    """Validate a mapping."""
    try:
        return MixSpec.model_validate(data).at(folder)
    except ValidationError as error:
        raise RecipeError(pydantic_problems(error, place="mix", known=keys_at)) from None


def keys_at(path: Any) -> list[str]:
    """Return the keys that may stand where the last key of ``path`` does."""
    part = MixSpec if len(path) == 1 else SourceSpec
    return [field.alias or name for name, field in part.model_fields.items()]
