"""Answers to eval items: how an item is asked, how the answer is read from a response, and when it is right.

This file needs the standard library alone: it is copied as it is into every exported eval set, so that each harness asks and
scores in the same way. An item is a mapping with ``kind``, ``question``, ``choices``, ``answer``, ``tolerance``, ``tests``.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

KINDS = ("multiple_choice", "exact", "numeric", "json", "code", "rubric")
LETTERS = "ABCDEFGHIJ"
TOKENS = {"multiple_choice": 16, "exact": 32, "numeric": 32, "json": 192, "code": 384, "rubric": 384}
"""Most tokens of a response, by kind."""
TASKS = {
    "multiple_choice": "Answer with the letter of the right option and nothing else.",
    "exact": "Answer with a few words and nothing else.",
    "numeric": "Answer with one number and nothing else.",
    "json": "Answer with one JSON object and nothing else.",
    "code": "Answer with Python code and nothing else.",
    "rubric": "Answer in a few sentences.",
}
"""What the model is told to answer with, by kind."""

_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+|(?<=\d))(?:[eE][-+]?\d+)?")
_LED = re.compile(r"(?:answer|option|choice)\s*(?:is|:)*\s*[(*\"']*([A-J])(?![\w'])", re.IGNORECASE)
_FENCE = re.compile(r"```(?:\w+)?\n(.*?)```", re.DOTALL)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_MARKS = re.compile(r"[^\w\s]|_")


def prompt(item: Mapping[str, Any], passage: str = "") -> str:
    """Return the text that asks an item: the passage if one is shown, the question, its options, what to answer with."""
    parts = [f"Passage:\n{passage}"] if passage else []
    options = [f"{letter}. {text}" for letter, text in zip(LETTERS, item.get("choices") or (), strict=False)]
    parts.append("\n".join([f"Question: {item['question']}", *options]))
    return "\n\n".join([*parts, TASKS[item["kind"]]])


def normalise(text: str) -> str:
    """Return a text without case, punctuation, articles and extra white space (as SQuAD compares answers)."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    kept = " ".join(_ARTICLES.sub(" ", _MARKS.sub(" ", plain)).split())
    return kept or " ".join(plain.split())


def read_number(text: str) -> float | None:
    """Return the last number in a text; commas may part its thousands."""
    found = [match for match in _NUMBER.findall(text) if any(sign.isdigit() for sign in match)]
    return float(found[-1].replace(",", "")) if found else None


def read_letter(text: str, choices: Sequence[str]) -> str:
    """Return the letter of the option that a response names, by itself or by its text; empty if none can be told."""
    letters = LETTERS[: len(choices)]
    said = text.strip().strip("*\"'` ")
    if match := re.match(rf"\(?([{letters}])(?:\W*$|[.):,*\n])", said, re.IGNORECASE):
        return match[1].upper()
    if match := _LED.search(said):
        return match[1].upper() if match[1].upper() in letters else ""
    options = [normalise(choice) for choice in choices]
    whole = normalise(re.sub(r"^\s*answer\s*:", "", said, flags=re.IGNORECASE))
    return letters[options.index(whole)] if options.count(whole) == 1 else ""


def read_json(text: str) -> Any:
    """Return the first JSON object or list in a text, ``None`` if there is none."""
    decoder = json.JSONDecoder()
    for match in re.finditer(r"[{\[]", text):
        try:
            return decoder.raw_decode(text, match.start())[0]
        except ValueError:
            continue
    return None


def read_code(text: str) -> str:
    """Return the last fenced block of a text, or all of it."""
    blocks: list[str] = _FENCE.findall(text)
    return (blocks[-1] if blocks else text).strip("\n")


def read_line(text: str) -> str:
    """Return the first line that says something, without ``Answer:`` before it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return re.sub(r"^answer\s*:\s*", "", lines[0], flags=re.IGNORECASE) if lines else ""


def read(item: Mapping[str, Any], response: str) -> str:
    """Return the answer that a response gives, in the form that items store answers in; empty if there is none."""
    kind = item["kind"]
    if kind == "multiple_choice":
        return read_letter(response, item["choices"])
    if kind == "numeric":
        number = read_number(response)
        return "" if number is None else f"{number:.12g}"
    if kind == "json":
        value = read_json(response)
        return "" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)
    if kind == "code":
        return read_code(response)
    return response.strip() if kind == "rubric" else read_line(response)


def same(item: Mapping[str, Any], one: str, other: str) -> bool:
    """Return whether two answers to an item, as ``read`` gives them, are the same; code and rubrics are not compared."""
    kind = item["kind"]
    if not one or not other:
        return False
    if kind == "numeric":
        first, second = read_number(one), read_number(other)
        if first is None or second is None:
            return False
        return abs(first - second) <= float(item.get("tolerance") or 0) * abs(second) + 1e-9
    if kind == "json":
        return bool(plain(read_json(one)) == plain(read_json(other)))
    return one == other if kind == "multiple_choice" else normalise(one) == normalise(other)


def plain(value: Any) -> Any:
    """Return a JSON value in which equal means equal: texts normalised, whole floats as integers, keys in any order."""
    if isinstance(value, str):
        return ("text", normalise(value))
    if isinstance(value, bool):
        return ("bool", value)  # True == 1 in Python
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def is_right(
    item: Mapping[str, Any], response: str, run_tests: Callable[[str, Sequence[str]], bool] | None = None
) -> bool:
    """Return whether a response gives the item's answer.

    Args:
        run_tests: runs a program and then each test; says whether all passed. Needed for items of the kind code.

    Raises:
        ValueError: a rubric, which needs a judge, or code without ``run_tests``.
    """
    if item["kind"] == "code" and run_tests is not None:
        return run_tests(read_code(response), item["tests"])
    if item["kind"] in {"code", "rubric"}:
        raise ValueError(f"an item of the kind {item['kind']} cannot be scored by comparing answers")
    return same(item, read(item, response), item["answer"])
