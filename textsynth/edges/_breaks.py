"""The ways of an invalid record: one value changed so that it breaks one keyword and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from textsynth.edges._bounds import MOST_ITEMS, around, grown, step_of, with_more
from textsynth.edges._rule import Context, Rule, at, has, is_number
from textsynth.edges._sites import REMOVED, Change, Site, types_of
from textsynth.edges._texts import BROKEN, LONGEST, of_length
from textsynth.schema._merge import same

FOREIGN: tuple[Any, ...] = ("text", 12345, 1.5, True, ["item"], {"key": "value"}, None, "", [], {})
"""One value of each type, to stand where it may not."""
ADDED = ("unexpected", "Unexpected Property", "_extra")


def wrong_type(site: Site, context: Context) -> Iterator[Change]:
    """Yield values of other types: what the value is as text, or itself in a list, before anything foreign."""
    if not site.path or site.value is None:
        return
    value = site.value
    near: list[Any] = [str(value).lower() if isinstance(value, bool) else str(value)] if not is_text(value) else []
    near += [value + 0.5] if is_number(value) and isinstance(value, int) else []
    near += [[value]] if not isinstance(value, list | dict) else []
    yield from (at(site, other) for other in (*near, *FOREIGN) if other is not None)


def is_text(value: Any) -> bool:
    """Return whether a value is text, or too large to be written as such."""
    return isinstance(value, str | list | dict)


def null_instead(site: Site, context: Context) -> Iterator[Change]:
    """Yield null."""
    if site.path and site.value is not None:
        yield at(site, None)


def missing(site: Site, context: Context) -> Iterator[Change]:
    """Yield the removal of a required property."""
    if site.path and isinstance(site.path[-1], str) and site.required:
        yield at(site, REMOVED)


def missing_dependent(site: Site, context: Context) -> Iterator[Change]:
    """Yield the removal of a property that another one requires."""
    if site.path and isinstance(site.path[-1], str) and site.dependent:
        yield at(site, REMOVED)


def over(keyword: str) -> Callable[[Site, Context], Iterator[Change]]:
    """Return the changes to a number beyond the keyword's limit: the next one, and one far out."""
    upward = keyword in {"minimum", "exclusiveMinimum"}

    def changes(site: Site, context: Context) -> Iterator[Change]:
        if not is_number(site.value):
            return
        for limit in site.said(keyword):
            step = step_of(site)
            yield at(site, around(limit, step, upward=upward, exclusive="exclusive" in keyword)[1])
            whole = limit - 1000 if upward else limit + 1000
            yield at(site, around(whole, step, upward=upward, exclusive=False)[0])

    return changes


def not_multiple(site: Site, context: Context) -> Iterator[Change]:
    """Yield numbers a part of a step away."""
    if is_number(site.value):
        for step in site.said("multipleOf"):
            if isinstance(step, int) and step > 1:
                yield at(site, site.value + 1)
                yield at(site, site.value - 1)
            yield at(site, site.value + step / 2)
            yield at(site, site.value - step / 2)


def wrong_length(keyword: str) -> Callable[[Site, Context], Iterator[Change]]:
    """Return the changes to a text with one character too few or too many."""
    step = -1 if keyword == "minLength" else 1

    def changes(site: Site, context: Context) -> Iterator[Change]:
        if not isinstance(site.value, str):
            return
        for limit in site.said(keyword):
            if 0 <= limit + step <= LONGEST:
                patterns = site.said("pattern")
                for text in (
                    of_length(patterns, site.value, limit + step, context.random),
                    of_length([], site.value, limit + step, context.random),
                ):
                    if text is not None:
                        yield at(site, text)

    return changes


def broken_pattern(site: Site, context: Context) -> Iterator[Change]:
    """Yield the text with one character changed, added or lost, then texts that few patterns match."""
    if not isinstance(site.value, str):
        return
    text = site.value
    places = list(range(len(text)))
    context.random.shuffle(places)
    for place in places[:3]:
        for sign in ("\u00a7", " "):
            yield at(site, text[:place] + sign + text[place + 1 :])
    yield from (at(site, other) for other in (f"{text}\u00a7", f" {text}", text[1:], text[:-1], text.swapcase(), ""))


