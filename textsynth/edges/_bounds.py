"""The ways of a valid boundary record: each value as far out as the schema lets it be."""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import product
from typing import Any

from textsynth.edges._rule import Context, Rule, at, has, is_number
from textsynth.edges._sites import REMOVED, Change, Site, View, types_of
from textsynth.edges._texts import DATES, LONGEST, TIMES, UNICODE, of_length
from textsynth.schema._merge import same

MOST_ITEMS = 1000
SAFE = 2**53 - 1
"""The largest whole number that every JSON reader keeps exact."""


def is_open_text(view: View) -> bool:
    """Return whether a subschema describes text that is neither listed nor of a format."""
    return "string" in types_of(view) and not any(key in view for key in ("enum", "const", "format"))


def is_open_number(view: View) -> bool:
    """Return whether a subschema describes a number that is not listed."""
    return bool({"integer", "number"} & set(types_of(view))) and "enum" not in view and "const" not in view


def is_array(view: View) -> bool:
    """Return whether a subschema describes an array."""
    return "array" in types_of(view)


def text_length(keyword: str) -> Callable[[Site, Context], Iterator[Change]]:
    """Return the changes to a text with as many characters as the keyword says."""
    step = -1 if keyword == "minLength" else 1

    def changes(site: Site, context: Context) -> Iterator[Change]:
        if not isinstance(site.value, str):
            return
        for length in site.said(keyword):
            if not 0 < length < LONGEST:
                continue
            text = of_length(site.said("pattern"), site.value, length, context.random)
            if text is not None:
                further = text[:-1] if step < 0 else text + text[-1]
                yield at(site, text, (further,))

    return changes


def empty_text(site: Site, context: Context) -> Iterator[Change]:
    """Yield the empty text."""
    if isinstance(site.value, str):
        yield at(site, "")


def unicode_text(way: str) -> Callable[[Site, Context], Iterator[Change]]:
    """Return the changes to a text that holds what ``way`` names, alone and within the text that stands there."""

    def changes(site: Site, context: Context) -> Iterator[Change]:
        if not isinstance(site.value, str) or site.closed:
            return
        texts = list(UNICODE[way])
        context.random.shuffle(texts)
        for text in texts:
            yield at(site, f"{site.value} {text}")
            yield at(site, text)
            least = max([0, *site.said("minLength")])
            if 0 < least < LONGEST:
                yield at(site, of_length([], f"{text} ", least + len(text), context.random))

    return changes


def bound(keyword: str) -> Callable[[Site, Context], Iterator[Change]]:
    """Return the changes to the outermost number that the keyword lets stand."""
    upward = keyword in {"minimum", "exclusiveMinimum"}

    def changes(site: Site, context: Context) -> Iterator[Change]:
        if not is_number(site.value):
            return
        for limit in site.said(keyword):
            inner, outer = around(limit, step_of(site), upward=upward, exclusive="exclusive" in keyword)
            yield at(site, inner, (outer,))

    return changes


def step_of(site: Site) -> Fraction | None:
    """Return how far apart the numbers are that may stand at a site; ``None`` if they lie as close as floats do."""
    steps = [Fraction(str(step)) for step in site.said("multipleOf")]
    whole = "integer" in site.types and ("number" not in site.types or isinstance(site.value, int))
    if whole:
        steps.append(Fraction(1))
    if not steps:
        return None
    common = Fraction(math.lcm(*(step.numerator for step in steps)), math.gcd(*(step.denominator for step in steps)))
    return common


def around(limit: float, step: Fraction | None, *, upward: bool, exclusive: bool) -> tuple[Any, Any]:
    """Return the number just inside a bound, and the next one outside it."""
    sign = 1 if upward else -1
    if step is None:
        inner = math.nextafter(limit, sign * math.inf) if exclusive else limit
        return inner, limit if exclusive else math.nextafter(limit, -sign * math.inf)
    steps = Fraction(str(limit)) / step
    first = math.ceil(steps) if upward else math.floor(steps)
    if exclusive and first == steps:
        first += sign
    return plain(first * step), plain((first - sign) * step)


def plain(number: Fraction) -> int | float:
    """Return a fraction as a whole number if it is one."""
    return int(number) if number.denominator == 1 else float(number)


def number(value: int) -> Callable[[Site, Context], Iterator[Change]]:
    """Return the change to one number."""

    def changes(site: Site, context: Context) -> Iterator[Change]:
        if is_number(site.value) and not site.closed:
            yield at(site, float(value) if isinstance(site.value, float) else value)

    return changes


