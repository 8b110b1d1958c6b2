"""How answers are read from responses and compared; the same code runs inside exported sets."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from textsynth import answers

CHOICES = ["a green roof", "Paris", "an axe", "the sun"]


@pytest.mark.parametrize(
    ("said", "letter"),
    [
        ("B", "B"),
        ("b.", "B"),
        ("(C)", "C"),
        ("**D**", "D"),
        ("B. Paris", "B"),
        ("The answer is C.", "C"),
        ("Answer: (B)", "B"),
        ("Paris", "B"),
        ("answer: the Sun!", "D"),
        ("A green roof", "A"),
        ("A tall house stands there", ""),
        ("E", ""),
        ("", ""),
        ("I think so", ""),
        ("Paris and an axe", ""),
    ],
)
def test_a_letter_is_read_by_itself_or_by_its_option_and_never_guessed(said, letter):
    assert answers.read_letter(said, CHOICES) == letter


@pytest.mark.parametrize(
    ("said", "number"),
    [("42", 42), ("It is 1,250.5 metres", 1250.5), ("-3e2", -300), ("from 3 to 5", 5), ("none", None), (".5", 0.5)],
)
def test_the_last_number_is_read(said, number):
    assert answers.read_number(said) == number


def item(kind, answer, **more):
    return {"kind": kind, "question": "?", "answer": answer, **more}


@pytest.mark.parametrize(
    ("one", "said", "right"),
    [
        (item("exact", "The Zen of Python"), "zen of python.", True),
        (item("exact", "Paris"), "Answer: Paris\nIt is the capital.", True),
        (item("exact", "Paris"), "Paris, France", False),
        (item("exact", "C++"), "C++", True),
        (item("exact", "the"), "the", True),
        (item("numeric", "100", tolerance=0.01), "about 100.9", True),
        (item("numeric", "100", tolerance=0.01), "102", False),
        (item("numeric", "100"), "100.0", True),
        (item("numeric", "100"), "", False),
        (item("multiple_choice", "B", choices=CHOICES), "B", True),
        (item("multiple_choice", "B", choices=CHOICES), "A", False),
        (item("multiple_choice", "B", choices=CHOICES), "", False),
        (item("json", '{"a": 1, "b": "Two"}'), 'Here: ```json\n{"b": "two", "a": 1.0}\n```', True),
        (item("json", '{"a": 1}'), '{"a": "1"}', False),
        (item("json", '{"a": 1}'), '{"a": 1, "b": 2}', False),
        (item("json", '{"a": 1}'), "no object", False),
    ],
)
def test_each_kind_has_its_own_comparison(one, said, right):
    assert answers.is_right(one, said) is right


def test_true_is_not_one():
    assert not answers.is_right(item("json", '{"a": 1}'), '{"a": true}')


def test_code_is_tested_and_a_rubric_is_not_compared():
    one = item("code", "def f(): return 1", tests=["assert f() == 1"])
    seen = []
    assert answers.is_right(one, "Sure:\n```python\ndef f(): return 1\n```", lambda code, tests: not seen.append(code))
    assert seen == ["def f(): return 1"]
    for kind in ("code", "rubric"):
        with pytest.raises(ValueError, match="cannot be scored by comparing"):
            answers.is_right(item(kind, "x"), "x")


def test_the_prompt_holds_passage_question_and_options_and_says_what_to_answer_with():
    one = item("multiple_choice", "B", choices=CHOICES) | {"question": "Which city?"}
    assert answers.prompt(one).startswith("Question: Which city?\nA. a green roof\nB. Paris\n")
    assert answers.prompt(one, "Long ago.").startswith("Passage:\nLong ago.\n\nQuestion:")
    assert all(answers.TASKS[kind] in answers.prompt(item(kind, "x")) for kind in answers.KINDS)


def test_the_module_needs_the_standard_library_alone():
    tree = ast.parse(Path(answers.__file__).read_text())
    names = [node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in ast.walk(tree)
             if isinstance(node, ast.Import | ast.ImportFrom)]  # fmt: skip
    assert {str(name).split(".")[0] for name in names} <= sys.stdlib_module_names
