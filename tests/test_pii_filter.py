"""The filter for personal data: every string at any depth, four actions, schemas that still hold, drawn values left alone."""

import copy
import json
import re

import pytest

from textsynth import registry
from textsynth.errors import RecipeError
from textsynth.filters import Setting
from textsynth.pii import Detector
from textsynth.pii.checksums import passes_luhn
from textsynth.records import Candidate, Draw, Drop, Edit, Seed
from textsynth.schema import RecordSchema

CARD, MAIL, PHONE = "4111 1111 1111 1111", "someone@example.com", "+44 7700 900123"
SCHEMA = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "code": {"type": "string", "maxLength": 20},
        "mail": {"type": "string", "format": "email"},
        "messages": {"type": "array", "items": {"type": "object", "properties": {"content": {"type": "string"}}}},
        "who": {"type": "string"},
    },
}


def make(*, schema=SCHEMA, seeds=(), seed=0, **options):
    made = registry.build(registry.load("filters", "pii", place="filters"), options, place="filters.pii")
    rows = [Seed(number, row) for number, row in enumerate(seeds)]
    document = RecordSchema(schema)
    made.prepare(Setting(document, rows, document.text_fields, seed=seed))
    return made


def candidate(record, index=0, **attributes):
    return Candidate(Draw(index, 0, attributes, (), index), record)


def answer(record, *, attributes=None, index=0, **options):
    given = copy.deepcopy(record)
    (found,) = make(**options).check([candidate(record, index, **(attributes or {}))])
    assert record == given, "the record handed in is as it was"
    return found


def test_a_record_with_personal_data_is_dropped_and_the_place_is_named_but_not_the_value():
    found = answer({"text": "fine", "messages": [{"content": "hi"}, {"content": f"pay with {CARD} please"}]})
    assert found.detail == "CREDIT_CARD in messages[1].content[9:28] (valid)" and found.score == 1
    assert answer({"text": "nothing here", "n": 3, "more": [1, None, True]}) is None


def test_redacting_puts_types_in_the_place_of_values():
    found = answer({"text": f"Write to {MAIL} or call {PHONE}."}, action="redact")
    assert found.record == {"text": "Write to <EMAIL_ADDRESS> or call <PHONE_NUMBER>."}
    assert found.detail.startswith("redacted EMAIL_ADDRESS in text[9:28] (valid), PHONE_NUMBER in text[")


def test_surrogates_look_alike_are_consistent_and_belong_to_nobody():
    record = {"text": f"Card {CARD}, mail {MAIL}; again {CARD}.", "who": MAIL}
    found = answer(record, action="replace")
    card, mail, again = re.fullmatch(r"Card (.+), mail (.+); again (.+)\.", found.record["text"]).groups()
    assert (
        card == again != CARD and re.fullmatch(r"\d{4} \d{4} \d{4} \d{4}", card) and passes_luhn(card.replace(" ", ""))
    )
    assert mail == found.record["who"] != MAIL and re.search(r"@example\.(com|org|net)$", mail)


def test_a_surrogate_is_the_same_across_the_run_only_if_asked_for():
    records = [candidate({"text": f"mail {MAIL}"}, index) for index in range(4)]
    texts = [
        {edit.record["text"] for edit in make(action="replace", scope=s).check(records)} for s in ("run", "record")
    ]
    assert len(texts[0]) == 1 and len(texts[1]) > 1
    again = make(action="replace", scope="run").check(records[3:])
    assert again[0].record["text"] in texts[0], "in another process too"
    assert make(action="replace", scope="run", seed=1).check(records[3:])[0].record["text"] not in texts[0]


def test_a_changed_record_still_satisfies_its_schema():
    found = answer({"mail": "somebody@example.org"}, action="replace")
    assert RecordSchema(SCHEMA).problems(found.record) == [] and found.record["mail"] != "somebody@example.org"
    refused = answer({"mail": "somebody@example.org"}, action="redact")
    assert isinstance(refused, Drop) and "changed, the record would break its schema" in refused.detail
    short = answer({"code": "a@b-example.com"}, action="replace")
    assert isinstance(short, Edit) and len(short.record["code"]) <= 20


def test_keeping_reports_and_changes_nothing():
    found = answer({"text": f"mail {MAIL}"}, action="keep")
    assert found == Edit({"text": f"mail {MAIL}"}, "found EMAIL_ADDRESS in text[5:24] (valid)")


def test_actions_by_type_and_by_level_and_the_strictest_wins():
    both = {"text": f"mail {MAIL}, card {CARD}"}
    found = answer(both, action="keep", actions={"CREDIT_CARD": "redact"})
    assert found.record["text"] == f"mail {MAIL}, card <CREDIT_CARD>"
    assert isinstance(answer(both, action="redact", actions={"EMAIL_ADDRESS": "drop"}), Drop)
    shaped = {"text": "my card is 4716 9876 2234 1561"}
    assert isinstance(answer(shaped), Drop), "what only looks like a card is treated as one"
    assert isinstance(answer(shaped, shaped="keep"), Edit)
    assert isinstance(answer(both, shaped="keep"), Drop)