def large(site: Site, context: Context) -> Iterator[Change]:
    """Yield the largest whole numbers of 32 bits and of every JSON reader."""
    if isinstance(site.value, int) and is_number(site.value) and not site.said("maximum"):
        yield at(site, SAFE)
        yield at(site, 2**31 - 1)


def day(way: str) -> Callable[[Site, Context], Iterator[Change]]:
    """Return the changes to the days that ``way`` names, as a date or a moment."""

    def changes(site: Site, context: Context) -> Iterator[Change]:
        if not isinstance(site.value, str):
            return
        suffix = site.value[10:] if len(site.value) > 10 else "T00:00:00Z"
        for date in context.random.sample(DATES[way], len(DATES[way])):
            if "date" in site.said("format"):
                yield at(site, date)
            if "date-time" in site.said("format"):
                yield at(site, f"{date}T{TIMES[way]}" if way in TIMES else date + suffix)

    return changes


def clock(text: str) -> Callable[[Site, Context], Iterator[Change]]:
    """Return the change to one time of the day."""

    def changes(site: Site, context: Context) -> Iterator[Change]:
        if isinstance(site.value, str) and "time" in site.said("format"):
            yield at(site, text)

    return changes


def null(site: Site, context: Context) -> Iterator[Change]:
    """Yield null."""
    if site.path and site.value is not None:
        yield at(site, None)


def absent(site: Site, context: Context) -> Iterator[Change]:
    """Yield the removal of an optional property."""
    if site.path and isinstance(site.path[-1], str) and not site.required and not site.dependent:
        yield at(site, REMOVED)


def only_required(site: Site, context: Context) -> Iterator[Change]:
    """Yield the object without any optional property."""
    if isinstance(site.value, dict):
        required = {name for names in site.said("required") for name in names}
        if len(site.value) - len(required & set(site.value)) > 1 or not required:
            yield at(site, {name: value for name, value in site.value.items() if name in required})


