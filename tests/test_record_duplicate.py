import copy
import json
import random
import subprocess
import sys
import time

import pytest

from textsynth import registry
from textsynth.errors import RecipeError
from textsynth.filters import Setting
from textsynth.filters.record_duplicate._comparators import guess, level, read
from textsynth.records import Candidate, Draw
from textsynth.schema import RecordSchema

pytest.importorskip("rapidfuzz")

PERSON = {
    "type": "object",
    "properties": {
        "given_name": {"type": "string"},
        "surname": {"type": "string"},
        "street": {"type": "string"},
        "city": {"type": "string"},
        "postcode": {"type": "string"},
        "date_of_birth": {"type": "string", "format": "date"},
        "customer_id": {"type": "string"},
    },
}
ANNA = {
    "given_name": "Annabelle",
    "surname": "Fitzgerald",
    "street": "12 Harbour View Road",
    "city": "Limerick",
    "postcode": "V94 X5K1",
    "date_of_birth": "1987-03-11",
    "customer_id": "48213377",
}
GIVEN = "Oskar Maria Ines Jonas Petra Kofi Amara Louis Chiara Tomas Freya Anil Yusuf Greta Pavel Noor Sven Lena".split()
SURNAMES = "Berger Okafor Lindqvist Moreau Rossi Novak Haddad Keller Santos Iyer Murphy Jansen Weber Dubois Kim".split()
STREETS = "Mill Lane,Church Street,Station Road,Park Avenue,Elm Grove,Bridge Street,King's Way,Oak Drive".split(",")


def make(document=PERSON, **options):
    cls = registry.load("filters", "record_duplicate", place="filters[0]")
    made = registry.build(cls, options, place="filters[0].record_duplicate")
    made.prepare(Setting(RecordSchema(document), [], ()))
    return made


def batch(records, start=0):
    return [Candidate(Draw(start + i, 0, {}, (), 0), record) for i, record in enumerate(records)]


def keep(made, records, start=0):
    made.keep(batch(records, start))


def judge(made, record):
    (answer,) = made.check(batch([record], 9000))
    return answer


def person(rng):
    surname = rng.choice(SURNAMES) + rng.choice(["", "", "son", "-Hale", "sen"])
    return {
        "given_name": rng.choice(GIVEN),
        "surname": surname,
        "street": f"{rng.randint(1, 200)} {rng.choice(STREETS)}",
        "city": rng.choice(["Cork", "Galway", "Sligo", "Athlone", "Ennis"]),
        "postcode": f"{rng.choice('ABCDHKT')}{rng.randint(10, 99)} {rng.randint(1000, 9999)}",
        "date_of_birth": f"{rng.randint(1940, 2005)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
        "customer_id": str(rng.randint(10**7, 10**8 - 1)),
    }


def misspelt(rng, record):
    """The same person with errors in three fields and one value missing."""
    record = dict(record)
    for name in rng.sample(sorted(record), 3):
        text, place = record[name], rng.randrange(1, len(record[name]))
        record[name] = text[:place] + rng.choice("aeiou7") + text[place + rng.randint(0, 1) :]
    del record[rng.choice(sorted(record))]
    return record


@pytest.fixture
def crowd():
    rng = random.Random(3)
    return [person(rng) for _ in range(300)]


@pytest.fixture
def made(crowd):
    found = make()
    keep(found, [*crowd, ANNA])
    return found


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"given_name": "Anabelle", "street": "12 Harbor View Rd"},
        {"given_name": "FITZGERALD", "surname": "annabelle"},
        {"given_name": "Fitzgerald", "surname": "Anabelle", "street": ""},
        {"date_of_birth": "1987-11-03", "surname": "Fitzgerold"},
        {"date_of_birth": "11.03.1987", "postcode": "V94X5K1"},
        {"customer_id": "48213737", "street": None, "city": None},
        {"given_name": None, "street": "Harbour View Road 12", "city": "Limrick"},
        {"street": "4 Elsewhere Close", "city": "Cork", "postcode": "T12 AB34"},
    ],
)
def test_the_same_person_is_found_despite(made, change):
    found = judge(made, ANNA | change)
    assert found is not None and found.culprit == "300" and found.score >= 10


@pytest.mark.parametrize(
    "other",
    [
        {"given_name": "Annabelle", "surname": "Murphy", "date_of_birth": "1971-05-30", "customer_id": "11992288"},
        {"given_name": "Annabelle"},
        {"city": "Limerick", "street": "12 Harbour View Road", "postcode": "V94 X5K1"},
        ANNA | {"given_name": "Patrick", "date_of_birth": "1955-08-27", "customer_id": "70719425"},
        {},
    ],
)
def test_another_person_is_not(made, other):
    assert judge(made, other) is None


