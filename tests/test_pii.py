"""The detector of personal data: what is found, at which level, where exactly, and never slowly. All values are test numbers."""

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textsynth.pii import TYPES, Detector, Finding
from textsynth.pii.detector import RULES
from textsynth.pii.folding import fold

FOUND = [
    ("write to someone@example.com now", "EMAIL_ADDRESS", "someone@example.com", "valid"),
    ("call +44 7700 900123 today", "PHONE_NUMBER", "+44 7700 900123", "shaped"),
    ("my phone is 555 0123 456", "PHONE_NUMBER", "555 0123 456", "context"),
    ("(212) 555-0123", "PHONE_NUMBER", "(212) 555-0123", None),
    ("sure, 432 564 8894", "PHONE_NUMBER", "432 564 8894", "shaped"),
    ("pay with 4111 1111 1111 1111", "CREDIT_CARD", "4111 1111 1111 1111", "valid"),
    ("Mastercard 2223 0031 2200 3222", "CREDIT_CARD", "2223 0031 2200 3222", "valid"),
    ("amex 3782 822463 10005", "CREDIT_CARD", "3782 822463 10005", "valid"),
    ("JCB 3530111333300000", "CREDIT_CARD", "3530111333300000", "valid"),
    ("my card is 4716 9876 2234 1561", "CREDIT_CARD", "4716 9876 2234 1561", "shaped"),
    ("IBAN GB33BUKB20201555555555", "IBAN_CODE", "GB33BUKB20201555555555", "valid"),
    ("DE75 5121 0800 1245 1261 99 please", "IBAN_CODE", "DE75 5121 0800 1245 1261 99", "valid"),
    ("IBAN DE75 5121 0800 1245 1261 98", "IBAN_CODE", "DE75 5121 0800 1245 1261 98", "shaped"),
    ("my SSN is 078-05-1120", "US_SSN", "078-05-1120", None),
    ("routing number 021000021", "US_ROUTING_NUMBER", "021000021", "valid"),
    ("national insurance QQ 12 34 56 C", "UK_NINO", "QQ 12 34 56 C", None),
    ("CPF 111.444.777-35", "BR_CPF", "111.444.777-35", "valid"),
    ("codice fiscale RSSMRA85T10A562S", "IT_FISCAL_CODE", "RSSMRA85T10A562S", "valid"),
    ("NIF 12345678Z", "ES_NIF", "12345678Z", "valid"),
    ("PAN number ABCPE1234F", "IN_PAN", "ABCPE1234F", None),
    ("ssh to 203.0.113.9 please", "IP_ADDRESS", "203.0.113.9", "valid"),
    ("2001:db8::8a2e:370:7334 answers", "IP_ADDRESS", "2001:db8::8a2e:370:7334", "valid"),
    ("MAC 00:00:5E:00:53:AF", "MAC_ADDRESS", "00:00:5E:00:53:AF", "valid"),
    ("see https://user:secret@example.com/x", "URL_CREDENTIALS", None, None),
    ("password: hunter2xyz!", "SECRET", None, None),
    ("wallet 1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "CRYPTO", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "valid"),
    ("I was born on 12 May 1980", "DATE_OF_BIRTH", "12 May 1980", "context"),
    ("passport number X1234567", "PASSPORT", "X1234567", "context"),
    ("I live at 12 Sample Street, Leeds", "ADDRESS", None, "context"),
    ("passport no. C01X00T47", "PASSPORT", "C01X00T47", "context"),
    ("SSN 987-65-4320", "US_SSN", "987-65-4320", "shaped"),
    ("name:Ada Lovelace", "PERSON", "Ada Lovelace", "context"),
    ("FPO, AE 09123", "ADDRESS", None, None),
    ("5 Old Mill Room 12", "ADDRESS", None, None),
    ("5 Old Mill Floor 3", "ADDRESS", None, None),
    ("parque Norte 12", "ADDRESS", None, None),
    ("p\u0142k. D\u0105bka 12", "ADDRESS", None, None),
    ("my pa\u017fsport X1234567", "PASSPORT", "X1234567", "context"),
    ("CHAUSS\u00c9E DE WAVRE 12", "ADDRESS", None, None),
    ("my name is ada lovelace", "PERSON", "ada lovelace", "context"),
]
CLEAN = [
    "order 4111111111111112 has shipped",
    "the ISBN is 978-3-16-148410-0",
    "version 10.0.19045.3803 of the build",
    "id 550e8400-e29b-41d4-a716-446655440000",
    "2024-02-14T14:34:56Z value 1713566760 was seen",
    "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "it was on 12 May 1980 that the bank opened",
    "invoice 2024-000123 over 1,250.00 dollars",
    "1 year special cinema pass for 2 is yours",
    "My name is XXXX XXXX and my phone is XXXX",
    "we met at 10:30 and left at 12:45",
    "in the 2000 000 000 case",
    "the pressure is 1013.25 hPa, tracking 7234567890",
    "",
]


def find(text, **options):
    return Detector(**options).find([text])[0]


@pytest.mark.parametrize(("text", "kind", "value", "level"), FOUND)
def test_what_is_personal_is_found_where_it_stands(text, kind, value, level):
    found = {f.type: f for f in find(text)}
    assert kind in found, found
    finding = found[kind]
    if value is not None:
        assert text[finding.start : finding.end] == value
    assert level is None or finding.level == level
    assert 0 < finding.score <= 1


@pytest.mark.parametrize("text", CLEAN)
def test_what_is_not_personal_is_left_alone(text):
    assert find(text) == []


def test_look_alikes_hide_nothing_and_offsets_are_those_of_the_text():
    for text, value in [
        ("ünïcode: someone@example.com", "someone@example.com"),
        ("card ４１１１ １１１１ １１１１ １１１１ ok", "４１１１ １１１１ １１１１ １１１１"),
        ("card 4111\u200b1111\u200b1111\u200b1111 ok", "4111\u200b1111\u200b1111\u200b1111"),
        ("card 4111\u00a01111\u00a01111\u00a01111 ok", "4111\u00a01111\u00a01111\u00a01111"),
        ("SSN 078–05–1120 ok", "078–05–1120"),
    ]:
        (finding,) = find(text)
        assert text[finding.start : finding.end] == value


def test_findings_never_overlap_and_are_sorted():
    text = "mail a.b@example.com, card 4111 1111 1111 1111, IBAN GB33BUKB20201555555555, my phone is +44 7700 900123."
    found = find(text)
    assert len(found) == 4 and all(one.end <= two.start for one, two in pairwise(found))


def test_only_the_types_asked_for_are_looked_for():
    text = "someone@example.com 203.0.113.9"
    assert [f.type for f in find(text, types=["IP_ADDRESS"])] == ["IP_ADDRESS"]
    with pytest.raises(ValueError, match="unknown type 'EMAIL'"):
        Detector(["EMAIL"])
    assert {kind for rule in RULES for kind in rule.types} <= set(TYPES)


class Fixed:
    """A finder of names that finds what it was told."""

    def __init__(self, *findings):
        self.findings = list(findings)

    def find(self, texts):
        return [self.findings for _ in texts]


def test_names_are_added_where_no_pattern_stands():
    text = "Anna someone@example.com said"
    names = Fixed(Finding("PERSON", 0, 24, 0.85, "model"), Finding("LOCATION", 25, 29, 0.85, "model"))
    found = find(text, names=names)
    assert [(f.type, text[f.start : f.end]) for f in found] == [
        ("PERSON", "Anna"),
        ("EMAIL_ADDRESS", "someone@example.com"),
        ("LOCATION", "said"),
    ]


def missed_by_the_gate(text):
    detector = Detector()
    read = fold(text).text
    open_rules = {id(detector._rules[index]) for index in detector._gate(read)}
    return [
        rule.types
        for rule in detector._rules
        if id(rule) not in open_rules and any(rule.judge(match) for match in rule.pattern.finditer(read))
    ]


@pytest.mark.parametrize("text", [case[0] for case in FOUND] + CLEAN)
def test_the_gate_lets_through_all_that_the_rules_find(text):
    assert missed_by_the_gate(text) == []
    assert missed_by_the_gate(text.upper()) == []


PIECES = [
    "4111",
    "1111",
    " ",
    "-",
    ".",
    "@example.com",
    "a.b",
    "+44",
    "7700",
    "900123",
    "GB33BUKB",
    "20201555",
    "my SSN is ",
    "078-05-1120",
]
PIECES += [
    "Street",
    "12 ",
    "Main ",
    "phone ",
    "\n",
    "é",
    "１",
    "\u200b",
    "born on ",
    "1980-05-12",
    "http://",
    "u:p@",
    "key=",
    "x" * 20,
    "#",
    "(",
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=12).map("".join))
def test_any_text_is_read_without_failing_and_spans_lie_inside(text):
    found = find(text)
    assert all(0 <= f.start < f.end <= len(text) for f in found)
    assert all(one.end <= two.start for one, two in pairwise(found))
    assert missed_by_the_gate(text) == []


HOSTILE = [
    "1-",
    "a@",
    "a.",
    "http://",
    "(",
    "1",
    " ",
    "QUJD",
    "street ",
    "1 a ",
    "box 1 ",
    "é1 ",
    "+1",
    "1 ",
    "a",
    "name is ",
    "1.",
    ":",
    "0:",
    "x",
    "12 Ab ",
    "\ud800",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_megabyte_of_anything_is_read_in_a_second(piece):
    text = piece * (1_000_000 // len(piece))
    find("warm")
    began = time.process_time()
    find(text)
    assert time.process_time() - began < 1.5  # a shared machine is given half a second more
