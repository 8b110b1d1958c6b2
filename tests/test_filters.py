import copy
import random
import tracemalloc
from dataclasses import fields, is_dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textsynth import registry
from textsynth.errors import RecipeError
from textsynth.filters import Filter, Setting
from textsynth.keytable import KeyTable
from textsynth.minhash import MinHashIndex, choose_bands, hash_words, jaccard
from textsynth.records import Candidate, Draw, Drop, Edit, Seed
from textsynth.schema import RecordSchema
from textsynth.text import words

TICKET = {
    "type": "object",
    "properties": {
        "subject": {"type": "string"},
        "body": {"type": "string"},
        "product": {"enum": ["router", "phone"]},
        "priority": {"enum": ["low", "high"]},
        "score": {"type": "number"},
        "lines": {"type": "array", "items": {"type": "integer"}},
    },
    "required": ["product"],
}
VOCABULARY = [
    "".join(random.Random(number).choices("abcdefghijklmnopqrstuvwxyz", k=2 + number % 8)) + str(number)
    for number in range(3000)
]


def setting(*, document=TICKET, seeds=(), text_fields=None):
    schema = RecordSchema(document)
    rows = [Seed(number, row if isinstance(row, dict) else {"body": row}) for number, row in enumerate(seeds)]
    return Setting(schema, rows, schema.text_fields if text_fields is None else text_fields)


def make(name, *, given=None, **options):
    made = registry.build(registry.load("filters", name, place="filters[0]"), options, place=f"filters[0].{name}")
    made.prepare(given or setting())
    return made