def test_the_verdict_names_culprit_score_and_fields(made):
    found = judge(made, ANNA | {"surname": "Fitzgeralt", "city": "Sligo", "postcode": None})
    assert found.detail.startswith(f"same as draw 300 by {found.score:.1f} bits (threshold 10): ")
    assert found.detail.endswith("agree: given_name, street, date_of_birth, customer_id; close: surname; differ: city")
    swapped = judge(made, ANNA | {"given_name": "Fitzgerald", "surname": "Annabelle"})
    assert ": given_name and surname swapped; agree: street" in swapped.detail


def test_planted_repetitions_are_found_and_nothing_else(crowd):
    rng = random.Random(4)
    copies = [misspelt(rng, record) for record in crowd]
    made = make()
    keep(made, crowd)
    found = [made.check(batch([copy], 1000))[0] for copy in copies]
    assert sum(answer is not None and answer.culprit == str(i) for i, answer in enumerate(found)) >= 294
    assert not any(make().check(batch(crowd)))
    strangers = [person(rng) for _ in range(300)]
    assert sum(answer is not None for answer in made.check(batch(strangers, 2000))) == 0


def test_a_rare_value_weighs_more_than_a_common_one():
    made = make(fields={"given_name": "name", "surname": "name"}, threshold=0)
    keep(made, [{"given_name": "Maria", "surname": f"Silva{i:03}"} for i in range(400)])
    keep(made, [{"given_name": "Xanthippe", "surname": "Quill"}], start=400)
    one, other = made._read({"given_name": "Maria"}).values, made._read({"given_name": "Xanthippe"}).values
    assert made.compare(one, one).bits < made.compare(other, other).bits - 4


def test_m_and_u_can_be_given():
    fields = {"surname": {"kind": "name", "m": 0.5, "u": 0.125}, "customer_id": "code"}
    made = make(fields=fields)
    assert made.compare(["kim", ""], ["kim", ""]).bits == pytest.approx(2)


def test_a_window_blames_only_what_it_lets_through():
    made = make()
    found = made.check(batch([ANNA, ANNA | {"city": "Limerik"}, ANNA | {"given_name": "Anabelle"}], 40))
    assert [answer and answer.culprit for answer in found] == [None, "40", "40"]