def all_optional(site: Site, context: Context) -> Iterator[Change]:
    """Yield the object with every property that another record has there."""
    if not isinstance(site.value, dict):
        return
    known = [name for said in site.said("properties") for name in said]
    added = {}
    for name in dict.fromkeys(known):
        values = context.values.get(f"{site.template}.{name}" if site.template else name, ())
        if name not in site.value and values:
            added[name] = context.random.choice(values)
    for count in (len(added), len(added) // 2, 1):
        if 0 < count <= len(added):
            yield at(site, {**site.value, **dict(list(added.items())[:count])})


def items(keyword: str) -> Callable[[Site, Context], Iterator[Change]]:
    """Return the changes to an array with as many items as the keyword says."""

    def changes(site: Site, context: Context) -> Iterator[Change]:
        if not isinstance(site.value, list):
            return
        for count in site.said(keyword):
            if 0 < count <= MOST_ITEMS:
                longer = grown(site, count + 1, context)
                if keyword == "minItems":
                    yield at(site, longer[:count] or site.value[:count], (longer[: count - 1],))
                elif len(longer) > count:
                    yield at(site, longer[:count], (longer,))

    return changes


def grown(site: Site, count: int, context: Context) -> list[Any]:
    """Return the array with ``count`` items: its own, then those of other records, all different where they must be.

    Shorter if there are not enough.
    """
    made = list(site.value[:count])
    unique = any(site.said("uniqueItems"))
    offered = [*context.values.get(f"{site.template}[]", ()), *site.value]
    for item in offered:
        if len(made) < count and not any(same(item, known) for known in made):
            made.append(item)
    if unique:
        made += [new for item in offered[:1] for k in range(count) if (new := varied(item, k)) is not None]
    elif offered:
        made += [offered[k % len(offered)] for k in range(max(0, count - len(made)))]
    return made[:count]


def varied(item: Any, number: int) -> Any:
    """Return another value of the same kind, ``None`` for one that cannot be varied plainly."""
    if isinstance(item, str):
        return f"{item}-{number + 2}"
    return item + number + 1_000_003 if is_number(item) else None


def empty_array(site: Site, context: Context) -> Iterator[Change]:
    """Yield the empty array."""
    if isinstance(site.value, list):
        yield at(site, [])


def single_item(site: Site, context: Context) -> Iterator[Change]:
    """Yield the array with its first item alone."""
    if isinstance(site.value, list) and len(site.value) > 1:
        yield at(site, site.value[:1])


def nearly_same_items(site: Site, context: Context) -> Iterator[Change]:
    """Yield an array whose items must differ, with two that hardly do."""
    if not isinstance(site.value, list) or not any(site.said("uniqueItems")):
        return
    for item in site.value:
        near: Sequence[Any] = ()
        if isinstance(item, str):
            near = (item.swapcase(), f"{item} ", f" {item}", item + "\u0301")
        elif is_number(item):
            near = (item + 1, str(item))
        for other in near:
            if not any(same(other, known) for known in site.value):
                yield at(site, [*site.value, other], ([*site.value, item],))


def properties(keyword: str) -> Callable[[Site, Context], Iterator[Change]]:
    """Return the changes to an object with as many properties as the keyword says."""

    def changes(site: Site, context: Context) -> Iterator[Change]:
        if not isinstance(site.value, dict) or not site.value:
            return
        required = {name for names in site.said("required") for name in names}
        order = sorted(site.value, key=lambda name: name not in required)
        for count in site.said(keyword):
            if keyword == "minProperties" and 0 < count < len(order):
                fewer = {name: site.value[name] for name in order[:count]}
                yield at(site, fewer, ({name: site.value[name] for name in order[: count - 1]},))
            elif keyword == "maxProperties" and len(order) < count < MOST_ITEMS:
                yield at(site, with_more(site.value, count), (with_more(site.value, count + 1),))

    return changes


def with_more(value: dict[str, Any], count: int) -> dict[str, Any]:
    """Return an object with properties added up to ``count``: its last name with letters behind, and its last value."""
    made, (stem, filler) = dict(value), list(value.items())[-1]
    letters = string.ascii_uppercase if stem.isupper() else string.ascii_lowercase
    for length in range(1, 4):
        for tail in product(letters, repeat=length):
            if len(made) >= count:
                return made
            made.setdefault(stem + "".join(tail), filler)
    return made


def enum_member(site: Site, context: Context) -> Iterator[Change]:
    """Yield each listed value that doesn't stand there."""
    listed = [value for values in site.said("enum") for value in values if not same(value, site.value)]
    context.random.shuffle(listed)
    yield from (at(site, value) for value in listed)


BOUNDARY_RULES = (
    Rule("empty_text", ("minLength",), lambda v: is_open_text(v) and not v.get("minLength"), empty_text),
    Rule("shortest_text", ("minLength",), lambda view: view.get("minLength", 0) > 0, text_length("minLength")),
    Rule("longest_text", ("maxLength",), has("maxLength"), text_length("maxLength")),
    *(Rule(way, ("type",), is_open_text, unicode_text(way)) for way in UNICODE),
    Rule("minimum", ("minimum",), has("minimum"), bound("minimum")),
    Rule("maximum", ("maximum",), has("maximum"), bound("maximum")),
    Rule("just_above", ("exclusiveMinimum",), has("exclusiveMinimum"), bound("exclusiveMinimum")),
    Rule("just_below", ("exclusiveMaximum",), has("exclusiveMaximum"), bound("exclusiveMaximum")),
    Rule("zero", ("type",), is_open_number, number(0)),
    Rule("minus_one", ("type",), is_open_number, number(-1)),
    Rule("large_number", ("type",), lambda view: is_open_number(view) and "maximum" not in view, large),
    *(Rule(way, ("format",), lambda view: view.get("format") in {"date", "date-time"}, day(way)) for way in DATES),
    Rule("midnight", ("format",), lambda view: view.get("format") == "time", clock("00:00:00Z")),
    Rule("end_of_day", ("format",), lambda view: view.get("format") == "time", clock("23:59:59Z")),
    Rule("null", ("type",), lambda view: "null" in types_of(view) or None in view.get("enum", ()), null),
    Rule("absent", ("required",), has("properties"), absent),
    Rule("only_required", ("required",), has("properties"), only_required),
    Rule("all_optional", ("properties",), has("properties"), all_optional),
    Rule("empty_array", ("minItems",), lambda view: is_array(view) and not view.get("minItems"), empty_array),
    Rule("single_item", ("minItems",), lambda view: is_array(view) and view.get("minItems", 0) <= 1, single_item),
    Rule("fewest_items", ("minItems",), lambda view: view.get("minItems", 0) > 0, items("minItems")),
    Rule("most_items", ("maxItems",), has("maxItems"), items("maxItems")),
    Rule("nearly_same_items", ("uniqueItems",), lambda view: bool(view.get("uniqueItems")), nearly_same_items),
    Rule("fewest_properties", ("minProperties",), lambda v: v.get("minProperties", 0) > 0, properties("minProperties")),
    Rule("most_properties", ("maxProperties",), has("maxProperties"), properties("maxProperties")),
    Rule("enum_member", ("enum",), has("enum"), enum_member),
)