def candidate(index, record, **attributes):
    record = {"product": "router", "body": record} if isinstance(record, str) else record
    return Candidate(Draw(index, index // 64, attributes, (), index), record)


def candidates(texts, start=0):
    return [candidate(start + offset, text) for offset, text in enumerate(texts)]


def verdicts(made, texts, start=0):
    return [found and (found.culprit, found.score) for found in made.check(candidates(texts, start))]


def culprits(made, texts, start=0):
    return [found and found.culprit for found in made.check(candidates(texts, start))]


def stream(made, texts, *, start=0, window=64):
    """Check and keep window by window; the verdicts."""
    found = []
    for first in range(0, len(texts), window):
        batch = candidates(texts[first : first + window], start + first)
        answers = list(made.check(batch))
        made.keep([item for item, answer in zip(batch, answers, strict=True) if answer is None])
        found += answers
    return found


def sentence(rng, low, high):
    return rng.choices(VOCABULARY, k=rng.randint(low, high))


def edited(rng, text, edits):
    text = list(text)
    for _ in range(edits):
        place, kind = rng.randrange(len(text)), rng.random()
        if kind < 0.7:
            text[place] = rng.choice(VOCABULARY)
        elif kind < 0.85 and len(text) > 1:
            del text[place]
        else:
            text.insert(place, rng.choice(VOCABULARY))
    return text


def shingles(text):
    found = {tuple(text[i : i + 3]) for i in range(len(text) - 2)}
    if len(text) < 5:
        found |= {(word,) for word in text} | {tuple(text[i : i + 2]) for i in range(len(text) - 1)}
    return found


def similarity(one, other):
    one, other = shingles(one), shingles(other)
    return len(one & other) / len(one | other)


# The contract that every filter keeps -------------------------------------------------------------------------------

MIXED = [
    candidate(0, {"product": "router", "subject": "Slow", "body": "My router drops the line every evening at eight."}),
    candidate(1, {"product": "router", "subject": "Slow", "body": "My router drops the line every evening at eight."}),
    candidate(2, {"product": "fax", "body": "[Your Name]"}),
    candidate(3, {"product": "phone"}),
    candidate(4, {"product": "phone", "subject": "", "body": "  "}),
    candidate(5, None),
    Candidate(Draw(6, 0, {}, (), 6), None, failure=Drop("unparsed", "no JSON")),
    candidate(
        7, {"body": {"turns": [{"text": "Ünïcode 我想退款"}, ["👍", None, 3]]}, "product": "phone"}, product="router"
    ),
    candidate(8, {}),
]


NEEDED = {
    "contamination": {"benchmarks": {"rows": "rows.jsonl"}},
    "label_agreement": {"label": "product"},
    "llm_judge": {"scales": {"fit": "Does it read like a customer's ticket?"}},
    "readability": {"max_grade": 30},
    "rules": {"rules": {"product != 'fax'": "no fax any more"}},
}
"""Options without which a filter cannot be made."""
ELSEWHERE = {"adherence", "code", "toxicity"}
"""Filters that need a model, a profile or fields of their own, made in their own tests, which also hold them to this contract."""


@pytest.fixture(params=[name for name in registry.names("filters") if name not in ELSEWHERE])
def any_filter(request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text(
        '{"question": "My router drops the line every evening at eight, why is that?"}'
    )
    cls = registry.load("filters", request.param, place="filters[0]")
    made = registry.build(cls, NEEDED.get(request.param, {}), place="filters[0]")
    made.prepare(setting(seeds=["My router drops the line every evening at eight.", "Something else entirely."]))
    return made


def test_a_filter_is_a_dataclass_that_says_what_it_does(any_filter):
    assert is_dataclass(any_filter) and isinstance(any_filter, Filter)
    assert len(type(any_filter).__doc__.split()) > 10
    for option in fields(any_filter):
        assert option.name.startswith("_") or option.name in type(any_filter).__doc__


def test_a_filter_answers_once_per_candidate_and_changes_none(any_filter):
    before = copy.deepcopy(MIXED)
    answers = list(any_filter.check(MIXED))
    assert len(answers) == len(MIXED)
    assert all(answer is None or (isinstance(answer, Drop | Edit) and answer.detail) for answer in answers)
    assert before == MIXED
    assert list(any_filter.check([])) == []


def test_a_filter_answers_the_same_when_asked_again_and_after_remembering_nothing(any_filter):
    answers = list(any_filter.check(MIXED))
    any_filter.check(MIXED[:3])
    any_filter.keep([])
    assert list(any_filter.check(MIXED)) == answers


def test_a_filter_with_remembered_candidates_answers_the_same_twice(any_filter):
    any_filter.keep([item for item in MIXED if item.record is not None])
    again = [candidate(item.draw.index + 100, item.record) for item in MIXED]
    assert list(any_filter.check(again)) == list(any_filter.check(again))


# schema -------------------------------------------------------------------------------------------------------------


def test_schema_names_path_keyword_and_the_number_of_further_problems():
    found = make("schema").check(
        [
            candidate(0, {"product": "phone", "body": "Fine", "lines": [1, 2]}, product="phone", tone="angry"),
            candidate(1, {"product": "phone", "lines": [1, "x"]}),
            candidate(2, {"product": "fax", "body": 3}),
            candidate(3, {}),
            candidate(4, None),
        ]
    )
    assert found[0] is None
    assert found[1].detail.startswith("lines[1]: type: ")
    assert "(and 1 more)" in found[2].detail
    assert found[3].detail.startswith("product: required: ")
    assert "nothing could be parsed" in found[4].detail


def test_schema_holds_a_record_to_the_attributes_that_are_fields():
    drawn, other = make("schema").check(
        [
            candidate(0, {"product": "phone"}, product="phone", mood="sad"),
            candidate(1, {"product": "phone"}, product="router"),
        ]
    )
    assert drawn is None
    assert other.detail.startswith("product: const: ") and "'router'" in other.detail


# refusal ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't assist with that request.",
        "I’m sorry, but I can’t help you with that.",
        "I cannot fulfill your request.",
        "Unfortunately, I am unable to generate content that is harmful.",
        "I apologize, but I'm not able to provide information on this topic.",
        "I must decline this request.",
        "I'm sorry, but I can't",
        "As an AI language model, I don't have a card.",
        "Good question! As an AI, I do not use banks.",
        "Here is a JSON object for a customer:",
        "\"Sure! Here's a message from a customer",
        "Certainly, here is an example of a customer query:",
        "Here are three fictional customers",
        '```json\n{"body": "x"}',
        "Best regards,\n[Your Name]",
        "Dear [insert name], thank you",
        "Hello {{ customer.name }}!",
        "Dear <name>, your card is here",
        "Kind regards, <your company>",
        "Lorem ipsum dolor sit amet",
        "string",
        "...",
        '"<string>"',
        "Your text here.",
    ],
)
def test_refusals_chatter_and_blanks_are_found(text):
    (found,) = make("refusal").check([candidate(0, text)])
    quote = found.detail.split(": ", 1)[1].strip('"')
    assert " in body: " in found.detail and quote and quote in text.replace("’", "'")


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't make it tonight.",
        "I can't get my card to work. Can you help me with that?",
        "I cannot create an account",
        "Sure, it's 415-865-2000",
        "Here are some tips to help you stay motivated",
        "Of course, it is common to load strings from a file.",
        "My string of pearls broke ... and now?",
        "He works as an AI researcher on language models.",
        "[sic] the list[name] and items[0] of [1, 2] and a [link](http://x.org/name)",
        "<name>Bob</name> owes me < 5 and > 3",
        "Set {braces} {a: 1}",
        "I told the bank I can't assist with that request.",
        "",
    ],
)
def test_real_text_is_not_taken_for_a_refusal(text):
    assert make("refusal").check([candidate(0, text)]) == [None]


