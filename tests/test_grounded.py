"""Questions from documents: what is quoted stands in the document to the letter, and what does not hold is dropped."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import textsynth as ts
from textsynth import prompts
from textsynth.errors import RecipeError
from textsynth.methods import Arm, Setting
from textsynth.methods._grounding import agreement, find, first_question, refers_to_text, support
from textsynth.methods.grounded import Grounded
from textsynth.records import Completion, Draw, Sampling, Seed

TEXT = (
    "The harbour of Norra was built\n   in 1872 by Dutch engineers.  It has two piers, and the northern one is closed in winter. "
    "Forty boats can lie at the southern pier."
)
BEFORE = "# Harbour\n\n"
ROW = {"document": "norra", "title": "Norra", "section": "Harbour", "start": len(BEFORE), "text": TEXT}
OTHER = {
    "document": "boats",
    "title": "Boats",
    "section": "",
    "start": 0,
    "text": "Anna Berg rows to Norra each morning at six.",
}
GOOD = {"quote": [1], "question": "Who built the harbour of Norra?", "answer": "Dutch engineers"}


def made(repairs: int = 0, inputs=frozenset({"text"}), given=None, attributes=(), **options) -> Grounded:
    method = Grounded(**{"verify": "none", **options})
    prompt = prompts.load(method.default_prompt, folder=Path())
    method.prepare(
        Setting(
            schema=method.record_schema(given),
            decoding=lambda names: "{}",
            attributes=attributes,
            partial=frozenset(),
            arms={"": Arm(prompt, Sampling())},
            variables={},
            repairs=repairs,
            load_prompt=lambda name: prompts.load(name, folder=Path()),
            inputs=inputs,
        )
    )
    return method


def draw(*rows, index: int = 0, seed: int = 5, **attributes) -> Draw:
    return Draw(index, 0, attributes, tuple(Seed(n, row) for n, row in enumerate(rows or [ROW])), seed)


def play(method: Grounded, one: Draw, *answers):
    """Run a draw with these completions; return the candidate and the requests."""
    steps, asked = method.run(one), []
    try:
        request = next(steps)
        for answer in answers:
            asked.append(request)
            text = answer if isinstance(answer, str) else json.dumps(answer)
            request = steps.send(Completion(one.index, request.step, text, "stop"))
    except StopIteration as end:
        return end.value, asked
    raise AssertionError(f"one more request: {request}")


def reason(method: Grounded, *answers, one: Draw | None = None) -> str:
    candidate, _ = play(method, one or draw(), *answers)
    assert candidate.record is None
    return candidate.failure.reason


def test_a_kept_record_quotes_its_document_to_the_letter():
    whole = BEFORE + TEXT + "\n\nThe end."
    candidate, (request,) = play(made(), draw(), GOOD)
    record = candidate.record
    (citation,) = record["citations"]
    assert whole[citation["start"] : citation["end"]] == citation["quote"]
    assert citation["quote"] == "The harbour of Norra was built\n   in 1872 by Dutch engineers."
    span = record["answer_span"]
    assert whole[span["start"] : span["end"]] == "Dutch engineers" and span["document"] == "norra"
    assert record["answerable"] is True and record["hops"] == 1 and record["context"] == TEXT
    assert "[1] The harbour of Norra was built in 1872 by Dutch engineers." in request.messages[-1]["content"]
    assert made().setting.schema.problems(record) == []


def test_neighbouring_sentences_make_one_citation_and_others_two():
    answer = {**GOOD, "answer": "Dutch engineers; forty boats can lie there", "quote": [3, 1]}
    record = play(made(), draw(), answer)[0].record
    assert len(record["citations"]) == 2 and record["answer_span"] is None
    record = play(made(), draw(), {**answer, "quote": [2, 3], "answer": "forty boats"})[0].record
    assert len(record["citations"]) == 1 and record["citations"][0]["quote"] == TEXT[TEXT.index("It has") :]


def test_the_decoder_can_name_only_sentences_that_are_there():
    _, (request,) = play(made(most_sentences=2), draw(), GOOD)
    quote = json.loads(request.schema)["properties"]["quote"]
    assert quote == {"type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 1, "maxItems": 2}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"answer": "Swedish farmers of the coast"}, "unsupported"),
        ({"answer": "engineers in 1873"}, "unsupported"),
        ({"answer": "Yes"}, "unsupported"),
        ({"quote": [3]}, "unsupported"),
        ({"quote": [9]}, "no_quote"),
        ({"question": "Who built the harbour in this text?"}, "refers_to_text"),
        ({"question": "Tell me who built the harbour."}, "not_a_question"),
        ({"question": "The harbour of Norra was built in 1872 by Dutch engineers?"}, "trivial"),
        ({"question": "Did Dutch engineers build it all in Norra?"}, "trivial"),
        ({"answer": "Dutch engineers " * 20}, "cut_answer"),
        ({"question": "When was the tower of Ulm finished?", "answer": "1872"}, "off_topic"),
        ({"answer": ""}, "schema"),
    ],
)
def test_what_does_not_hold_is_dropped_with_its_reason(changed, expected):
    assert reason(made(), {**GOOD, **changed}) == expected
    assert expected == "schema" or expected in Grounded.reasons


def test_a_completion_that_is_no_json_is_dropped_and_one_repair_may_mend_it():
    assert reason(made(), "no json") == "invalid_json"
    candidate, asked = play(made(repairs=1), draw(), "no json", GOOD)
    assert candidate.record and [request.step for request in asked] == [0, 1]
    assert asked[0].sampling.seed != asked[1].sampling.seed


def test_asked_again_the_model_must_give_the_same_answer():
    method = made(verify="ask")
    candidate, asked = play(method, draw(), GOOD, {"answer": "the Dutch engineers"})
    assert candidate.record["answer"] == "Dutch engineers"
    second = asked[1]
    assert second.sampling.temperature == 0 and "two piers" not in second.messages[-1]["content"]
    assert GOOD["question"] in second.messages[-1]["content"]
    assert reason(method, GOOD, {"answer": "in the year 1872"}) == "disagrees"


def test_a_verbatim_quote_must_stand_in_the_text_white_space_aside():
    method = made(quote="verbatim")
    right = {**GOOD, "quote": "was built in 1872 by Dutch engineers."}
    (citation,) = play(method, draw(), right)[0].record["citations"]
    assert citation["quote"] == "was built\n   in 1872 by Dutch engineers"
    assert reason(method, {**GOOD, "quote": "was built in 1872 by the Dutch engineers"}) == "no_quote"
    assert reason(method, {**GOOD, "quote": "1872"}) == "no_quote"


def test_a_drawn_sentence_is_the_quote_and_every_sentence_comes_up():
    method, quoted = made(quote="drawn"), set()
    for seed in range(40):
        answer = {"question": "What belongs to the harbour of Norra?", "answer": "harbour piers boats"}
        candidate, (request,) = play(made(quote="drawn", least_support=0), draw(seed=seed), answer)
        if candidate.record:
            quoted.add(candidate.record["citations"][0]["quote"])
            assert (
                f"Fact: {' '.join(candidate.record['citations'][0]['quote'].split())}"
                in request.messages[-1]["content"]
            )
    assert len(quoted) == 3
    assert "quote" not in json.loads(play(method, draw(), GOOD)[1][0].schema)["properties"]


# --- several chunks --------------------------------------------------------------------------------------------------

HOPS = {
    "quote_1": [1],
    "quote_2": [4],
    "question": "Which year's harbour does Anna Berg row to?",
    "answer": "The harbour built in 1872",
}


def test_a_question_over_two_chunks_quotes_both():
    candidate, (request,) = play(made(), draw(ROW, OTHER), HOPS)
    record = candidate.record
    assert record["hops"] == 2 and [c["document"] for c in record["citations"]] == ["norra", "boats"]
    assert all(c["quote"] in record["context"] for c in record["citations"])
    parts = json.loads(request.schema)["properties"]
    assert parts["quote_1"]["items"]["enum"] == [1, 2, 3] and parts["quote_2"]["items"]["enum"] == [4]
    assert reason(made(), {**HOPS, "quote_2": [1]}, one=draw(ROW, OTHER)) == "no_quote"


def test_the_link_of_the_chunks_is_shown_and_drawn_sentences_have_it():
    rows = [{**ROW, "links": ["Anna", "Norra"]}, {**OTHER, "links": ["Norra"]}]
    for seed in range(10):
        _, (request,) = play(made(quote="drawn"), draw(*rows, seed=seed), HOPS)
        said = request.messages[-1]["content"]
        assert "needs both facts" in said and "Fact: The harbour of Norra" in said


# --- unanswerable ----------------------------------------------------------------------------------------------------

OPEN = {"question": "How deep is the harbour of Norra at its piers?"}


def test_an_unanswerable_question_is_kept_when_the_model_says_that_the_text_leaves_it_open():
    method = made(unanswerable=1.0, no_answer="The document does not say.")
    candidate, asked = play(method, draw(), OPEN, {"answered": "no"})
    record = candidate.record
    assert (record["answerable"], record["citations"], record["answer_span"], record["hops"]) == (False, [], None, 0)
    assert record["answer"] == "The document does not say." and method.setting.schema.problems(record) == []
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([OPEN, {"answered": "yes"}], "answerable"),
        ([{"question": "What can lie by the southern pier, forty boats?"}], "answerable"),
        ([{"question": "Who is the president of the United States?"}], "off_topic"),
        ([{"question": "How deep is the harbour of Norra in the passage?"}], "refers_to_text"),
    ],
)
def test_one_that_the_text_answers_or_that_is_about_something_else_is_dropped(answers, expected):
    assert reason(made(unanswerable=1.0), *answers) == expected


def test_the_share_of_unanswerable_draws_is_as_asked_and_an_attribute_decides():
    method = made(unanswerable=0.2)
    asked = [method._is_answerable(draw(seed=Random(n).getrandbits(31))) for n in range(2000)]
    assert sum(asked) / 2000 == pytest.approx(0.8, abs=0.03)
    assert not method._is_answerable(draw(answerable="false")) and method._is_answerable(draw(answerable=True))


# --- rules -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "question",
    [
        "What is the main idea of the passage?", "According to the text, who came?", "What does this PEP propose?",
        "What is it used for?", "Which of the following statements is true?", "What is described above?",
        "What does sentence 3 say?", "What form should this metadata take?", "Is it closed?",
        "Which of the given exceptions is a subclass of DatabaseError?",
    ],
)  # fmt: skip
def test_a_question_that_needs_the_text_beside_it_is_seen(question):
    assert refers_to_text(question)


@pytest.mark.parametrize(
    "question",
    [
        "What is a docstring?", "Who wrote the text adventure Zork?".replace("text adventure", "game"),
        "What does the list method sort return?", "When is it possible to omit the version?".replace("it", "one"),
        "How many piers does the harbour of Norra have?", "What is a context manager in Python?",
    ],
)  # fmt: skip
def test_a_question_that_stands_alone_passes(question):
    assert refers_to_text(question) == ""


def test_support_counts_content_words_and_holds_to_numbers():
    quote = "Forty boats can lie at the southern pier for 15 euros."
    assert support("forty boats", quote) == 1 and support("The boat's pier", quote) == 1
    assert support("15 euros", quote) == 1 and support("16 euros", quote) == 0
    assert support("boats and ships", quote) == pytest.approx(0.5) and support("it is", quote) == 0
    assert support("Python 3.23", "Python was released on 2020-03-23.") == 0


def test_answers_agree_by_their_content_words():
    assert agreement("the Dutch engineers", "Dutch engineers.") == 1
    assert agreement("yes", "no") == 0 and agreement("yes", "Yes") == 1
    assert agreement("red boat", "blue boat") == pytest.approx(0.5)


def test_only_the_first_question_counts():
    assert first_question(": What is x? What is y?") == "What is x?"
    assert first_question("Question 1: What\n is x?") == "What is x?"
    assert first_question("What is 2 + 3") == "What is 2 + 3" and first_question("3 of what?") == "of what?"


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from(["a", "bb", "c.", "(d)", "[e", "f*"]), min_size=1, max_size=6), st.data())
def test_what_is_found_is_the_phrase_white_space_aside(parts, data):
    gaps = data.draw(st.lists(st.sampled_from([" ", "\n", "  \t"]), min_size=len(parts), max_size=len(parts)))
    text = "x " + "".join(part + gap for part, gap in zip(parts, gaps, strict=True)) + "y"
    found = find(" ".join(parts), text)
    assert found is None or found[0].split() == " ".join(parts).rstrip(".").split()
    assert found is not None or not parts[-1].rstrip(".").isalnum()


# --- in a run --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"agree": 50}, "did you mean 0.5"),
        ({"most_sentences": 0}, "at least 1"),
        ({"unanswerable": -1}, "between 0 and 1"),
    ],
)
def test_options_out_of_their_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Grounded(**options)


def test_without_a_text_the_run_is_refused():
    with pytest.raises(ValueError, match="'text' must be given"):
        made(inputs=frozenset({"body"}))


def recipe(folder: Path, **more):
    (folder / "docs").mkdir(exist_ok=True)
    (folder / "docs" / "norra.md").write_text(BEFORE + TEXT + "\n")
    return {
        "model": "scripted",
        "records": 2,
        "method": {"grounded": {"verify": "none"}},
        "seeds": {"path": str(folder / "docs"), "chunk": {"words": 60, "overlap": 0, "least": 5}, "shots": 1},
        "engine": {
            "texts": [json.dumps(GOOD), json.dumps({**GOOD, "question": "Whose work is the harbour of Norra?"})]
        },
        **more,
    }


def test_a_run_over_a_folder_cites_its_files(tmp_path):
    result = ts.run(recipe(tmp_path), folder=tmp_path / "run")
    rows = result.dataset.to_list()
    text = (tmp_path / "docs" / "norra.md").read_text()
    assert len(rows) == 2
    for row in rows:
        (citation,) = row["citations"]
        assert text[citation["start"] : citation["end"]] == citation["quote"] and citation["document"] == "norra"
    figures = Grounded().summary(rows)
    assert figures["quotes_in_context"] == 1.0 and figures["answers_extractive"] == 1.0 and figures["documents"] == 1
    rows[0]["citations"][0]["quote"] = "something else"
    assert Grounded().summary(rows)["quotes_in_context"] == 0.5


def test_the_context_can_be_left_out_and_drawn_fields_come_in(tmp_path):
    made_of = recipe(
        tmp_path,
        method={"grounded": {"verify": "none", "context": "leave_out"}},
        schema={"level": ["easy", "hard"]},
        attributes={"level": ["easy"]},
    )
    rows = ts.run(made_of, folder=tmp_path / "run").dataset.to_list()
    assert "context" not in rows[0] and rows[0]["level"] == "easy"


def test_a_field_that_nothing_gives_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="'topic' is neither drawn nor a column"):
        ts.check(recipe(tmp_path, schema={"topic": "text<=20"}))


@pytest.mark.parametrize("name", ["grounded", "multihop"])
def test_the_ready_recipes_are_right(name):
    from textsynth import recipes

    parts = ts.check(str(recipes.folder(name) / recipes.FILE))
    assert len(parts.seeds) > 20
    drawn = [one for one in parts.plan.next_window(8)]
    assert all(len(one.seeds) == parts.recipe.seeds.shots for one in drawn)
