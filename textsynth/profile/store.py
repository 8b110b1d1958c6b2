"""A profile as a folder: ``profile.json`` for people and ``profile.npz`` for loading, both without pickles.

``profile.json`` has the fields, what is enforced, what was held back, where the data came from. ``profile.npz`` has row
numbers by split, codecs, trees and centroids. Neither holds a rare value or a text of the real data.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from textsynth.columns import ABSENT, Field
from textsynth.errors import RecipeError
from textsynth.profile._children import Child
from textsynth.profile._layout import Layout, Part
from textsynth.profile._model import Companion, Model
from textsynth.profile._profile import Facts, Profile
from textsynth.profile._zeros import Zeros
from textsynth.profile.dependencies import Dependency, Order
from textsynth.profile.encoding import Codec
from textsynth.profile.rare import Rare
from textsynth.profile.splits import Splits
from textsynth.profile.traits import Trait
from textsynth.profile.trees import Trees

VERSION = 1
FACTS, ARRAYS = "profile.json", "profile.npz"
_ABSENT = {"absent": True}
"""How a missing key is written in the table of a dependency."""


def save(profile: Profile, folder: Path) -> None:
    """Write a profile; an older one in the folder is replaced.

    Raises:
        RecipeError: the folder cannot be written, or holds other files and no profile.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / FACTS).exists():
        raise RecipeError([f"{str(folder)!r} holds other files and no profile"], hint="give a new or empty folder")
    arrays: dict[str, Any] = {f"split/{name}": getattr(profile.splits, name).astype(np.uint32) for name in _SPLITS}
    arrays |= {f"centroids/{name}": vectors.astype(np.float32) for name, vectors in profile.centroids.items()}
    arrays |= {f"assigned/{name}": numbers for name, numbers in profile.assigned.items()}
    arrays |= _model_arrays("joint", profile.model)
    for number, child in enumerate(profile.children):
        arrays |= _model_arrays(f"child{number}", child.model)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FACTS).write_text(json.dumps(as_data(profile), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        with (folder / ARRAYS).open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
    except OSError as error:
        raise RecipeError([f"{str(folder)!r} cannot be written: {error.strerror}"]) from error


def load(folder: Path) -> Profile:
    """Read a profile.

    Raises:
        RecipeError: no such folder, no profile in it, one of another version, or a damaged one.
    """
    if not (folder / FACTS).is_file():
        hint = "make one: textsynth fit DATA -o FOLDER"
        raise RecipeError([f"{str(folder)!r} is no profile: it has no {FACTS}"], hint=hint)
    try:
        data = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    except ValueError as error:
        raise RecipeError([f"{folder / FACTS} is damaged: {error}"], hint="fit it again") from None
    if not isinstance(data, dict) or data.get("textsynth_profile") != VERSION:
        found = data.get("textsynth_profile") if isinstance(data, dict) else None
        raise RecipeError([f"{str(folder)!r}: {FACTS} is no profile of version {VERSION} (found {found!r})"])
    try:
        with io.BytesIO((folder / ARRAYS).read_bytes()) as file, np.load(file, allow_pickle=False) as arrays:
            return of_data(data, {name: arrays[name] for name in arrays.files})
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile, EOFError, msgspec.DecodeError) as error:
        raise RecipeError([f"{folder / ARRAYS} is missing or damaged: {error}"], hint="fit it again") from None


_SPLITS = ("train", "steer", "report")


def as_data(profile: Profile) -> dict[str, Any]:
    """Return what ``profile.json`` holds."""
    splits = profile.splits
    return {
        "textsynth_profile": VERSION,
        "facts": asdict(profile.facts),
        "splits": {
            "unit": splits.unit,
            "units": splits.units,
            "largest_unit": splits.largest,
            **{name: len(getattr(splits, name)) for name in _SPLITS},
        },
        "fields": [each.as_data() for each in profile.fields],
        "derived": [each.as_data() for each in profile.derived],
        **_rules_data(profile.layout),
        "never_together": [list(each) for each in never_together(profile.model)],
        "rare": [asdict(each) for each in profile.rare],
        "traits": [each.as_data() for each in profile.traits],
        "joint": _joint_data(profile),
        "children": [{"field": c.field, "context": list(c.context), **_rules_data(c.layout)} for c in profile.children],
    }


def of_data(data: Mapping[str, Any], arrays: Mapping[str, Any]) -> Profile:
    """Return the profile that was written as ``data`` and ``arrays``."""
    fields = tuple(Field.of_data(each) for each in data["fields"])
    derived = tuple(Field.of_data(each) for each in data["derived"])
    layout = _layout((*fields, *derived), data)
    rows = [arrays[f"split/{name}"].astype(np.int64) for name in _SPLITS]
    shown = data["splits"]
    splits = Splits(rows[0], rows[1], rows[2], shown["unit"], shown["units"], shown["largest_unit"])
    centroids = {name[10:]: array for name, array in arrays.items() if name.startswith("centroids/")}
    assigned = {name[9:]: array for name, array in arrays.items() if name.startswith("assigned/")}
    by_name = {field.name: field for field in fields}
    children = tuple(
        Child(
            each["field"],
            _layout(by_name[each["field"]].items, each),
            _model(f"child{number}", arrays),
            tuple(each["context"]),
        )
        for number, each in enumerate(data["children"])
    )
    facts = data["facts"]
    return Profile(
        fields=fields,
        derived=derived,
        layout=layout,
        model=_model("joint", arrays),
        children=children,
        rare=tuple(Rare(**each) for each in data["rare"]),
        splits=splits,
        facts=Facts(**{**facts, "protected": tuple(facts["protected"]), "notes": tuple(facts["notes"])}),
        centroids=centroids,
        traits=tuple(Trait(t["field"], t["name"], tuple(t["options"])) for t in data["traits"]),
        assigned=assigned,
    )


def _rules_data(layout: Layout) -> dict[str, Any]:
    return {
        "dependencies": [_dependency_data(each) for each in layout.dependencies],
        "orders": [asdict(each) for each in layout.orders],
        "parts": [_part_data(part) for part in layout.parts],
    }


def _layout(fields: tuple[Field, ...], data: Mapping[str, Any]) -> Layout:
    dependencies = tuple(_dependency(each) for each in data["dependencies"])
    orders = tuple(Order(**each) for each in data["orders"])
    return Layout(fields, dependencies, orders, tuple(Part(**each) for each in data["parts"]))


def _joint_data(profile: Profile) -> dict[str, Any]:
    trees = profile.model.trees
    if trees is None:
        return {"columns": []}
    names = [trees.names[place] for place in trees.order]
    return {"columns": names, "leaf": trees.leaf, "choice": [dict(each) for each in trees.choice]}


def never_together(model: Model) -> list[tuple[str, str, str, str]]:
    """Return the pairs of values that no sample has, each as column, value, other column, value."""
    return model.zeros.pairs(model.names, [codec.labels() for codec in model.codecs.values()])


def _part_data(part: Part) -> dict[str, Any]:
    return {key: value for key, value in asdict(part).items() if value not in (None, "")}


def _dependency_data(each: Dependency) -> dict[str, Any]:
    pairs = [[_ABSENT if value is ABSENT else value for value in pair] for pair in each.table]
    return {
        "given": each.given,
        "then": each.then,
        "exceptions": each.exceptions,
        "table": pairs,
        "rows": list(each.weights),
    }


def _dependency(data: Mapping[str, Any]) -> Dependency:
    pairs = tuple(tuple(ABSENT if value == _ABSENT else value for value in pair) for pair in data["table"])
    return Dependency(data["given"], data["then"], pairs, tuple(data["rows"]), data["exceptions"])  # type: ignore[arg-type]


def _model_arrays(prefix: str, model: Model) -> dict[str, Any]:
    codecs = _bytes(model.as_data())
    trees = model.trees.as_arrays() if model.trees is not None else {}
    companions = [[each.column, each.by, each.rare] for each in model.companions]
    zeros = {f"{prefix}/zeros{number}": table for number, table in enumerate(model.zeros.tables)}
    found: dict[str, Any] = zeros | {f"{prefix}/zeros": model.zeros.columns}
    found |= {f"{prefix}/codecs": codecs, f"{prefix}/companions": _bytes(companions)}
    found |= {f"{prefix}/companion{number}": each.counts for number, each in enumerate(model.companions)}
    found |= {f"{prefix}/shares{number}": shares for number, shares in enumerate(model.shares)}
    return found | {f"{prefix}/trees/{name}": array for name, array in trees.items()}


def _bytes(data: Any) -> Any:
    return np.frombuffer(msgspec.json.encode(data), dtype=np.uint8)


def _model(prefix: str, arrays: Mapping[str, Any]) -> Model:
    data = msgspec.json.decode(arrays[f"{prefix}/codecs"].tobytes())
    codecs = {name: Codec.from_data(each) for name, each in data.items()}
    start = f"{prefix}/trees/"
    own = {name[len(start) :]: array for name, array in arrays.items() if name.startswith(start)}
    shown = msgspec.json.decode(arrays[f"{prefix}/companions"].tobytes())
    companions = tuple(
        Companion(column, by, rare, arrays[f"{prefix}/companion{number}"])
        for number, (column, by, rare) in enumerate(shown)
    )
    pairs = arrays[f"{prefix}/zeros"]
    shares = tuple(arrays[f"{prefix}/shares{number}"] for number in range(len(codecs)))
    zeros = Zeros(pairs, tuple(arrays[f"{prefix}/zeros{number}"] for number in range(len(pairs))))
    return Model(codecs, Trees.from_arrays(own) if own else None, companions, zeros, shares)
