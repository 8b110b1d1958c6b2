"""``tables.yaml``: where each table lies, its key, and which of its columns name rows of which other table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from textsynth.errors import RecipeError, unknown
from textsynth.profile.related._relations import Relation
from textsynth.records import Record
from textsynth.registry import pydantic_problems


class TableSpec(BaseModel):
    """One table of ``tables.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(min_length=1, description="JSONL, JSON, CSV, TSV, Parquet, a folder or a Hugging Face dataset")
    key: str = Field(default="", description="column that names each row; needed if another table refers to it")
    parents: dict[str, str] = Field(default_factory=dict, description="column: the table whose key it holds")


class TablesSpec(BaseModel):
    """``tables.yaml``: tables by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tables: dict[str, TableSpec] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Source:
    """Related tables as read: rows by table, the relations, the key of each table that has one."""

    tables: dict[str, list[Record]]
    relations: tuple[Relation, ...]
    keys: dict[str, str]


def read_tables(file: str | Path) -> Source:
    """Read the tables that a YAML file names; paths are relative to it.

    Raises:
        RecipeError: a file that cannot be read, an unknown key or table (with the nearest match), a parent without a key.
    """
    from textsynth.profile import read_rows

    path = Path(file)
    spec = parse(path)
    relations = tuple(
        Relation(parent, spec.tables[parent].key, name, column)
        for name, table in spec.tables.items()
        for column, parent in table.parents.items()
    )
    rows = {name: read_rows(table.path, folder=path.resolve().parent) for name, table in spec.tables.items()}
    return Source(rows, relations, {name: table.key for name, table in spec.tables.items() if table.key})


def parse(path: Path) -> TablesSpec:
    """Read and check the YAML file itself."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        spec = TablesSpec.model_validate(data)
    except OSError as error:
        raise RecipeError([f"tables {str(path)!r}: {error.strerror}"]) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError([f"tables {path}: not valid YAML: {error}"]) from error
    except ValidationError as error:
        hint = "tables: {customers: {path: customers.csv, key: id}, orders: {path: ..., parents: {customer_id: customers}}}"
        raise RecipeError(pydantic_problems(error, place=path.name, known=known_keys), hint=hint) from None
    wrong = []
    for name, table in spec.tables.items():
        for column, parent in table.parents.items():
            place = f"tables.{name}.parents.{column}"
            if parent not in spec.tables:
                wrong.append(unknown(place, parent, spec.tables))
            elif not spec.tables[parent].key:
                wrong.append(f"{place}: {parent!r} has no key: say which column names its rows (key: COLUMN)")
    if wrong:
        raise RecipeError(wrong)
    return spec


def known_keys(path: Sequence[str | int]) -> list[str]:
    """Return the keys that may stand where the last one of ``path`` does."""
    return list(TableSpec.model_fields) if len(path) == 3 else list(TablesSpec.model_fields) if len(path) == 1 else []
