"""What a finding says of a backend is proven on that backend's own matcher, byte by byte.

For each feature: the decoding schema compiles, lets the valid value through, and stops the invalid one if the keyword is
reported as enforced. Random walks through the mask of allowed bytes then write whole records, which must be valid.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from textsynth.errors import SchemaError
from textsynth.schema import Backend, Decoding, RecordSchema, constrain

END = 256


class Guidance:
    """llguidance with one token per byte."""

    def __init__(self, text: str) -> None:
        import llguidance
        from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask

        grammar = llguidance.LLMatcher.grammar_from_json_schema(text, defaults={"whitespace_flexible": False})
        self._matcher = llguidance.LLMatcher(byte_tokenizer(), grammar, log_level=0)
        assert not self._matcher.is_error(), self._matcher.get_error()
        self._mask, self._fill = allocate_token_bitmask(1, END + 1), fill_next_token_bitmask

    def allowed(self) -> list[int]:
        self._fill(self._matcher, self._mask, 0)
        assert not self._matcher.is_error(), self._matcher.get_error()
        return bits(self._mask)

    def step(self, byte: int) -> bool:
        return self._matcher.try_consume_tokens([byte]) == 1

    def finished(self) -> bool:
        return self._matcher.is_accepting()


@cache
def byte_tokenizer() -> Any:
    from llguidance import LLTokenizer, TokenizerWrapper

    class Bytes:
        eos_token_id, bos_token_id, special_token_ids = END, None, [END]
        tokens = [bytes([i]) for i in range(256)] + [b"<end>"]

        def __call__(self, text: str | bytes) -> list[int]:
            return list(text.encode() if isinstance(text, str) else text)

    return LLTokenizer(TokenizerWrapper(Bytes()), n_vocab=END + 1)


class Xgrammar:
    """xgrammar with one token per byte."""

    def __init__(self, text: str) -> None:
        import xgrammar

        compiled = byte_compiler().compile_json_schema(text, any_whitespace=False, separators=(",", ":"))
        self._matcher = xgrammar.GrammarMatcher(compiled)
        self._mask = xgrammar.allocate_token_bitmask(1, END + 1)

    def allowed(self) -> list[int]:
        self._matcher.fill_next_token_bitmask(self._mask)
        return bits(self._mask.numpy())

    def step(self, byte: int) -> bool:
        return bool(self._matcher.accept_token(byte))

    def finished(self) -> bool:
        return END in self.allowed()


@cache
def byte_compiler() -> Any:
    import xgrammar

    vocabulary = [bytes([i]) for i in range(256)] + [b"<end>"]
    info = xgrammar.TokenizerInfo(
        vocabulary, vocab_type=xgrammar.VocabType.RAW, vocab_size=END + 1, stop_token_ids=[END]
    )
    return xgrammar.GrammarCompiler(info, max_threads=1)


def bits(mask: Any) -> list[int]:
    import numpy as np

    return [int(i) for i in np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little")[: END + 1])]


MATCHERS: dict[str, Callable[[str], Any]] = {"guidance": Guidance, "xgrammar": Xgrammar}


def lets_through(decoding: Decoding, value: Any) -> bool:
    """Return whether the backend would write exactly this value."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if decoding.backend == "outlines":
        from outlines_core.json_schema import build_regex_from_schema

        return re.fullmatch(build_regex_from_schema(decoding.text()), text) is not None
    matcher = MATCHERS[decoding.backend](decoding.text())
    return all(matcher.step(byte) for byte in text.encode()) and matcher.finished()