def broken_format(site: Site, context: Context) -> Iterator[Change]:
    """Yield texts that look much like the format and break it."""
    if not isinstance(site.value, str):
        return
    for name in site.said("format"):
        texts = BROKEN.get(name, ())
        yield from (at(site, text) for text in context.random.sample(texts, len(texts)))


def outside_enum(site: Site, context: Context) -> Iterator[Change]:
    """Yield values that are nearly a listed one."""
    for listed in site.said("enum"):
        for value in context.random.sample(listed, len(listed)):
            yield from (at(site, other) for other in near(value) if not any(same(other, known) for known in listed))


def changed_const(site: Site, context: Context) -> Iterator[Change]:
    """Yield values that are nearly the one that must stand there."""
    for value in site.said("const"):
        yield from (at(site, other) for other in near(value))


def near(value: Any) -> tuple[Any, ...]:
    """Return values of the same type that differ a little."""
    if isinstance(value, bool):
        return (not value,)
    if isinstance(value, str):
        return tuple(text for text in (f"{value}_", value.swapcase(), f"{value} ", value[:-1]) if text != value)
    if is_number(value):
        return (value + 1, value - 1)
    if isinstance(value, list):
        return ([*value, None],)
    return ({**value, "unexpected": 1},) if isinstance(value, dict) else ("null", 0)


def extra_property(site: Site, context: Context) -> Iterator[Change]:
    """Yield the object with a property that it may not have."""
    if not isinstance(site.value, dict):
        return
    names = [f"{name}_" for name in site.value if isinstance(name, str)]
    for name in (*ADDED, *context.random.sample(names, min(3, len(names)))):
        if name not in site.value:
            yield Change((*site.path, name), "unexpected", (*site.path, name))


def wrong_name(site: Site, context: Context) -> Iterator[Change]:
    """Yield the object with a property whose name breaks the rule for names."""
    if isinstance(site.value, dict):
        filler = next(iter(site.value.values()), "value")
        for name in ("Wrong Name \u00a7", "x" * 300, "", "9"):
            if name not in site.value:
                yield at(site, {**site.value, name: filler})


def duplicate_items(site: Site, context: Context) -> Iterator[Change]:
    """Yield an array, whose items must differ, with one twice."""
    if isinstance(site.value, list) and site.value:
        item = context.random.choice(site.value)
        yield at(site, [*site.value, item])
        if len(site.value) > 1:
            yield at(site, [*site.value[:-1], site.value[0]])


def wrong_count(keyword: str) -> Callable[[Site, Context], Iterator[Change]]:
    """Return the changes to an array with one item too few or too many."""

    def changes(site: Site, context: Context) -> Iterator[Change]:
        if not isinstance(site.value, list):
            return
        for limit in site.said(keyword):
            if keyword == "minItems" and limit > 0:
                yield at(site, site.value[: limit - 1])
            elif keyword == "maxItems" and limit < MOST_ITEMS:
                longer = grown(site, limit + 1, context)
                if len(longer) > limit:
                    yield at(site, longer)

    return changes


def wrong_size(keyword: str) -> Callable[[Site, Context], Iterator[Change]]:
    """Return the changes to an object with one property too few or too many."""

    def changes(site: Site, context: Context) -> Iterator[Change]:
        if not isinstance(site.value, dict):
            return
        for limit in site.said(keyword):
            if keyword == "minProperties" and limit > 0:
                yield at(site, dict(list(site.value.items())[: limit - 1]))
            elif keyword == "maxProperties" and limit < MOST_ITEMS and site.value:
                yield at(site, with_more(site.value, limit + 1))

    return changes