def test_refusal_reads_every_string_of_a_text_field_and_of_the_fields_asked_for():
    document = {"type": "object", "properties": {"turns": {"type": "array", "items": {"type": "string"}}, "id": {}}}
    given = setting(document=document)
    record = {"turns": ["Hi", "I cannot fulfil that request."], "id": "string"}
    assert "refusal in turns" in make("refusal", given=given).check([candidate(0, record)])[0].detail
    assert "placeholder in id" in make("refusal", given=given, fields=["id"]).check([candidate(0, record)])[0].detail


def test_refusal_looks_for_the_users_own_patterns():
    made = make("refusal", patterns=[r"as requested\b", "beep"])
    found = made.check(candidates(["Written As Requested by you", "fine"]))
    assert found[0].detail == 'pattern in body: "As Requested"' and found[1] is None


# length -------------------------------------------------------------------------------------------------------------


def test_length_drops_only_empty_text_by_default():
    found = make("length").check(candidates(["", " \n ", "x", "x" * 10_000]))
    assert [answer and answer.detail for answer in found] == ["empty text", "empty text", None, None]


def test_length_names_the_bound_that_is_broken():
    made = make("length", min_words=3, max_words=5, max_chars=30)
    found = made.check(candidates(["one two", "one two three", "a b c d e f", "three words butmuchtoolongforthis"]))
    assert [answer and (answer.detail, answer.score) for answer in found] == [
        ("2 words, fewer than min_words 3", 2.0),
        None,
        ("6 words, more than max_words 5", 6.0),
        ("33 chars, more than max_chars 30", 33.0),
    ]


def test_length_counts_characters_as_words_where_there_are_no_spaces():
    assert make("length", min_words=4).check(candidates(["我想退款", "我想退"]))[0] is None
    assert make("length", min_words=4).check(candidates(["我想退"]))[0].score == 3


def test_length_of_chosen_fields_and_of_records_without_text():
    both = {"product": "router", "subject": "Two words", "body": "x"}
    assert make("length", fields=["subject"], max_words=2).check([candidate(0, both)]) == [None]
    assert make("length", max_words=2).check([candidate(0, both)])[0].score == 3
    assert make("length", given=setting(text_fields=())).check([candidate(0, both)]) == [None]


# duplicate ----------------------------------------------------------------------------------------------------------


def test_duplicate_names_the_draw_that_came_first():
    made = make("duplicate")
    assert culprits(made, ["Hello there", "hello  THERE ", "Other", "Hello there"]) == [None, "0", None, "0"]
    made.keep(candidates(["Hello there"], start=7))
    assert culprits(made, ["Hello there!", "hello there", "HELLO there"], start=10) == [None, "7", "7"]


