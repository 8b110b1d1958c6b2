"""A profile as tables for people: plain data, no printing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from textsynth.columns import Field, from_numbers
from textsynth.profile._profile import Profile
from textsynth.profile.store import never_together

WIDE = 64
"""Most characters of a cell."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts. ``right`` names the columns of numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: tuple[str, ...] = ()


def tables(profile: Profile) -> list[Table]:
    """Return what a person wants to see of a profile: fields, what is enforced, splits. Empty tables are left out."""
    made = [
        _fields(profile),
        _derived(profile),
        _enforced(profile),
        _never(profile),
        _traits(profile),
        _splits(profile),
    ]
    return [table for table in made if table.rows]


def headline(profile: Profile) -> list[str]:
    """Return some lines about the whole: where it comes from, how it was learned, what a reader should know."""
    facts, trees = profile.facts, profile.model.trees
    lines = [
        f"{len(profile.fields)} fields of {facts.rows:,} rows from {facts.source or 'rows in memory'} "
        f"(data hash {facts.data_hash[:12]}, seed {facts.seed})"
    ]
    named = [("label", facts.label), ("key", facts.key), ("protected", ", ".join(facts.protected))]
    lines += [", ".join(f"{name} {value}" for name, value in named if value)] if any(v for _, v in named) else []
    if trees is not None:
        columns = len(profile.layout.parts)
        lines.append(f"joint distribution of {columns} columns by sequential trees, at least {trees.leaf} rows a leaf")
    lines.append(f"values that fewer than {facts.least} units have are not kept")
    return [*lines, *(f"note: {note}" for note in facts.notes)]


def _fields(profile: Profile) -> Table:
    lost = {rare.field: rare for rare in profile.rare}
    rows = [_row(field, lost, depth) for field, depth in _nested(profile.fields)]
    names = ("field", "kind", "values", "null", "absent", "empty", "rare rows")
    used = [place for place in range(len(names)) if place < 3 or any(row[place] for row in rows)]
    cells = tuple(tuple(row[place] for place in used) for row in rows)
    return Table("Fields", tuple(names[place] for place in used), cells, ("null", "absent", "empty", "rare rows"))


def _nested(fields: Sequence[Field], depth: int = 0) -> Iterable[tuple[Field, int]]:
    for field in fields:
        yield field, depth
        if field.kind == "list":
            yield from _nested(field.items, depth + 1)


def _row(field: Field, lost: Any, depth: int) -> tuple[str, ...]:
    shares = [_share(count, field.rows) for count in (field.nulls, field.absents, field.empties)]
    rare = lost.get(field.name) if not depth else None
    name = field.name + ("" if field.path or not depth else " (item)")
    return ("  " * depth + name, field.kind, describe(field), *shares, f"{rare.rows:,}" if rare else "")


def _share(count: int, rows: int) -> str:
    return f"{count / rows:.1%}" if count else ""


def describe(field: Field) -> str:
    """Return the values of a field in a few words: a range, a closed set, a pattern, a format."""
    if field.name.endswith("#object"):
        return "whether the object is there"
    if field.numeric:
        return _range(field)
    if field.kind == "id":
        return "counts rows" if field.sequential else field.pattern or "no common pattern"
    if field.kind == "dialogue":
        left = f"; not modelled: {', '.join(field.left_out)}" if field.left_out else ""
        return f"{field.role_key}: {', '.join(field.roles)}; {field.content_key}{left}"
    if field.kind in {"text", "list"}:
        return f"{field.distinct:,} different" if field.kind == "text" else f"{field.distinct:,} items"
    return f"{len(field.values)}: {_cut(', '.join(map(str, field.values)))}" if field.values else "none is frequent"


def _range(field: Field) -> str:
    if field.low is None or field.high is None:
        return "none is frequent"
    low, high = from_numbers([field.low, field.high], field)
    more = f", {field.scale} decimals" if field.kind == "float" else ""
    if field.kind == "datetime":
        more = f", {field.format or field.type}, by {field.granularity}"
    return f"{low} to {high}{more}"


def _cut(text: str) -> str:
    return text if len(text) <= WIDE else text[: WIDE - 1] + "…"


def _derived(profile: Profile) -> Table:
    rows = [(field.name, field.kind, describe(field)) for field in profile.derived]
    return Table("Derived from texts and lists", ("column", "kind", "values"), tuple(rows))


def _enforced(profile: Profile) -> Table:
    rows = [
        (f"{d.given} → {d.then}", f"looked up in {len(d.table)} values", f"{d.exceptions:,}" if d.exceptions else "")
        for d in profile.dependencies
    ]
    ways = {"distance": "the second is learned as its distance from the first", "clip": "mended after sampling"}
    rows += [(f"{o.low} ≤ {o.high}", ways[o.how], f"{o.exceptions:,}" if o.exceptions else "") for o in profile.orders]
    return Table("Always holds, enforced in every sample", ("rule", "how", "exceptions"), tuple(rows), ("exceptions",))


def _never(profile: Profile) -> Table:
    never = Counter((one, other) for one, _, other, _ in never_together(profile.model))
    rows = [(f"{one}, {other}", str(count)) for (one, other), count in sorted(never.items())]
    return Table("Values that never stand together, in no sample", ("columns", "pairs"), tuple(rows), ("pairs",))


def _traits(profile: Profile) -> Table:
    rows = [(trait.column, ", ".join(trait.options)) for trait in profile.traits]
    return Table("Traits that a model proposed", ("column", "options"), tuple(rows))


def _splits(profile: Profile) -> Table:
    splits, uses = profile.splits, {"train": "learned from", "steer": "tuned on", "report": "read once, at the end"}
    total = max(profile.facts.rows, 1)
    rows = [
        (name, f"{len(rows):,}", f"{len(rows) / total:.1%}", uses[name])
        for name, rows in (("train", splits.train), ("steer", splits.steer), ("report", splits.report))
    ]
    title = f"Splits by {splits.unit}: {splits.units:,} units, the largest of {splits.largest:,} rows"
    return Table(title, ("split", "rows", "share", "use"), tuple(rows), ("rows", "share"))