def extra_item(site: Site, context: Context) -> Iterator[Change]:
    """Yield an array of fixed places with an item after them."""
    if isinstance(site.value, list):
        for first in site.said("prefixItems"):
            if len(site.value) >= len(first):
                yield Change(site.path, [*site.value, "unexpected"], (*site.path, len(site.value)))


def nothing_contained(site: Site, context: Context) -> Iterator[Change]:
    """Yield arrays without the item that must be in them."""
    if isinstance(site.value, list):
        for place in range(min(len(site.value), 5)):
            yield at(site, site.value[:place] + site.value[place + 1 :])
        yield at(site, ["unexpected"])
        yield at(site, [])


def no_branch(site: Site, context: Context) -> Iterator[Change]:
    """Yield values that fit none of a union's branches."""
    if site.path:
        yield from (at(site, other) for other in context.random.sample(FOREIGN, len(FOREIGN)))
        if isinstance(site.value, str):
            yield at(site, f"{site.value}\u00a7")


def forbidden(site: Site, context: Context) -> Iterator[Change]:
    """Yield what a ``not`` lists."""
    for view in site.said("not"):
        if isinstance(view, dict):
            listed = [view["const"]] if "const" in view else view.get("enum", ())
            yield from (at(site, value) for value in listed)


INVALID_RULES = (
    Rule("wrong_type", ("type",), has("type"), wrong_type),
    Rule("null_not_allowed", ("type",), lambda view: "type" in view and "null" not in types_of(view), null_instead),
    Rule("missing_required", ("required",), has("required"), missing),
    Rule("missing_dependent", ("dependentRequired",), has("dependentRequired"), missing_dependent),
    Rule("below_minimum", ("minimum",), has("minimum"), over("minimum")),
    Rule("above_maximum", ("maximum",), has("maximum"), over("maximum")),
    Rule("at_exclusive_minimum", ("exclusiveMinimum",), has("exclusiveMinimum"), over("exclusiveMinimum")),
    Rule("at_exclusive_maximum", ("exclusiveMaximum",), has("exclusiveMaximum"), over("exclusiveMaximum")),
    Rule("not_multiple", ("multipleOf",), has("multipleOf"), not_multiple),
    Rule("too_short", ("minLength",), lambda view: view.get("minLength", 0) > 0, wrong_length("minLength")),
    Rule("too_long", ("maxLength",), has("maxLength"), wrong_length("maxLength")),
    Rule("pattern_broken", ("pattern",), has("pattern"), broken_pattern),
    Rule("format_broken", ("format",), lambda view: view.get("format") in BROKEN, broken_format),
    Rule("outside_enum", ("enum",), has("enum"), outside_enum),
    Rule("const_changed", ("const",), has("const"), changed_const),
    Rule(
        "extra_property",
        ("additionalProperties", "unevaluatedProperties"),
        lambda view: view.get("additionalProperties") is False or view.get("unevaluatedProperties") is False,
        extra_property,
    ),
    Rule("wrong_name", ("propertyNames",), has("propertyNames"), wrong_name),
    Rule("duplicate_items", ("uniqueItems",), lambda view: bool(view.get("uniqueItems")), duplicate_items),
    Rule("too_few_items", ("minItems",), lambda view: view.get("minItems", 0) > 0, wrong_count("minItems")),
    Rule("too_many_items", ("maxItems",), has("maxItems"), wrong_count("maxItems")),
    Rule("extra_item", ("items",), lambda view: view.get("items") is False and "prefixItems" in view, extra_item),
    Rule("nothing_contained", ("contains",), has("contains"), nothing_contained),
    Rule(
        "too_few_properties", ("minProperties",), lambda v: v.get("minProperties", 0) > 0, wrong_size("minProperties")
    ),
    Rule("too_many_properties", ("maxProperties",), has("maxProperties"), wrong_size("maxProperties")),
    Rule("no_branch", ("anyOf", "oneOf"), has("anyOf", "oneOf"), no_branch),
    Rule("forbidden", ("not",), has("not"), forbidden),
)