def walk(decoding: Decoding, seed: int) -> str:
    """Return what a model without a mind of its own writes: allowed bytes by chance, inclined to come to an end."""
    matcher, chance, written = MATCHERS[decoding.backend](decoding.text()), random.Random(seed), bytearray()
    while len(written) < 30_000:
        allowed = matcher.allowed()
        bytes_allowed = [byte for byte in allowed if byte != END]
        if not bytes_allowed or (END in allowed and chance.random() < 0.5):
            return written.decode(errors="replace")  # xgrammar allows bytes that are no UTF-8
        ends = [byte for byte in bytes_allowed if byte in b'"]},']
        # Raw control characters are xgrammar's fault, told about in the table of backends; not what is tested here.
        plain = [byte for byte in bytes_allowed if byte >= 32 and byte not in b"\\\x7f"]
        pool = ends if ends and chance.random() < 0.3 else plain or bytes_allowed
        byte = chance.choice(pool)
        assert matcher.step(byte), f"the mask allows {byte} after {bytes(written[-40:])!r}, the matcher does not"
        written.append(byte)
    raise AssertionError(f"no end after {len(written)} bytes: {bytes(written[:200])!r}")


def record_of(part: Any, **top: Any) -> RecordSchema:
    """Return the schema of a record with one field ``v``; ``$defs`` stand at its top."""
    return RecordSchema({"type": "object", "properties": {"v": part}, "required": ["v"], **top})


@dataclass(frozen=True)
class Feature:
    """One keyword in use. ``never`` names backends that must not report it as enforced (they would be lying)."""

    keyword: str
    part: Any
    valid: tuple[Any, ...]
    invalid: tuple[Any, ...]
    defs: dict[str, Any] | None = None


def text(**more: Any) -> dict[str, Any]:
    return {"type": "string", **more}


def whole(**more: Any) -> dict[str, Any]:
    return {"type": "integer", **more}


def number(**more: Any) -> dict[str, Any]:
    return {"type": "number", **more}


def array(**more: Any) -> dict[str, Any]:
    return {"type": "array", **more}


def mapping(**more: Any) -> dict[str, Any]:
    return {"type": "object", **more}


A_B = {"a": {"type": "integer"}, "b": {"type": "string"}}
TREE = {"type": "object", "properties": {"name": text(maxLength=5), "children": array(items={"$ref": "#/$defs/tree"})},
        "required": ["name"]}  # fmt: skip
TAGGED = [{"type": "object", "properties": {"kind": {"const": kind}, key: {"type": "integer"}}, "required": ["kind", key]}
          for kind, key in (("circle", "radius"), ("square", "side"))]  # fmt: skip
