import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textsynth.text import (
    canonical,
    check_threshold,
    count_words,
    fingerprint,
    fold,
    join_text,
    require_fields,
    strings,
    word_bytes,
    words,
)

any_text = st.text(st.characters(), max_size=30)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)


def same(one, other):
    return fingerprint(one) == fingerprint(other)


def test_strings_are_found_at_any_depth_in_document_order():
    record = {"a": "one", "b": [{"c": "two", "d": 3}, ["three"]], "e": None, "f": ("four",)}
    assert list(strings(record)) == ["one", "two", "three", "four"]


def test_joined_text_follows_the_fields_asked_for_and_skips_absent_ones():
    record = {"title": "Hello", "turns": [{"text": "Hi"}, {"text": "Bye"}], "label": "x"}
    assert join_text(record, ("turns", "title", "gone")) == "Hi\nBye\nHello"
    assert join_text({}, ("title",)) == ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Where is my card?", "  where IS\tmy\n card? "),
        ("Straße", "STRASSE"),
        ("ﬁne Ｗｉｄｅ", "fine wide"),
        ("café", "cafe\u0301"),
        ("a\u00a0b", "a b"),
        (1.0, 1),
        ({"a": 1, "b": [2.0]}, {"b": [2], "a": 1.0}),
        ({"a": {"x": "Yes", "y": 0}}, {"a": {"y": -0.0, "x": "yes"}}),
    ],
)
def test_equal_but_for_case_space_form_and_number_format(one, other):
    assert same(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Where is my card?", "Where is my card"),
        ([1, 2], [2, 1]),
        (1, True),
        (0, None),
        (1, "1"),
        (1.5, 1),
        ("ab c", "a bc"),
        (["a", "b"], ["a\nb"]),
        (["a", ["b"]], [["a"], "b"]),
        ({"a": "b"}, {"b": "a"}),
        ({"a": None}, {}),
    ],
)
def test_what_stays_different(one, other):
    assert not same(one, other)


def test_numbers_beyond_every_float_and_odd_strings_have_a_fingerprint():
    values = [10**400, -(10**400), 1e300, float("inf"), float("nan"), "\ud800", {"\udfff": 1}, "", [], {}]
    assert len({fingerprint(value) for value in values}) == len(values)


@given(any_text)
def test_folding_twice_changes_nothing(text):
    assert fold(fold(text)) == fold(text)


@given(json_values)
@settings(max_examples=200)
def test_the_canonical_form_of_a_canonical_form_is_itself(value):
    once = canonical(value)
    assert fingerprint(once) == fingerprint(value)
    assert repr(canonical(once)) == repr(once)


@given(any_text)
def test_reading_the_words_of_words_changes_nothing(text):
    assert words(" ".join(words(text))) == words(text)
    assert count_words(text) == len(words(text))


@given(st.text(st.characters(max_codepoint=127), max_size=60))
def test_words_of_ascii_are_what_the_regular_expression_finds(text):
    assert words(text) == re.findall(r"\w+", text.lower())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I can’t — it’s “broken”…", ["i", "can", "t", "it", "s", "broken"]),
        ("Ünïcode Straße 42", ["ünïcode", "strasse", "42"]),
        ("我想退款。", ["我", "想", "退", "款"]),
        ("カード is 新しい", ["カ", "ー", "ド", "is", "新", "し", "い"]),
        ("카드가 안 왔어요", ["카드가", "안", "왔어요"]),
        ("मेरा कार्ड कहाँ है।", ["मेरा", "कार्ड", "कहाँ", "है"]),
        ("أين بطاقتي؟", ["أين", "بطاقتي"]),
        ("snake_case, e-mail", ["snake_case", "e", "mail"]),
        ("👍 … !!", []),
        ("\ud800 lone", ["lone"]),
        ("", []),
    ],
)
def test_words_of_many_scripts(text, expected):
    assert words(text) == expected


def test_word_bytes_never_hold_anything_but_words_and_spaces():
    assert word_bytes("A\tb\n(c) d·e").split() == [b"a", b"b", b"c", b"d", b"e"]
    assert set(word_bytes("A\tb\n\x00c\x7f")) == set(b"a b c")


def test_an_unknown_field_is_named_with_the_nearest():
    require_fields(None, {"body"})
    require_fields(("body",), {"body"})
    with pytest.raises(ValueError, match=r"fields: unknown name 'bdy' \(did you mean body\?\); known: body, title"):
        require_fields(("body", "bdy"), {"body": {}, "title": {}})
    with pytest.raises(ValueError, match="at least one field, got none"):
        require_fields((), {"body"})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (85, r"threshold must be between 0 and 1, got 85 \(did you mean 0\.85\?\)"),
        (0, "threshold must be between 0 and 1, got 0"),
        (-0.5, "threshold must be between 0 and 1, got -0.5"),
        (float("nan"), "threshold must be between 0 and 1, got nan"),
    ],
)
def test_a_threshold_out_of_range_says_what_was_meant(value, message):
    with pytest.raises(ValueError, match=message):
        check_threshold(value)
    check_threshold(1)


def test_the_text_of_a_dialogue_is_what_is_said():
    call = {"id": "call_0", "type": "function", "function": {"name": "look_up", "arguments": {"city": "Oslo"}}}
    said = [{"role": "user", "content": "Hi there"}, {"role": "assistant", "content": "", "tool_calls": [call]}]
    record = {
        "messages": [*said, {"role": "tool", "name": "look_up", "content": '{"rain": true}'}],
        "note": {"a": ["b"]},
    }
    assert join_text(record, ["messages", "note"]) == 'Hi there\n\n{"rain": true}\nb'