def test_duplicate_compares_text_alone_if_there_is_any_and_else_the_record():
    made = make("duplicate")
    same_text = [{"product": "router", "body": "Hi"}, {"product": "phone", "body": "hi"}]
    no_text = [{"product": "router", "score": 1}, {"product": "router", "score": 1.0}, {"product": "phone", "score": 1}]
    empty = [{"product": "router", "body": ""}, {"product": "phone", "body": ""}]
    found = made.check([candidate(index, record) for index, record in enumerate(same_text + no_text + empty)])
    assert [answer and answer.culprit for answer in found] == [None, "0", None, "2", None, None, None]


def test_duplicate_on_chosen_fields_and_on_nested_lists():
    made = make("duplicate", fields=["product", "lines"])
    rows = [[1, 2], [1.0, 2], [2, 1], [1, 2, 3]]
    found = made.check([candidate(i, {"product": "phone", "body": str(i), "lines": row}) for i, row in enumerate(rows)])
    assert [answer and answer.culprit for answer in found] == [None, "0", None, None]


def test_duplicate_takes_lists_without_order_and_numbers_written_as_text_for_what_they_are():
    document = {
        "type": "object",
        "properties": {
            "tags": {"type": "array", "uniqueItems": True},
            "price": {"type": "number"},
            "code": {},
            "steps": {},
        },
    }
    rows = [
        {"tags": ["A", "b"], "price": 1000.5},
        {"tags": ["B ", "a"], "price": "1,000.50"},
        {"tags": ["a", "b"], "price": "1000.51"},
        {"code": "007"},
        {"code": "7"},
        {"steps": [1, 2, 2]},
        {"steps": [2, 1, 2]},
        {"steps": [2, 1]},
    ]
    batch = [candidate(number, row) for number, row in enumerate(rows)]
    given = setting(document=document, text_fields=())
    found = make("duplicate", given=given).check(batch)
    assert [answer and answer.culprit for answer in found] == [None, "0", *[None] * 6]
    found = make("duplicate", given=given, unordered=["steps"]).check(batch)
    assert [answer and answer.culprit for answer in found] == [None, "0", None, None, None, None, "5", None]


def test_duplicate_memory_stays_within_what_the_docstring_says():
    made = make("duplicate")
    batch = [candidate(index + 1000, f"text number {index}") for index in range(20_000)]
    tracemalloc.start()
    made.keep(batch)
    used = tracemalloc.get_traced_memory()[0] / len(batch)
    tracemalloc.stop()
    assert used < 200