FEATURES: dict[str, Feature] = {
    "minLength": Feature("minLength", text(minLength=3), ("abc", "añb"), ("ab", "")),
    "maxLength": Feature("maxLength", text(maxLength=3), ("abc", "äöü", "😀😀😀"), ("abcd", "😀😀😀😀")),
    "maxLength 200": Feature("maxLength", text(maxLength=200), ("a" * 200,), ("a" * 201,)),
    "both lengths": Feature("maxLength", text(minLength=2, maxLength=3), ("ab", "abc"), ("a", "abcd")),
    "lengths that clash": Feature("minLength", {"anyOf": [text(minLength=3, maxLength=2), whole()]}, (1,), ("ab",)),
    "pattern": Feature("pattern", text(pattern=r"^\d{3}-[A-Z]{2}$"), ("123-AB",), ("12-AB", "123-ABC")),
    "pattern unanchored": Feature("pattern", text(pattern="ab"), ("ab", "xaby"), ("ba", "")),
    "pattern half anchored": Feature("pattern", text(pattern="^ab"), ("abc",), ("cab",)),
    "pattern alternation": Feature("pattern", text(pattern="^cat$|^dog$"), ("cat", "dog"), ("cow", "catdog")),
    "pattern loose alternation": Feature("pattern", text(pattern="^a|b$"), ("ax", "xb"), ("x", "ba ")),
    "pattern classes": Feature("pattern", text(pattern=r"^\w+\s\D$"), ("ab x",), ("ab 1", "a-b x", "ä x")),
    "pattern optional": Feature("pattern", text(pattern=r"^a(\.[0-9]+)?z$"), ("az", "a.1z"), ("a1z", "a.z")),
    "pattern lazy": Feature("pattern", text(pattern="^a+?b*?$"), ("aab",), ("b",)),
    "pattern braces": Feature("pattern", text(pattern=r"^\{[^{}]*\}$"), ("{a}",), ("{a", "{{}}")),
    "pattern non-ASCII": Feature("pattern", text(pattern="^[ä-ü]+é$"), ("öé",), ("oé",)),
    "pattern long": Feature("pattern", text(pattern="^[a-z]{150,300}$"), ("a" * 150, "b" * 300), ("a" * 149, "a" * 301)),
    "pattern look-ahead": Feature("pattern", text(pattern="^(?=a)[a-z]+$"), ("abc",), ("bcd",)),
    "pattern back reference": Feature("pattern", text(pattern=r"^(a|b)\1$"), ("aa",), ("ab",)),
    "pattern and maxLength": Feature("maxLength", text(pattern="^[a-z]+$", maxLength=3), ("abc",), ("abcd",)),
    "pattern and minLength": Feature("minLength", text(pattern="^[a-z]*$", minLength=2), ("abc",), ("a",)),
    "pattern in parts and maxLength": Feature(
        "maxLength", text(pattern="^[a-z]+@[a-z]+$", maxLength=9), ("ab@cd",), ("abcdefgh@i",)
    ),
    "date": Feature("format", text(format="date"), ("2024-02-29", "1999-12-31"), ("2024-02-31", "2023-02-29", "24-01-01")),
    "time": Feature("format", text(format="time"), ("23:59:59Z", "07:00:00+01:00"), ("24:00:00Z", "10:00:00")),
    "date-time": Feature("format", text(format="date-time"), ("2024-02-29T10:00:00Z",), ("2023-02-29T10:00:00Z",)),
    "duration": Feature("format", text(format="duration"), ("P1D", "PT1H30M"), ("1D", "P", "PT1H1S")),
    "email": Feature("format", text(format="email"), ("a.b@c.example",), ("a", "@c.example")),
    "email and maxLength": Feature("maxLength", text(format="email", maxLength=12), ("a@b.de",), ("abcdefgh@ij.de",)),
    "uuid": Feature("format", text(format="uuid"), ("2c5ea4c0-4067-41e9-8bad-9b1deb4d3b7d",), ("2c5ea4c0",)),
    "ipv4": Feature("format", text(format="ipv4"), ("192.168.0.255",), ("192.168.0.256", "1.2.3")),
    "ipv6": Feature("format", text(format="ipv6"), ("2001:db8:0:0:0:0:0:1",), ("2001:db8", "g::1")),
    "uri": Feature("format", text(format="uri"), ("https://a.example/b?c=d",), ("a b", "//a")),
    "hostname": Feature("format", text(format="hostname"), ("www.a-b.example",), ("-a.example", "a b")),
    "json-pointer": Feature("format", text(format="json-pointer"), ("/a/b",), ("a",)),
    "format regex": Feature("format", text(format="regex"), ("a+",), ("(",)),
    "date and minLength": Feature("format", text(format="date", minLength=3), ("2024-02-29",), ("2024-02-31",)),
    "integer range": Feature("maximum", whole(minimum=-3, maximum=1000), (-3, 0, 1000), (-4, 1001)),
    "integer negative range": Feature("minimum", whole(minimum=-900, maximum=-100), (-900, -100), (-99, -901, 0)),
    "integer exclusive": Feature("exclusiveMaximum", whole(exclusiveMinimum=0, exclusiveMaximum=500), (1, 499), (0, 500)),
    "integer half a bound": Feature("minimum", whole(minimum=1.5), (2,), (1,)),
    "integer multipleOf": Feature("multipleOf", whole(minimum=-20, maximum=20, multipleOf=5), (-20, 0, 15), (3, 25)),
    "integer multipleOf wide": Feature("multipleOf", whole(minimum=0, multipleOf=7), (0, 7, 70007), (3, 70008)),
    "integer multipleOf below zero": Feature("multipleOf", whole(maximum=-7, multipleOf=7), (-7,), (-8,)),
    "integer 64 bits": Feature("minimum", whole(minimum=-(2**63), maximum=2**63 - 1), (0, -5, 2**53 - 1), (2**63,)),
    "number range": Feature("maximum", number(minimum=0.5, maximum=1.25), (0.5, 1, 1.25), (0.49, 1.26)),
    "number exclusive": Feature("exclusiveMinimum", number(exclusiveMinimum=0, maximum=10), (0.5, 10), (0, -1)),
    "number negative": Feature("maximum", number(minimum=-2.5, maximum=-1), (-2.5, -1.5), (-0.9, -2.6)),
    "number multipleOf": Feature("multipleOf", number(minimum=0, maximum=100, multipleOf=0.01), (0.01, 19.99), (0.015,)),
    "enum": Feature("enum", {"enum": ["red", 'a"b', "ü"]}, ("red", 'a"b', "ü"), ("blue", "re")),
    "enum mixed": Feature("enum", {"enum": ["a", 1, None, True, [1], {"k": 0.5}]}, ("a", 1, None, [1], {"k": 0.5}), (2, "b")),
    "enum narrowed": Feature("type", {"enum": ["a", 1, "bcd"], "type": "string"}, ("a", "bcd"), (1,)),
    "const": Feature("const", {"const": {"a": [1]}}, ({"a": [1]},), ({"a": [2]}, 1)),
    "boolean": Feature("type", {"type": "boolean"}, (True, False), (1, "true")),
    "null": Feature("type", {"type": "null"}, (None,), (0, "")),
    "types": Feature("type", {"type": ["integer", "null"]}, (3, None), ("3",)),
    "types with bounds": Feature("maxLength", {"type": ["string", "null"], "maxLength": 2}, ("ab", None), ("abc",)),
    "types with enum": Feature("enum", {"type": ["string", "null"], "enum": ["a", None]}, ("a", None), ("b",)),
    "items": Feature("items", array(items=whole()), ([1, 2], []), (["a"],)),
    "array length": Feature("maxItems", array(items=whole(), minItems=1, maxItems=2), ([1], [1, 2]), ([], [1, 2, 3])),
    "array of none": Feature("maxItems", array(maxItems=0), ([],), ([1],)),
    "prefixItems": Feature("prefixItems", array(prefixItems=[whole(), text()], items=False), ([1, "a"],), (["a", 1], [1, "a", 2])),
    "prefixItems and items": Feature("items", array(prefixItems=[whole()], items=text()), ([1, "a"],), ([1, 2],)),
    "uniqueItems": Feature("uniqueItems", array(items={"enum": ["a", "b"]}, uniqueItems=True), (["a", "b"],), (["a", "a"],)),
    "contains": Feature("contains", array(items=text(), contains={"const": "x"}), (["x", "y"],), (["y"], [])),
    "required": Feature("required", mapping(properties=A_B, required=["a"]), ({"a": 1}, {"a": 1, "b": ""}), ({"b": "x"}, {})),
    "required elsewhere": Feature("required", mapping(properties=A_B, required=["c"]), ({"c": "x"},), ({"a": 1},)),
    "closed": Feature("additionalProperties", mapping(properties=A_B, additionalProperties=False), ({"a": 1},), ({"z": 1},)),
    "map": Feature("additionalProperties", mapping(additionalProperties=whole()), ({"x": 1}, {}), ({"x": "1"},)),
    "map of few": Feature("maxProperties", mapping(additionalProperties=whole(), maxProperties=1), ({"x": 1},), ({"x": 1, "y": 2},)),
    "map of some": Feature("minProperties", mapping(additionalProperties=whole(), minProperties=1), ({"x": 1},), ({},)),
    "few of the named": Feature("maxProperties", mapping(properties=A_B, maxProperties=1), ({"a": 1}, {}), ({"a": 1, "b": "x"},)),
    "some of the named": Feature("minProperties", mapping(properties=A_B, minProperties=1), ({"b": "x"},), ({},)),
    "two of the named": Feature("minProperties", mapping(properties={**A_B, "c": whole()}, minProperties=2, maxProperties=2), ({"a": 1, "b": ""},), ({"a": 1}, {"a": 1, "b": "", "c": 1})),
    "more than the named": Feature("minProperties", mapping(properties={"a": whole()}, minProperties=2), ({"a": 1, "k": 2},), ({"a": 1},)),
    "patternProperties": Feature(
        "patternProperties", mapping(patternProperties={"^n_": whole(), "^s_": text()}, additionalProperties=False),
        ({"n_a": 1}, {}), ({"n_a": "x"}, {"z": 1}),
    ),
    "patternProperties on a name": Feature(
        "patternProperties", mapping(properties={"n_a": True}, patternProperties={"^n_": whole()}), ({"n_a": 1},), ({"n_a": "x"},)
    ),
    "propertyNames": Feature("propertyNames", mapping(propertyNames={"pattern": "^[a-c]+$"}), ({"ab": 1},), ({"xy": 1},)),
    "propertyNames length": Feature("propertyNames", mapping(propertyNames={"minLength": 2, "maxLength": 3}), ({"ab": 1},), ({"a": 1}, {"abcd": 1})),
    "propertyNames enum": Feature("propertyNames", mapping(propertyNames={"enum": ["a", "b"]}), ({"a": 1},), ({"c": 1},)),
    "anyOf": Feature("anyOf", {"anyOf": [text(maxLength=2), whole()]}, ("ab", 3), ("abc", True)),
    "anyOf beside properties": Feature(
        "anyOf", mapping(properties=A_B, anyOf=[{"required": ["a"]}, {"required": ["b"]}]), ({"a": 1}, {"b": "x"}), ({},)
    ),
    "oneOf of types": Feature("oneOf", {"oneOf": [text(maxLength=2), {"type": "null"}]}, ("ab", None), ("abc", 1)),
    "oneOf tagged": Feature("oneOf", {"oneOf": TAGGED}, ({"kind": "circle", "radius": 1},), ({"kind": "circle", "side": 1},)),
    "oneOf overlapping": Feature("oneOf", {"oneOf": [whole(minimum=0, maximum=9), whole(minimum=5, maximum=20)]}, (3, 15), (7,)),
    "allOf": Feature("allOf", {"allOf": [text(minLength=2), {"maxLength": 3}]}, ("ab",), ("a", "abcd")),
    "allOf of objects": Feature("allOf", {"allOf": [mapping(properties={"a": whole()}, required=["a"]), mapping(properties={"b": text()}, required=["b"])]}, ({"a": 1, "b": ""},), ({"a": 1},)),
    "allOf closed": Feature("allOf", {"allOf": [mapping(properties={"a": whole()}, additionalProperties=False), {"properties": {"b": text()}}]}, ({"a": 1},), ({"a": 1, "b": "x"},)),
    "not of presence": Feature("not", mapping(properties=A_B, **{"not": {"required": ["a", "b"]}}), ({"a": 1}, {"b": ""}), ({"a": 1, "b": ""},)),
    "not of values": Feature("not", {"enum": ["a", "b"], "not": {"const": "b"}}, ("a",), ("b",)),
    "not of a type": Feature("not", {"type": ["string", "integer"], "not": {"type": "string"}}, (1,), ("a",)),
    "if": Feature(
        "if", {**mapping(properties={"k": {"enum": ["x", "y"]}, "n": whole()}, required=["k"]),
               "if": {"properties": {"k": {"const": "x"}}}, "then": {"required": ["n"]}},
        ({"k": "x", "n": 1}, {"k": "y"}), ({"k": "x"},),
    ),
    "if of a range": Feature(
        "if", {**mapping(properties={"n": whole(), "s": text()}, required=["n"]),
               "if": {"properties": {"n": {"minimum": 5}}}, "then": {"required": ["s"]}},
        ({"n": 9, "s": ""}, {"n": 1}), ({"n": 9},),
    ),
    "dependentRequired": Feature("dependentRequired", mapping(properties=A_B, dependentRequired={"a": ["b"]}), ({"b": ""}, {}, {"a": 1, "b": ""}), ({"a": 1},)),
    "dependentSchemas": Feature("dependentSchemas", mapping(properties=A_B, dependentSchemas={"a": {"required": ["b"]}}), ({"b": ""}, {"a": 1, "b": ""}), ({"a": 1},)),
    "unevaluatedProperties": Feature("unevaluatedProperties", {**mapping(unevaluatedProperties=False), "allOf": [{"properties": A_B}]}, ({"a": 1},), ({"z": 1},)),
    "$ref": Feature("$ref", {"$ref": "#/$defs/small"}, (3,), (99,), {"small": whole(minimum=0, maximum=9)}),
    "$ref with siblings": Feature("minimum", {"$ref": "#/$defs/small", "minimum": 5}, (7,), (3,), {"small": whole(minimum=0, maximum=9)}),
    "$ref to a $ref": Feature("$ref", {"$ref": "#/$defs/a"}, ("x",), (1,), {"a": {"$ref": "#/$defs/b"}, "b": text(maxLength=3)}),
    "recursion": Feature("$ref", {"$ref": "#/$defs/tree"}, ({"name": "a", "children": [{"name": "b"}]},), ({"name": "a", "children": [{}]},), {"tree": TREE}),
    "no type": Feature("minimum", {"minimum": 5}, (7,), (3,)),
    "no type, properties": Feature("properties", {"properties": A_B}, ({"a": 1},), ({"a": "x"},)),
    "false property": Feature("properties", mapping(properties={"a": whole(), "b": False}), ({"a": 1},), ({"a": 1, "b": 2},)),
}  # fmt: skip
NOT_ENFORCED: dict[str, set[str]] = {
    "guidance": {"pattern look-ahead", "pattern back reference", "format regex", "uniqueItems", "oneOf overlapping"}
    | {"not of a type", "if of a range", "integer multipleOf below zero"},
    "xgrammar": {"integer multipleOf wide", "number multipleOf"},
    "outlines": {
        "integer multipleOf wide",
        "number multipleOf",
        "integer half a bound",
        "integer 64 bits",
        "number range",
    }
    | {"integer range", "integer negative range", "integer exclusive", "number exclusive", "number negative"}
    | {"map of few", "propertyNames", "propertyNames length", "no type"}
    | {"map of some"},
}
"""By backend, the features that it cannot enforce; guidance's are everybody's."""
NARROWER = {("patternProperties", "outlines"), ("prefixItems and items", "outlines"), ("contains", "outlines")}
NARROWER |= {("some of the named", "outlines")}
"""Features of which a backend writes only a part: what it cannot follow it never writes."""
BACKENDS: tuple[Backend, ...] = ("guidance", "xgrammar", "outlines")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_is_enforced_where_the_finding_says_so(name: str, backend: Backend) -> None:
    feature = FEATURES[name]
    schema = record_of(feature.part, **({"$defs": feature.defs} if feature.defs else {}))
    if (name, backend) == ("more than the named", "outlines"):
        with pytest.raises(SchemaError, match="more properties are asked for"):
            constrain(schema, max_tokens=400, backend=backend)
        return
    decoding = constrain(schema, max_tokens=400, backend=backend)
    for value in feature.valid:
        assert not schema.problems({"v": value}), value
    for value in feature.invalid:
        assert schema.problems({"v": value}), value
    statuses = {f.status for f in decoding.findings if f.keyword == feature.keyword}
    assert statuses, f"nothing is said about {feature.keyword}"
    unable = NOT_ENFORCED["guidance"] | NOT_ENFORCED[backend]
    assert (statuses == {"enforced"}) == (name not in unable), decoding.findings
    refused = [value for value in feature.valid if not lets_through(decoding, {"v": value})]
    assert not refused or (name, backend) in NARROWER, (refused, decoding.document)
    if name not in unable:
        passed = [value for value in feature.invalid if lets_through(decoding, {"v": value})]
        assert not passed, (passed, decoding.document)
