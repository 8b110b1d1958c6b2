"""What a sample is held to: fixed values, checked against the domain, as codes of the joint."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from textsynth.columns import ABSENT, Field, ordinary, to_numbers
from textsynth.errors import RecipeError, nearest, unknown
from textsynth.profile._layout import Layout
from textsynth.profile._model import Model
from textsynth.profile.dependencies import Dependency, key_of
from textsynth.profile.encoding import Codes
from textsynth.profile.trees import Drawn

Fixed = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions of a sample: one mapping per row (shared by equal rows), and the codes they fix (-1 is free)."""

    rows: tuple[Mapping[str, Any], ...]
    which: tuple[int, ...]
    codes: Codes


class Resolver:
    """Checks conditions and turns them into codes."""

    def __init__(self, layout: Layout, model: Model) -> None:
        self._layout, self._model = layout, model
        self._fields = {field.name: field for field in layout.fields}
        self._looked_up = {dependency.then: dependency for dependency in layout.dependencies}
        self._parts: dict[str, list[Any]] = {}
        for part in layout.parts:
            self._parts.setdefault(part.field, []).append(part)

    def resolve(self, fixed: Fixed, n: int, random: np.random.Generator) -> Conditions | None:
        """Return the conditions of ``n`` rows; ``None`` if there are none.

        Raises:
            RecipeError: a field that is not there or cannot be fixed, a value outside its domain, two values that a
                dependency excludes, or a list of another length.
        """
        if not fixed:
            return None
        given = [fixed] * n if isinstance(fixed, Mapping) else list(fixed)
        if len(given) != n:
            raise RecipeError([f"fixed: one mapping per row: {len(given)} mappings for {n} rows"])
        known: dict[Any, int] = {}
        last: dict[int, int] = {}
        which = []
        for each in given:
            if id(each) not in last:
                last[id(each)] = known.setdefault(tuple(sorted((k, repr(v)) for k, v in each.items())), len(known))
            which.append(last[id(each)])
        first = {number: row for row, number in reversed(list(enumerate(which)))}
        rows = [self.check(given[first[number]]) for number in range(len(known))]
        codes = np.full((n, len(self._model.codecs)), -1, dtype=np.int32)
        members = np.asarray(which)
        for number, row in enumerate(rows):
            self._fix(codes, np.flatnonzero(members == number), row, random)
        return Conditions(tuple(rows), tuple(which), codes)

    def check(self, fixed: Mapping[str, Any]) -> dict[str, Any]:
        """Return the conditions with their values as the domain writes them."""
        found = {name: self._value(name, value) for name, value in fixed.items()}
        for name, value in found.items():
            rule = self._looked_up.get(name)
            if rule and rule.given in found and key_of(rule.look_up([found[rule.given]])[0]) != key_of(value):
                raise RecipeError(
                    [
                        f"fixed: {rule.given}={found[rule.given]!r} always has {name}={rule.look_up([found[rule.given]])[0]!r}"
                    ],
                    hint=f"leave out {name}: it follows from {rule.given}",
                )
        return found

    def _value(self, name: str, value: Any) -> Any:
        field = self._fields.get(name)
        fixable = {
            f.name for f in self._fields.values() if f.name in self._parts or f.closed or f.name in self._looked_up
        }
        if field is None or name not in fixable or field.kind == "id":
            if field is not None:
                raise RecipeError([f"fixed: {name!r} is {field.kind}: no value of it can be fixed"])
            raise RecipeError([unknown("fixed", name, fixable)])
        if not ordinary(value):
            return self._state(field, value)
        if field.kind == "options":
            return [_choose(field, item) for item in (value if isinstance(value, list | tuple) else [value])]
        return self._number(field, value) if field.numeric else _choose(field, value)

    def _state(self, field: Field, value: Any) -> Any:
        seen = field.nullable if value is None else field.optional if value is ABSENT else field.empty
        if not seen:
            name = "null" if value is None else "absent" if value is ABSENT else "empty"
            raise RecipeError([f"fixed: {field.name!r} is never {name} in the real data"])
        return value

    def _number(self, field: Field, value: Any) -> Any:
        number = float(to_numbers([value], field)[0])
        if not np.isfinite(number):
            wanted = f"a date like {field.format}" if field.kind == "datetime" else "a number"
            raise RecipeError([f"fixed: {field.name!r} must be {wanted}, got {value!r}"])
        if field.low is not None and field.high is not None and not field.low <= number <= field.high:
            from textsynth.columns import from_numbers

            low, high = from_numbers([field.low, field.high], field)
            near = low if number < field.low else high
            raise RecipeError([f"fixed: {field.name}={value!r} is outside {low} to {high} (did you mean {near}?)"])
        return value

    def _fix(self, codes: Codes, rows: Any, fixed: Mapping[str, Any], random: np.random.Generator) -> None:
        for name, value in fixed.items():
            rule = self._looked_up.get(name)
            if rule is not None:
                if rule.given not in fixed:
                    self._fix_source(codes, rows, rule, value, random)
                continue
            for part in self._parts.get(name, []):
                shown = self._part_value(part, value, fixed)
                if shown is not _FREE:
                    place = self._model.names.index(part.name)
                    codes[rows, place] = self._model.codecs[part.name].encode([shown])[0]

    def _fix_source(self, codes: Codes, rows: Any, rule: Dependency, value: Any, random: np.random.Generator) -> None:
        """Draw the value that determines a fixed one, by its share among the train rows that have it."""
        sources, weights = rule.sources(value)
        place = self._model.names.index(rule.given)
        options = self._model.codecs[rule.given].encode(sources)
        codes[rows, place] = options[random.choice(len(sources), size=len(rows), p=weights)]

    def _part_value(self, part: Any, value: Any, fixed: Mapping[str, Any]) -> Any:
        if not ordinary(value):
            return value if value is None or value is ABSENT else ""
        if part.how == "has":
            return part.option in value
        if part.how == "state":
            return True
        if part.how == "value":
            return value
        number = float(to_numbers([value], self._fields[part.field])[0])
        if part.how == "number":
            return number
        if ordinary(fixed.get(part.other)):
            return max(0.0, number - float(to_numbers([fixed[part.other]], self._fields[part.other])[0]))
        return _FREE

    def unseen(self, conditions: Conditions | None, drawn: Drawn) -> list[str]:
        """Return one sentence per condition that the train rows never showed together."""
        if conditions is None or not drawn.unsupported.any():
            return []
        rows = np.flatnonzero(drawn.unsupported.any(axis=1))
        counts = Counter(conditions.which[row] for row in rows.tolist())
        found = []
        for number, count in sorted(counts.items()):
            shown = ", ".join(f"{name}={_shown(value)}" for name, value in conditions.rows[number].items())
            found.append(f"{shown}: never in the train rows; {count} rows drawn from the nearest that were seen")
        return found


