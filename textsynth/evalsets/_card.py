"""The card of an eval set and of its training rows: both carry the same table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import yaml

from textsynth.export import license_metadata, size_category
from textsynth.markdown import cell, codes, section, table
from textsynth.runs import Run

USE = """Each line of `items.jsonl` is an item: `prompt` is what a model is asked, `answer` the key; `scoring.py` reads and compares answers.

    inspect eval inspect_task.py --model openai-api/NAME/MODEL
    lm_eval --include_path lm_eval --tasks {name} --model local-chat-completions --apply_chat_template
    textsynth evalset score . --model http://localhost:8000/v1

All three ask the same prompt, greedily, and score with the same code.{code}"""
CODE = " Items of the kind code run what a model wrote: set HF_ALLOW_CODE_EVAL=1 if you accept that."


def card(name: str, side: Literal["eval", "train"], facts: Mapping[str, Any], notes: Sequence[str], run: Run) -> str:
    """Return the Markdown of one side's card."""
    recipe = run.recipe
    count = facts["eval"]["written" if side == "eval" else "training rows"]
    head: dict[str, Any] = {"language": recipe.language, **license_metadata(recipe.license)} if recipe.license else {}
    head |= {"tags": ["synthetic", "textsynth"], "size_categories": [size_category(count)]}
    title = f"{name}: {'eval items' if side == 'eval' else 'training rows beside the eval set'}"
    what = (
        "Items with checked answers, made by a language model." if side == "eval" else "What is left for training: no row "
        "shares a source, a passage or a near copy with the eval items."
    )  # fmt: skip
    code = CODE if "code" in facts.get("kind", {}) else ""
    parts = [
        f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n# {title}",
        f"{what} Model: {cell(recipe.model)}; methods: {codes(step.method.name for step in recipe.chain)}.",
        section("What was counted", fact_table(facts)),
        section("How to use it", [USE.format(name=name, code=code)]) if side == "eval" else "",
        section("Notes", [f"- {note}" for note in notes]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def fact_table(facts: Mapping[str, Any]) -> list[str]:
    """Return the facts as one table: what, detail, value."""
    return table(("what", "detail", "value"), list(rows(facts)))


def rows(facts: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Yield the lines of the table."""
    for what, own in facts.items():
        for name, value in own.items():
            if isinstance(value, Mapping):
                yield from ((what, f"{name}: {inner}", count) for inner, count in sorted(value.items()))
            else:
                yield what, str(name), value if isinstance(value, int) else str(value)