def test_what_the_recipe_drew_is_known():
    text = {"text": f"Ask {MAIL} about it.", "who": "Ada"}
    assert answer(text, attributes={"contact": MAIL.upper()}) is None
    assert answer(text, attributes={"person": {"name": "Ada", "mail": MAIL}}) is None
    assert isinstance(answer(text, attributes={"contact": "other@example.com"}), Drop)
    drawn = {"first": "Anna", "last": "Schmidt", "phone": "+447700900123"}
    assert answer({"text": f"My name is Anna Schmidt, call {PHONE}."}, attributes=drawn) is None
    assert isinstance(answer({"text": f"My name is Ann Schmidt, call {PHONE}."}, attributes=drawn), Drop)


def test_values_that_the_schema_lists_are_known_and_deep_strings_are_changed():
    schema = {"type": "object", "properties": {"to": {"enum": [MAIL]}, "text": {}}}
    assert answer({"to": MAIL, "text": "fine"}, schema=schema) is None
    deep = MAIL
    for _ in range(800):
        deep = [deep]
    (edit,) = make(schema=schema, action="redact").check([candidate({"text": deep})])
    found = edit.record["text"]
    for _ in range(800):
        (found,) = found
    assert found == "<EMAIL_ADDRESS>"


def test_types_fields_and_threshold_limit_what_is_found():
    both = {"text": f"mail {MAIL}", "code": "203.0.113.9"}
    assert answer(both, types=["IP_ADDRESS"]).detail.startswith("IP_ADDRESS in code")
    assert answer(both, fields=["code"], types=["EMAIL_ADDRESS"]) is None
    assert answer({"text": "my card is 4716 9876 2234 1561"}, threshold=0.95) is None


def test_names_are_found_by_a_model_and_the_report_says_what_was_not_looked_for():
    text = {"text": "Yesterday Barack Obama flew to Berlin with the new ambassador."}
    assert answer(text) is None
    made = make(names="spacy", types=["PERSON", "LOCATION"])
    made.start()
    (found,) = made.check([candidate(text)])
    assert "PERSON in text[10:22] (model)" in found.detail and "LOCATION in text[31:37] (model)" in found.detail
    assert "PERSON outside set phrases" in make().measured()["not_looked_for"]
    said = made.measured()
    assert said["looked_for"] == ["LOCATION", "PERSON"] and said["names_by"] == "spacy"
    assert "EMAIL_ADDRESS" in said["not_looked_for"] and "PERSON outside set phrases" not in said["not_looked_for"]


def test_seeds_are_looked_through_and_what_is_left_in_kept_records_is_counted():
    made = make(action="keep", seeds=[{"text": f"write {MAIL}"}, {"text": "nothing"}, {"query": [f"{MAIL} {CARD}"]}])
    made.start()
    made.keep([candidate({"text": f"mail {MAIL}"}), candidate({"text": "nothing"})])
    said = made.measured()
    assert said["seeds_with_pii"] == 2 and said["in_seeds"] == {"CREDIT_CARD": 1, "EMAIL_ADDRESS": 2}
    assert said["left_in_records"] == {"EMAIL_ADDRESS": 1}
    json.dumps(said)


@pytest.mark.parametrize("action", ["drop", "redact", "replace", "keep"])
def test_hostile_records_get_an_answer(action):
    deep = "x"
    for _ in range(500):
        deep = [deep]
    texts = [
        "1-" * 500_000,
        "a@" * 500_000,
        "\ud800 mail someone@example.com",
        "\x00",
        "",
        "4" * 1_000_000,
        "é" * 10_000,
    ]
    records = [*({"text": text} for text in texts), {"text": deep}, {}]
    found = make(action=action).check([candidate(record, number) for number, record in enumerate(records)])
    assert len(found) == len(records) and found[2] is not None
    assert make(action=action).check([]) == []


def test_a_redacted_text_is_clean():
    text = f"{MAIL}, {PHONE}, {CARD}, 203.0.113.9, my SSN is 078-05-1120, IBAN GB33BUKB20201555555555"
    found = answer({"text": text}, action="redact")
    assert Detector().find([found.record["text"]]) == [[]]
    assert found.record["text"].count("<") == 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"types": ["EMAIL"]}, "types: unknown name 'EMAIL'"),
        ({"actions": {"CREDITCARD": "drop"}}, "unknown name 'CREDITCARD' (did you mean CREDIT_CARD?)"),
        ({"action": "remove"}, "filters.pii.action"),
        ({"action": "replace", "locale": "en_XX"}, "locale"),
        ({"threshold": 80}, "threshold must be between 0 and 1, got 80"),
        ({"names": "spacy:no_such_pipeline"}, "names: "),
    ],
)
def test_options_that_cannot_work_are_refused(options, message):
    with pytest.raises(RecipeError) as error:
        make(**options)
    assert message in str(error.value)