_FREE = object()


def _shown(value: Any) -> str:
    return "absent" if value is ABSENT else repr(value)


def _choose(field: Field, value: Any) -> Any:
    """Return the value of the field's set that is meant; white space around a text does not count."""
    keys = {key_of(known): known for known in field.values}
    if key_of(value) in keys:
        return keys[key_of(value)]
    if isinstance(value, bool | int | float):
        same = [
            known for known in field.values if known == value and isinstance(known, bool) == isinstance(value, bool)
        ]
        if same:
            return same[0]
    plain = [known for known in field.values if isinstance(known, str) and known.strip() == str(value).strip()]
    if len(plain) == 1:
        return plain[0]
    names = sorted(str(known) for known in field.values)
    shown = ", ".join(map(repr, names[:12])) + (", …" if len(names) > 12 else "")
    raise RecipeError(
        [f"fixed: {field.name}={value!r} is not in its domain{nearest(str(value), names)}; known: {shown}"]
    )


def allot(weights: Mapping[str, Mapping[Any, float]], n: int, random: np.random.Generator) -> list[dict[str, Any]]:
    """Return conditions for ``n`` rows in which each value has its share, to the row; fields are independent.

    Raises:
        RecipeError: a share below 0, or shares that add up to 0.
    """
    found: list[dict[str, Any]] = [{} for _ in range(n)]
    for name, shares in weights.items():
        parts = np.array(list(shares.values()), dtype=np.float64)
        if not len(parts) or parts.min() < 0 or parts.sum() <= 0:
            raise RecipeError([f"weights of {name!r}: must be 0 or more and add up to more than 0, got {dict(shares)}"])
        exact = parts / parts.sum() * n
        counts = np.floor(exact).astype(np.int64)
        counts[np.argsort(counts - exact, kind="stable")[: n - counts.sum()]] += 1
        values = list(shares)
        places = random.permutation(np.repeat(np.arange(len(values)), counts))
        for row, place in zip(found, places.tolist(), strict=True):
            row[name] = values[place]
    return found
