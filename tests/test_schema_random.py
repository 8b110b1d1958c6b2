"""Random schemas: the check agrees with another implementation, and decoding never breaks what it says it enforces."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_schema_matchers import walk

from textsynth.errors import SchemaError
from textsynth.schema import Backend, RecordSchema, constrain

NAMES = st.sampled_from(["a", "b", "n_c"])
SMALL = st.integers(0, 4)
PATTERNS = st.sampled_from(["^a", "b$", "^[ab]{2,3}$", "a|b", "^(a|bc)+$", r"^\d+(\.\d)?$", "", "^a(?=b)", "^n_"])
FORMATS = st.sampled_from(["date", "ipv4", "uuid"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 12),
    st.sampled_from([0.5, 2.5, -1.5]),
    st.sampled_from(["", "a", "ab", "abc", "bb", "n_c", "7.1", "2024-02-29", "2023-02-29", "1.2.3.4"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=6,
)


def some(**keywords: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return schemas with any of these keywords."""
    return st.fixed_dictionaries({}, optional=keywords)


def typed(kind: str, keywords: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return keywords.map(lambda made: {"type": kind, **made})


LEAVES = st.one_of(
    typed("string", some(minLength=SMALL, maxLength=SMALL, pattern=PATTERNS, format=FORMATS)),
    typed("integer", some(minimum=SMALL, maximum=st.integers(-2, 400), multipleOf=st.integers(1, 3))),
    typed("number", some(minimum=SMALL, exclusiveMaximum=st.integers(0, 9), multipleOf=st.sampled_from([0.5, 1]))),
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {}, True, False, {"$ref": "#/$defs/node"}]),
    st.lists(SCALARS, min_size=1, max_size=3, unique_by=repr).map(lambda values: {"enum": values}),
    some(minimum=SMALL, maxLength=SMALL, type=st.sampled_from([["string", "null"], ["integer", "string"], "number"])),
)


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    branches = st.lists(inner, min_size=1, max_size=3)
    mappings = st.dictionaries(NAMES, inner, max_size=3)
    objects = some(
        properties=mappings,
        required=st.lists(NAMES, unique=True, max_size=2),
        additionalProperties=inner,
        patternProperties=st.dictionaries(PATTERNS, inner, max_size=2),
        propertyNames=st.one_of(some(pattern=PATTERNS, maxLength=SMALL), st.just({"enum": ["a", "b"]})),
        minProperties=SMALL,
        maxProperties=SMALL,
        dependentRequired=st.dictionaries(NAMES, st.lists(NAMES, unique=True, max_size=2), max_size=1),
        dependentSchemas=st.dictionaries(NAMES, inner, max_size=1),
        unevaluatedProperties=st.just(False),
    )
    arrays = some(
        items=inner,
        prefixItems=branches,
        minItems=st.integers(0, 2),
        maxItems=SMALL,
        uniqueItems=st.booleans(),
        contains=inner,
        minContains=st.integers(0, 2),
    )
    combined = some(allOf=branches, anyOf=branches, oneOf=branches, **{"not": inner, "if": inner, "then": inner})
    return st.one_of(
        typed("object", objects),
        typed("array", arrays),
        combined,
        st.tuples(typed("object", objects), combined).map(lambda both: {**both[0], **both[1]}),
        st.tuples(LEAVES, combined).map(lambda both: {**both[1], **(both[0] if isinstance(both[0], dict) else {})}),
    )


PARTS = st.recursive(LEAVES, nested, max_leaves=8)
SCHEMAS = st.fixed_dictionaries({"properties": st.dictionaries(NAMES, PARTS, min_size=1, max_size=3)}).flatmap(
    lambda top: st.tuples(PARTS, st.lists(NAMES, unique=True), st.one_of(st.just({}), nested(LEAVES))).map(
        lambda more: {**more[2], "type": "object", **top, "required": more[1], "$defs": {"node": more[0]}}
    )
)
PATIENT = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@PATIENT
@given(SCHEMAS, VALUES, st.dictionaries(NAMES, VALUES, max_size=3))
def test_the_check_agrees_with_the_jsonschema_package(document: dict[str, Any], value: Any, record: Any) -> None:
    schema = RecordSchema(document)
    other = jsonschema.Draft202012Validator(document, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    for instance in (value, record):
        try:
            expected = other.is_valid(instance)
        except RecursionError:  # a $ref to itself; ours ends
            schema.problems(instance)
            continue
        problems = schema.problems(instance)
        assert (not problems) == expected, problems


@pytest.mark.parametrize("backend", ["guidance", "xgrammar"])
@PATIENT
@given(SCHEMAS, st.integers(0, 1000))
def test_what_is_decoded_is_valid_but_for_what_is_only_checked(
    backend: Backend, document: dict[str, Any], seed: int
) -> None:
    schema = RecordSchema(document)
    try:
        decoding = constrain(schema, max_tokens=60, backend=backend)
    except SchemaError:
        return
    jsonschema_rs.meta.validate(decoding.document)
    record = json.loads(walk(decoding, seed))
    problems = schema.problems(record)
    unenforced = {finding.keyword for finding in decoding.findings if finding.status != "enforced"}
    assert not problems or unenforced, (problems, record, decoding.document)


@PATIENT
@given(SCHEMAS, st.lists(NAMES, unique=True))
def test_every_field_can_be_left_out_and_asked_for_alone(document: dict[str, Any], omit: list[str]) -> None:
    schema = RecordSchema(document)
    try:
        decoding = constrain(schema, max_tokens=60, omit=omit)
    except SchemaError:
        return
    record = json.loads(walk(decoding, 0))
    assert not set(record) & set(omit)
    jsonschema_rs.meta.validate(decoding.document)
