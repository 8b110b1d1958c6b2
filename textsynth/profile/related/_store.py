"""Related profiles on disk: one folder each, readable, with a profile folder per table."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from textsynth.errors import RecipeError
from textsynth.profile._profile import Profile
from textsynth.profile.related._context import Context
from textsynth.profile.related._keys import KeyMaker
from textsynth.profile.related._relations import RelationFacts
from textsynth.profile.related._sample import Carried, RelatedProfile, Table
from textsynth.profile.splits import SPLITS, Rows

FORMAT = 1
TABLES = "tables"


def save(profile: RelatedProfile, folder: Path) -> None:
    """Write a related profile; what stood in these files before is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {}
    described = []
    for number, (name, table) in enumerate(profile.tables.items()):
        table.profile.save(folder / TABLES / str(number))
        for part in SPLITS:
            arrays[f"{number}.{part}"] = profile.splits[part][name]
        for key, array in table.context.arrays().items() if table.context else ():
            arrays[f"{number}.context.{key}"] = array
        described.append(
            {
                "name": name,
                "folder": f"{TABLES}/{number}",
                "rows": table.rows,
                "columns": list(table.columns),
                "texts": list(table.texts),
                "key": table.key,
                "maker": table.maker.as_data() if table.maker else None,
                "context": table.context.as_data() if table.context else None,
                "carried": [asdict(each) for each in table.carried],
            }
        )
    data = {"format": FORMAT, "seed": profile.seed, "relations": [facts.as_data() for facts in profile.facts]}
    text = json.dumps(data | {"tables": described}, indent=1, ensure_ascii=False)
    (folder / "related.json").write_text(text + "\n", encoding="utf-8")
    np.savez_compressed(folder / "related.npz", **arrays)


def load(folder: Path) -> RelatedProfile:
    """Read a related profile."""
    try:
        data = json.loads((folder / "related.json").read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            raise RecipeError(
                [f"{folder}: written in format {data['format']}, this version reads {FORMAT}"], hint="fit again"
            )
        with np.load(folder / "related.npz") as file:
            arrays = {name: file[name] for name in file.files}
        tables = {item["name"]: read_table(folder, item, number, arrays) for number, item in enumerate(data["tables"])}
        splits: dict[str, dict[str, Rows]] = {
            part: {name: arrays[f"{number}.{part}"] for number, name in enumerate(tables)} for part in SPLITS
        }
        return RelatedProfile(tables, tuple(map(RelationFacts.of_data, data["relations"])), splits, data["seed"])
    except FileNotFoundError as error:
        hint = "textsynth related fit TABLES.yaml -o FOLDER makes one"
        raise RecipeError(
            [f"{folder}: no related profile: {Path(str(error.filename)).name} is missing"], hint=hint
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise RecipeError([f"{folder}: the profile is damaged: {error}"], hint="fit again") from error


def read_table(folder: Path, item: dict[str, Any], number: int, arrays: dict[str, Any]) -> Table:
    """Read one table of a related profile."""
    prefix = f"{number}.context."
    tree = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
    return Table(
        item["name"],
        item["rows"],
        tuple(item["columns"]),
        tuple(item["texts"]),
        item["key"],
        KeyMaker.of_data(item["maker"]) if item["maker"] else None,
        Profile.load(folder / item["folder"]),
        Context.of_data(item["context"], tree) if item["context"] else None,
        tuple(Carried(**each) for each in item["carried"]),
    )