# near_duplicate -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("low", "high", "count"), [(60, 200, 5000), (25, 50, 5000), (5, 16, 5000)])
def test_planted_near_duplicates_are_found_and_nothing_else(low, high, count):
    rng = random.Random(low)
    texts = [sentence(rng, low, high) for _ in range(count)]
    origin = {}
    for number in rng.sample(range(count), count // 3):
        origin[len(texts)] = number
        texts.append(edited(rng, texts[number], rng.randint(0, 1 + len(texts[number]) // 14)))
    found = stream(make("near_duplicate"), [" ".join(text) for text in texts])
    near = [copy for copy, number in origin.items() if similarity(texts[copy], texts[number]) >= 0.8]
    at_the_edge = [copy for copy in near if similarity(texts[copy], texts[origin[copy]]) < 0.87]
    assert len(near) > count / 8 and len(at_the_edge) > count / 100
    assert sum(found[copy] is not None for copy in near) >= 0.99 * len(near)
    for number, answer in enumerate(found):
        if answer:
            exact = similarity(texts[number], texts[int(answer.culprit)])
            assert answer.score == pytest.approx(exact) and exact >= 0.8


def test_near_duplicates_are_found_behind_boilerplate_that_all_texts_share():
    rng = random.Random(5)
    opening = rng.choices(VOCABULARY, k=24)
    texts = [opening + rng.choices(VOCABULARY, k=16) for _ in range(3000)]
    copies = [[*text[:39], "changed"] for text in texts[:1000]]
    found = stream(make("near_duplicate"), [" ".join(text) for text in texts + copies])
    assert not any(found[:3000])
    right = [answer and answer.culprit == str(number) for number, answer in enumerate(found[3000:])]
    assert sum(map(bool, right)) >= 990


def test_near_duplicate_within_a_batch_blames_only_what_it_lets_through():
    first = [f"word{number}" for number in range(12)]
    second = [*first, "thirteen", "fourteen"]
    third = [*second, "fifteen", "sixteen"]
    assert similarity(first, second) >= 0.8 and similarity(second, third) >= 0.8 and similarity(first, third) < 0.8
    texts = [" ".join(text) for text in (first, second, third, third)]
    assert culprits(make("near_duplicate"), texts, start=40) == [None, "40", None, "42"]


def test_near_duplicate_blames_the_most_similar_and_of_equals_the_first():
    base = [f"w{number}" for number in range(30)]
    closer, further = " ".join([*base, "x"]), " ".join([*base[:-1], "y", "z"])
    made = make("near_duplicate")
    made.keep(candidates([further, closer], start=3))
    assert culprits(made, [" ".join(base)], start=9) == ["4"]
    made.keep(candidates([closer], start=20))
    assert culprits(made, [closer], start=30) == ["4"]


def test_near_duplicate_of_short_and_odd_texts():
    texts = [
        *(
            "Reset",
            "reset!",
            "Reset my",
            "",
            "",
            "!!!",
            "...",
            "👍",
            "我想退款给我",
            "我想退款给我。",
            "Ünïcode Größe",
            "ÜNÏCODE GRÖSSE",
        ),
        *("please reset my pin", "please reset my PIN."),
    ]
    expected = [None, "0", None, None, None, None, None, None, None, "8", None, "10", None, "12"]
    assert culprits(make("near_duplicate"), texts) == expected


def test_near_duplicate_of_records_without_text_or_on_chosen_fields():
    record = {"product": "router", "subject": "the same five words here", "body": "first of all bodies"}
    other = record | {"body": "quite another text"}
    batch = [
        candidate(0, record),
        candidate(1, other),
        candidate(2, {"product": "phone"}),
        candidate(3, {"product": "phone"}),
    ]
    assert make("near_duplicate").check(batch) == [None] * 4
    found = make("near_duplicate", fields=["subject"]).check(batch)
    assert [answer and answer.culprit for answer in found] == [None, "0", None, None]


@pytest.mark.parametrize("name", ["duplicate", "near_duplicate"])
def test_a_filter_that_remembers_after_a_restart_judges_like_one_that_never_stopped(name):
    rng = random.Random(8)
    texts = [" ".join(sentence(rng, 1, 30)) for _ in range(640)]
    for number in range(0, 640, 3):
        source = texts[rng.randrange(number + 1)].split()
        texts[number] = " ".join(edited(rng, source, rng.randint(0, 2)))
    live = make(name)
    first = stream(live, texts[:320])
    kept = [item for item, answer in zip(candidates(texts[:320]), first, strict=True) if answer is None]
    resumed = make(name)
    resumed.keep(kept[:100])
    resumed.keep(kept[100:])
    rest = stream(live, texts[320:], start=320)
    assert stream(resumed, texts[320:], start=320) == rest
    assert 0 < sum(answer is not None for answer in rest) < 320


def test_keeping_only_part_of_a_batch_or_altered_candidates_remembers_just_those():
    made = make("near_duplicate")
    batch = candidates(
        ["first text of the four words", "second wholly other words here", "third thing said in this batch"]
    )
    made.check(batch)
    made.keep([batch[0], candidate(2, "not what was checked at all")])
    found = culprits(made, [item.record["body"] for item in batch] + ["not what was checked at all"], start=10)
    assert found == ["0", None, None, "2"]


def test_near_duplicate_memory_stays_within_what_the_docstring_says():
    made, rng = make("near_duplicate"), random.Random(4)
    texts = [" ".join(rng.choices(VOCABULARY, k=40)) for _ in range(6400)]
    stream(made, texts[:64])
    tracemalloc.start()
    stream(made, texts[64:], start=64)
    used = tracemalloc.get_traced_memory()[0] / (len(texts) - 64)
    tracemalloc.stop()
    assert used < 1.15 * (270 + 4 * 40)


# MinHash itself -----------------------------------------------------------------------------------------------------


def test_hashes_are_the_same_in_every_process():
    found = hash_words(["The quick brown", "fox", "", "the"])
    assert found.counts.tolist() == [3, 1, 0, 1]
    assert found.hashes[0] == found.hashes[4] == 12354945196963515981
    sketches = MinHashIndex().sketch(["the quick brown fox jumps"], [0])
    assert sketches.bands[0, :2].tolist() == [833362529, 448415595]


@given(
    st.lists(st.lists(st.sampled_from(["a", "bb", "ccc", "dd", "fé", "我", "g9"]), max_size=9), min_size=1, max_size=6)
)
@settings(max_examples=150)
def test_sets_and_similarities_are_those_of_the_words(texts):
    sketches = MinHashIndex().sketch([" ".join(text) for text in texts], range(len(texts)))
    sets = [shingles(words(" ".join(text))) for text in texts]
    assert [len(sketches.shingle_set(row)) for row in range(len(texts))] == [len(found) for found in sets]
    for row, one in enumerate(sets):
        for column, other in enumerate(sets):
            if one and other:
                exact = len(one & other) / len(one | other)
                assert jaccard(sketches.shingle_set(row), [sketches.shingle_set(column)])[0] == pytest.approx(exact)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0])
def test_bands_find_what_is_at_the_threshold(threshold):
    bands, rows = choose_bands(threshold, 128)
    assert bands * rows <= 128
    assert 1 - (1 - threshold**rows) ** bands >= 0.99


def test_the_table_finds_every_entry_while_it_grows():
    rng, table, expected = np.random.default_rng(0), KeyTable(), {}
    count = 0
    for step in range(120):
        keys = rng.integers(0, 300 if step % 40 == 0 else 2**32, int(rng.integers(0, 120)), dtype=np.uint32)
        table.add(keys)
        for key in keys.tolist():
            expected.setdefault(key, []).append(count)
            count += 1
    asked = np.array([*expected, 12345], dtype=np.uint32)
    found = {}
    for number, entry in zip(*(part.tolist() for part in table.find(asked)), strict=True):
        found.setdefault(int(asked[number]), []).append(entry)
    assert {key: sorted(entries) for key, entries in found.items()} == expected


def test_a_look_up_stays_short_however_many_texts_begin_alike():
    table = KeyTable()
    for _ in range(50):
        table.add(np.full(20, 7, dtype=np.uint32))
    table.add(np.array([8], dtype=np.uint32))
    assert len(table.find(np.array([7], dtype=np.uint32))[0]) < 100
    assert table.find(np.array([8], dtype=np.uint32))[1].tolist() == [1000]


# copied -------------------------------------------------------------------------------------------------------------

LONG = [f"l{number}" for number in range(60)]


def copied(texts, *, seeds, **options):
    found = make("copied", given=setting(seeds=seeds), **options).check(candidates(texts))
    return [answer and answer.culprit for answer in found]


def test_copied_finds_whole_seeds_near_seeds_and_long_passages():
    seeds = ["Where is my new card?", " ".join(LONG), "Something else"]
    texts = [
        "where is MY new card",
        " ".join([*LONG[:30], "changed", *LONG[31:]]),
        " ".join(["a", "b", *LONG[20:33], "c", "d"]),
        " ".join(["a", "b", *LONG[20:32], "c", "d"]),
        "Where is my old card, and when does it come?",
        "",
    ]
    assert copied(texts, seeds=seeds) == ["seed:0", "seed:1", "seed:1", None, None, None]


def test_copied_says_how_much_was_taken_over():
    passage = " ".join(["so", *LONG[5:25], "end"])
    near, long = make("copied", given=setting(seeds=[" ".join(LONG)])).check(candidates([" ".join(LONG[:58]), passage]))
    assert near.score == pytest.approx(56 / 58) and near.detail == "0.97 similar to seed 0 (threshold 0.8)"
    assert long.score == 20 and long.detail.startswith('20 words in a row from seed 0 (span 13): "l5 l6 ')


def test_a_text_shorter_than_the_span_is_copied_if_it_lies_in_the_other_whole():
    eight, seven = " ".join(LONG[:8]), " ".join(LONG[40:47])
    assert copied([f"so {eight} and much more text behind it", f"so {seven} and more"], seeds=[eight, seven]) == [
        "seed:0",
        None,
    ]
    assert copied([eight, seven], seeds=[" ".join(LONG)]) == ["seed:0", None]


def test_the_span_is_counted_inside_one_seed_and_can_be_short():
    one, other = " ".join(LONG[:10]), " ".join(LONG[10:20])
    assert copied([" ".join(["x", *LONG[5:18], "y"])], seeds=[one, other]) == [None]
    assert copied(["so l3 l4 l5 it is", "l3 x l4 x l5"], seeds=[one], span=3) == ["seed:0", None]


def test_of_several_passages_the_longest_is_named():
    seeds = [" ".join(LONG[:15]), " ".join(LONG[:30])]
    assert copied([" ".join(["a", *LONG[:22], *(f"z{i}" for i in range(40))])], seeds=seeds) == ["seed:1"]


def test_seeds_with_other_columns_are_read_whole_and_equal_ones_count_as_the_first():
    seeds = [{"query": "Where is my new card?", "label": 3}, {"query": "where is my new card", "label": 4}, {"n": 1}]
    assert copied(["Where is my new card", "label"], seeds=seeds) == ["seed:0", None]
    assert copied(["anything"], seeds=[]) == [None]


def test_copied_works_for_many_seeds():
    rng = random.Random(2)
    seeds = [" ".join(sentence(rng, 5, 25)) for _ in range(5000)]
    texts = [seeds[number] for number in range(0, 5000, 50)] + [" ".join(sentence(rng, 5, 25)) for _ in range(100)]
    assert copied(texts, seeds=seeds) == [f"seed:{number}" for number in range(0, 5000, 50)] + [None] * 100


# options ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("near_duplicate", {"threshold": 85}, "threshold must be between 0 and 1, got 85 (did you mean 0.85?)"),
        ("near_duplicate", {"shingle": 0}, "shingle must be between 1 and 20 words, got 0"),
        ("near_duplicate", {"treshold": 0.8}, "unknown name 'treshold' (did you mean threshold?)"),
        ("copied", {"threshold": 0}, "threshold must be between 0 and 1, got 0"),
        ("copied", {"span": 1}, "span must be at least 2 words, got 1"),
        ("length", {"min_words": -1}, "min_words must not be negative, got -1"),
        ("length", {"min_chars": 9, "max_chars": 5}, "max_chars must be at least 9 (min_chars is 9), got 5"),
        ("refusal", {"patterns": ["ok", "(open"]}, "patterns[1]: '(open' is not a regular expression"),
        ("refusal", {"patterns": ["x*"]}, "patterns[0]: 'x*' matches empty text, so it would drop every record"),
        ("duplicate", {"fields": "body"}, "fields"),
    ],
)
def test_options_that_cannot_work_are_refused_with_value_and_rule(name, options, message):
    cls = registry.load("filters", name, place="filters[0]")
    with pytest.raises(RecipeError) as error:
        registry.build(cls, options, place=f"filters[0].{name}")
    assert message in str(error.value)


@pytest.mark.parametrize("name", ["refusal", "length", "duplicate", "near_duplicate", "copied"])
def test_fields_that_the_schema_does_not_have_are_refused_before_the_run(name):
    with pytest.raises(ValueError, match=r"fields: unknown name 'bodi' \(did you mean body\?\)"):
        make(name, fields=["bodi"])
