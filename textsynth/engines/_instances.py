"""Random instances of a decoding schema: what the scripted engine says. Seeded, so the same request gets the same answer.

It knows the plain form that ``schema.constrain`` writes; ``$ref`` is followed, recursion ends at the first optional turn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

SYLLABLES = (
    "ba ce di fo gu ha je ki lo mu na pe ri so tu va we xi yo zu bra cle dri flo gru sta tre pli mon ver".split()
)
OPENINGS = ("The", "A", "My", "Our", "This", "Every", "One", "Some", "Her", "His")
DEEPEST = 6
WIDEST = 12
"""Most repetitions of a pattern's ``*`` or ``+`` (beyond its own minimum)."""

Schema = Mapping[str, Any]


def instance(schema: Schema, random: Random) -> Any:
    """Return a value that is valid for ``schema``."""
    return make(schema, random, schema, 0)


def make(schema: Schema | bool, random: Random, root: Schema, depth: int) -> Any:
    """Return a value for one subschema; ``root`` resolves references."""
    if isinstance(schema, bool):
        return text(random, 5, 40)
    if "$ref" in schema:
        return make(resolve(root, schema["$ref"]), random, root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return random.choice(schema["enum"])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            branches = schema[key]
            return make(branches[-1] if depth > DEEPEST else random.choice(branches), random, root, depth + 1)
    return MAKERS[kind(schema, random)](schema, random, root, depth)


def kind(schema: Schema, random: Random) -> str:
    """Return the JSON type to make."""
    named = schema.get("type")
    if isinstance(named, list):
        return str(random.choice(named))
    if named:
        return str(named)
    if "properties" in schema or "required" in schema:
        return "object"
    if "items" in schema or "prefixItems" in schema:
        return "array"
    return "string"


def resolve(root: Schema, reference: str) -> Schema:
    """Follow a local JSON pointer."""
    found: Any = root
    for part in reference.removeprefix("#").split("/")[1:]:
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return found  # type: ignore[no-any-return]


def make_object(schema: Schema, random: Random, root: Schema, depth: int) -> dict[str, Any]:
    """Make every required property and, near the top, the optional ones."""
    required = set(schema.get("required", ()))
    properties = schema.get("properties", {})
    made = {
        name: make(part, random, root, depth + 1)
        for name, part in properties.items()
        if name in required or (depth < 2 and random.random() < 0.8)
    }
    extra = schema.get("additionalProperties", False)
    while len(made) < schema.get("minProperties", 0) and extra is not False:
        made[word(random)] = make(extra, random, root, depth + 1)
    return made


def make_array(schema: Schema, random: Random, root: Schema, depth: int) -> list[Any]:
    """Make an array between its bounds, short when deep."""
    first = [make(part, random, root, depth + 1) for part in schema.get("prefixItems", ())]
    least = max(schema.get("minItems", 0), 1 if depth < 3 else 0)
    most = min(schema.get("maxItems", least + 2), least + 3)
    items = schema.get("items", True)
    if items is False or depth > DEEPEST:
        return first
    while len(first) < random.randint(min(least, most), most):
        first.append(make(items, random, root, depth + 1))
    return first


def make_string(schema: Schema, random: Random, root: Schema, depth: int) -> str:
    """Make a string by format, by pattern, or words between its bounds."""
    if schema.get("format") in FORMATS:
        return FORMATS[schema["format"]](random)
    if "pattern" in schema:
        return from_pattern(schema["pattern"], random)
    least = schema.get("minLength", 1)
    return text(random, least, min(schema.get("maxLength", least + 80), least + 160))


def make_integer(schema: Schema, random: Random, root: Schema, depth: int) -> int:
    """Make a whole number between its bounds, a multiple where one is asked for."""
    low, high = bounds(schema, 1)
    step = int(schema.get("multipleOf", 1)) or 1
    return random.randint(-(-int(low) // step), int(high) // step) * step


def make_number(schema: Schema, random: Random, root: Schema, depth: int) -> float:
    """Make a number between its bounds, with two decimals where there is room."""
    low, high = bounds(schema, 0.01)
    if step := schema.get("multipleOf"):
        return float(round(random.randint(int(low / step) + 1, int(high / step)) * step, 10))
    return min(max(round(random.uniform(low, high), 2), low), high)


def bounds(schema: Schema, least_step: float) -> tuple[float, float]:
    """Return the inclusive bounds of a number."""
    low = schema.get(
        "minimum", schema.get("exclusiveMinimum", -least_step) + least_step if "exclusiveMinimum" in schema else None
    )
    high = schema.get("maximum", schema["exclusiveMaximum"] - least_step if "exclusiveMaximum" in schema else None)
    if low is None:
        low = 0 if high is None or high >= 0 else high - 1000
    return low, high if high is not None else low + 1000


MAKERS: dict[str, Callable[[Schema, Random, Schema, int], Any]] = {
    "object": make_object,
    "array": make_array,
    "string": make_string,
    "integer": make_integer,
    "number": make_number,
    "boolean": lambda schema, random, root, depth: random.random() < 0.5,
    "null": lambda schema, random, root, depth: None,
}


def word(random: Random) -> str:
    """Return an invented word."""
    return "".join(random.choice(SYLLABLES) for _ in range(random.randint(1, 4)))


def text(random: Random, least: int, most: int) -> str:
    """Return invented words, between ``least`` and ``most`` characters."""
    wanted = random.randint(least, max(least, most))
    made = random.choice(OPENINGS)
    while len(made) < wanted:
        made += " " + word(random)
    return (made[:wanted].rstrip() or "a").ljust(least, "a")


def moment(random: Random) -> datetime:
    """Return a second of the years 2000 to 2029."""
    return datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=random.randint(0, 10957 * 86400))


FORMATS: dict[str, Callable[[Random], str]] = {
    "date": lambda r: moment(r).date().isoformat(),
    "time": lambda r: moment(r).strftime("%H:%M:%SZ"),
    "date-time": lambda r: moment(r).strftime("%Y-%m-%dT%H:%M:%SZ"),
    "duration": lambda r: f"P{r.randint(1, 90)}D",
    "email": lambda r: f"{word(r)}@{word(r)}.example",
    "hostname": lambda r: f"{word(r)}.example",
    "ipv4": lambda r: ".".join(str(r.randint(0, 255)) for _ in range(4)),
    "ipv6": lambda r: ":".join(f"{r.randint(0, 65535):x}" for _ in range(8)),
    "uri": lambda r: f"https://{word(r)}.example/{word(r)}",
    "uuid": lambda r: "-".join(f"{r.getrandbits(4 * n):0{n}x}" for n in (8, 4, 4, 4, 12)),
}


def from_pattern(pattern: str, random: Random) -> str:
    """Return a string that matches ``pattern`` (look-around is ignored; the whole check afterwards sees it)."""
    return "".join(expand(re._parser.parse(pattern), random))  # type: ignore[attr-defined]


def expand(parsed: Any, random: Random) -> list[str]:
    """Write out one parsed regular expression."""
    return [piece for op, argument in parsed for piece in expand_one(str(op), argument, random)]


def expand_one(op: str, argument: Any, random: Random) -> list[str]:
    """Write out one node of a parsed regular expression."""
    if op == "LITERAL":
        return [chr(argument)]
    if op == "NOT_LITERAL":
        return ["a" if argument != ord("a") else "b"]
    if op == "ANY":
        return [random.choice("abcdefghij klmnop")]
    if op == "IN":
        return [pick(argument, random)]
    if op == "CATEGORY":
        return [CATEGORIES[str(argument)]]
    if op == "SUBPATTERN":
        return expand(argument[-1], random)
    if op == "BRANCH":
        return expand(random.choice(argument[1]), random)
    if op in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
        least, most, inner = argument
        count = random.randint(least, min(int(most), least + WIDEST))
        return [piece for _ in range(count) for piece in expand(inner, random)]
    return []


CATEGORIES = {
    "CATEGORY_DIGIT": "7",
    "CATEGORY_WORD": "w",
    "CATEGORY_SPACE": " ",
    "CATEGORY_NOT_DIGIT": "x",
    "CATEGORY_NOT_WORD": "-",
    "CATEGORY_NOT_SPACE": "s",
}


def pick(options: Any, random: Random) -> str:
    """Return a character of a class such as ``[a-z0-9_]``; of a negated one, the first printable that is not in it."""
    if str(options[0][0]) == "NEGATE":
        return next(c for c in "abcdefghijklmnopqrstuvwxyz0123456789 -_" if not any(member(c, o) for o in options[1:]))
    op, argument = random.choice(options)
    if str(op) == "RANGE":
        return chr(random.randint(*argument))
    return chr(argument) if str(op) == "LITERAL" else CATEGORIES[str(argument)]


def member(character: str, option: tuple[Any, Any]) -> bool:
    """Return whether a character belongs to one part of a character class."""
    op, argument = str(option[0]), option[1]
    if op == "RANGE":
        return bool(argument[0] <= ord(character) <= argument[1])
    if op == "LITERAL":
        return bool(ord(character) == argument)
    shape = {"CATEGORY_DIGIT": r"\d", "CATEGORY_WORD": r"\w", "CATEGORY_SPACE": r"\s"}.get(str(argument))
    return shape is not None and re.fullmatch(shape, character) is not None