def test_of_equals_the_first_is_blamed():
    made = make()
    keep(made, [ANNA, ANNA, ANNA], start=7)
    assert judge(made, ANNA).culprit == "7"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": -1}, "threshold must be between 0 and 200 bits, got -1"),
        ({"fields": {}}, "fields must name at least one field"),
        ({"fields": {"surname": "nam"}}, "'name'"),
        ({"fields": {"surname": {"kind": "name", "m": 2}}}, "m must be above 0 and below 1, got 2"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(RecipeError, match=message):
        make(**options)


def test_unknown_fields_are_refused():
    with pytest.raises(ValueError, match="did you mean surname"):
        make(fields={"surnam": "name"})


@pytest.mark.parametrize(
    ("name", "part", "choices", "kind"),
    [
        ("given_name", {"type": "string"}, False, "name"),
        ("lastName", {"type": "string"}, False, "name"),
        ("opened", {"type": "string", "format": "date"}, False, "date"),
        ("dob", {"type": ["string", "null"]}, False, "date"),
        ("zip_code", {"type": "string"}, False, "address"),
        ("street_number", {"type": "string"}, False, "address"),
        ("email", {"type": "string", "format": "email"}, False, "code"),
        ("soc_sec_id", {"type": "string"}, False, "code"),
        ("price", {"type": "number"}, False, "number"),
        ("colour", {"enum": ["red"]}, True, "category"),
        ("remark", {"type": "string"}, False, "text"),
        ("lines", {"type": "array"}, False, None),
    ],
)
def test_kinds_are_guessed_from_name_and_schema(name, part, choices, kind):
    assert guess(name, part, choices=choices) == kind


@pytest.mark.parametrize(
    ("kind", "one", "other", "expected"),
    [
        ("name", "O'Brien", "o brien", "agree"),
        ("name", "Jonathan", "Jonathon", "close"),
        ("name", "Maria", "Peter", "differ"),
        ("date", "1987-03-11", "11/03/1987", "agree"),
        ("date", "19870311", "1987-03-11T00:00:00Z", "agree"),
        ("date", "1987-03-11", "1987-11-03", "close"),
        ("date", "1987-03-11", "1987-03-12", "close"),
        ("date", "1987-03-11", "1990-06-12", "differ"),
        ("code", "AB-123 456", "ab123456", "agree"),
        ("code", "AB123456", "AB132456", "close"),
        ("code", "123", "124", "differ"),
        ("number", "1,000.50", 1000.5, "agree"),
        ("number", 100, 100.9, "close"),
        ("number", 100, 200, "differ"),
        ("category", "Red", "red ", "agree"),
        ("category", "red", "rad", "differ"),
        ("address", "12 Harbour View", "Harbour View 12", "close"),
        ("address", "4011", "4111", "close"),
        ("text", "a kettle that leaks", "my parcel never came", "differ"),
        ("text", "the red kettle leaks", "red kettle leaks the", "close"),
    ],
)
def test_values_compare_by_kind(kind, one, other, expected):
    assert level(kind, read(kind, one), read(kind, other)) == expected


# The contract -------------------------------------------------------------------------------------------------------

HOSTILE = [
    "",
    "\ud800",
    "\0",
    "x" * 10**6,
    "\u202eabc",
    "\u0301",
    "1" * 5000,
    10**400,
    -(10**400),
    True,
    [["x"]],
    {"a": []},
]
HOSTILE += [float("nan"), float("inf"), 1e308, "٣٤٥", "½", "1e999", "0000-00-00", "\x1f\x1f"]


def test_answers_stand_in_order_and_nothing_is_changed(made, crowd):
    records = [ANNA, None, crowd[5], {}, {"surname": None}, {"other": 1}]
    given = batch(records, 500)
    before = copy.deepcopy(given)
    found = made.check(given)
    assert [answer and answer.culprit for answer in found] == ["300", None, "5", None, None, None]
    assert given == before and made.check(given) == found and list(made.check([])) == []


@pytest.mark.parametrize("kind", ["name", "date", "code", "address", "number", "category", "text"])
def test_hostile_values_neither_crash_nor_take_long(kind):
    made = make(fields={"surname": kind, "city": kind})
    records = [{"surname": one, "city": other} for one in HOSTILE for other in HOSTILE[::3]]
    began = time.monotonic()
    found = made.check(batch(records))
    made.keep([item for item, answer in zip(batch(records), found, strict=True) if answer is None])
    assert len(made.check(batch(records, 5000))) == len(records)
    assert time.monotonic() - began < 5


def test_a_resumed_filter_judges_like_one_that_never_stopped(crowd):
    rng = random.Random(9)
    stream = [record if rng.random() < 0.6 else misspelt(rng, rng.choice(crowd[:150])) for record in crowd]
    live, kept = make(), []
    for start in range(0, 192, 64):
        window = batch(stream[start : start + 64], start)
        good = [item for item, answer in zip(window, live.check(window), strict=True) if answer is None]
        live.keep(good)
        kept += good
    resumed = make()
    resumed.keep(kept[:50])
    resumed.keep(kept[50:])
    rest = batch(stream[192:], 192)
    found = live.check(rest)
    assert list(resumed.check(rest)) == list(found) and 0 < sum(map(bool, found)) < len(rest)


def test_values_that_all_records_share_cost_no_more_with_each_record():
    made = make()
    same = {"city": "Limerick", "postcode": "V94", "street": "Main Street"}
    rng = random.Random(2)
    records = [person(rng) | same for _ in range(1500)]
    began = time.monotonic()
    for start in range(0, len(records), 50):
        window = batch(records[start : start + 50], start)
        made.check(window)
        made.keep(window)
    assert time.monotonic() - began < 5


def test_verdicts_are_the_same_in_every_process(crowd):
    script = (
        "import json, sys; sys.path.insert(0, 'tests'); from test_record_duplicate import *; rng = random.Random(3);"
        "crowd = [person(rng) for _ in range(300)]; made = make(); keep(made, crowd);"
        "found = made.check(batch([misspelt(random.Random(i), r) for i, r in enumerate(crowd[:40])], 900));"
        "print(json.dumps([[a.score, a.detail] if a else None for a in found]))"
    )
    made = make()
    keep(made, crowd)
    here = made.check(batch([misspelt(random.Random(i), r) for i, r in enumerate(crowd[:40])], 900))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[a.score, a.detail] if a else None for a in here]
