"""Tokens of each row as the trainer counts them, and what becomes of rows with too many."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

import textsynth as ts
from textsynth import models, recipe
from textsynth.engines.vllm import hide_broken_torchvision
from textsynth.errors import ExportError, RecipeError
from textsynth.export import TokenCounts, count_tokens, load_tokenizer
from textsynth.runs import Run

datasets = pytest.importorskip("datasets")
pytest.importorskip("transformers")
END = "<|im_end|>"
WORDS = "one two three four five six seven eight nine ten".split()


@pytest.fixture(scope="module")
def model() -> str:
    """Return the folder of the default model."""
    hide_broken_torchvision()
    return models.find("default").location


@pytest.fixture(scope="module")
def tokenizer(model: str) -> Any:
    return load_tokenizer(model)


def said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def count(rows: Any, tokenizer: Any, **options: Any) -> tuple[Any, TokenCounts]:
    """Count rows, by split if a mapping is given."""
    splits = rows if isinstance(rows, dict) else {"train": rows}
    made = datasets.DatasetDict({name: datasets.Dataset.from_list(part) for name, part in splits.items()})
    return count_tokens(made, tokenizer, **({"most": 10**6, "over": "keep"} | options))


def length(tokenizer: Any, text: str) -> int:
    return len(tokenizer(text, add_special_tokens=False)["input_ids"])


def chat(*turns: tuple[str, str]) -> str:
    """Write a conversation as the template of the default model does."""
    known = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
    return "".join(f"<|im_start|>{role}\n{text}{END}\n" for role, text in [("system", known), *turns])


ASKED, RIGHT, WRONG = "What is 2 + 2?", "It is 4.", "It is five, or perhaps six, I am told."
OPEN = "<|im_start|>assistant\n"


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"messages": [said("user", ASKED), said("assistant", RIGHT)]}, chat(("user", ASKED), ("assistant", RIGHT))),
        ({"prompt": ASKED, "completion": " " + RIGHT}, f"{ASKED} {RIGHT}{END}"),
        ({"prompt": ASKED, "completion": " " + RIGHT + END, "label": True}, f"{ASKED} {RIGHT}{END}"),
        (
            {"prompt": [said("user", ASKED)], "completion": [said("assistant", RIGHT)]},
            chat(("user", ASKED), ("assistant", RIGHT)),
        ),
        ({"prompt": ASKED, "chosen": RIGHT, "rejected": WRONG}, ASKED + WRONG + END),
        (
            {
                "prompt": [said("user", ASKED)],
                "chosen": [said("assistant", WRONG)],
                "rejected": [said("assistant", "")],
            },
            chat(("user", ASKED), ("assistant", WRONG)),
        ),
        ({"chosen": RIGHT, "rejected": WRONG}, WRONG + END),
        ({"prompt": [said("user", ASKED)], "answer": RIGHT}, chat(("user", ASKED)) + OPEN),
        ({"prompt": ASKED, "answer": RIGHT}, ASKED),
        ({"text": RIGHT, "label": 1}, RIGHT + END),
        ({"title": RIGHT + "\n", "number": 3, "body": WRONG}, RIGHT + "\n" + WRONG),
    ],
)
def test_a_row_has_the_tokens_that_its_trainer_sees(row, text, tokenizer):
    dataset, counts = count([row], tokenizer)
    assert (counts.rows, counts.total, counts.longest) == (1, length(tokenizer, text), length(tokenizer, text))
    assert dataset["train"].to_list() == [row]


@pytest.fixture
def rows() -> list[dict[str, str]]:
    """Return 600 rows of 2 to 11 tokens; more than one batch, as many of each length."""
    return [{"text": " ".join(WORDS[: 1 + at % 10])} for at in range(600)]


def test_sums_are_over_all_rows_of_all_splits(rows, tokenizer):
    _, counts = count({"train": rows[:500], "test": rows[500:]}, tokenizer, most=10)
    assert [length(tokenizer, row["text"] + END) for row in rows[:10]] == list(range(2, 12))
    assert (counts.rows, counts.total, counts.mean, counts.median) == (600, 60 * 65, 6.5, 6.5)
    assert (counts.p95, counts.longest, counts.longer) == (11, 11, 60)


def test_longer_rows_are_left_out_by_split(rows, tokenizer):
    dataset, counts = count({"train": rows[:500], "test": rows[500:]}, tokenizer, most=9, over="drop")
    assert counts.left_out == {"train": 100, "test": 20}
    assert counts.longer == 120
    kept = [row for row in rows if len(row["text"].split()) <= 8]
    assert {n: p.to_list() for n, p in dataset.items()} == {"train": kept[:400], "test": kept[400:]}
    assert "rows of more than 9 tokens: 120, left out (train 100, test 20)" in counts.lines()
    _, again = count({n: p.to_list() for n, p in dataset.items()}, tokenizer, most=9)
    assert again.longer == 0


def test_longer_rows_that_are_kept_are_counted(rows, tokenizer):
    dataset, counts = count(rows, tokenizer, most=9, over="keep")
    assert len(dataset["train"]) == 600
    assert (counts.longer, counts.left_out) == (120, {})
    assert "rows of more than 9 tokens: 120, kept" in counts.lines()


def test_all_rows_of_a_record_go_together(tokenizer):
    pairs = [{"prompt": "Say", "completion": f" {word}", "label": True} for word in WORDS]
    pairs[4]["completion"] = " a word of some length"
    pairs[7]["completion"] = " another word of some length"
    dataset, counts = count(pairs, tokenizer, most=4, over="drop", rows_per_record=2)
    assert (counts.longer, counts.left_out) == (2, {"train": 4})
    assert dataset["train"]["completion"][:] == [f" {word}" for word in (*WORDS[:4], *WORDS[8:])]


def test_a_split_may_lose_all_its_rows_but_not_every_split(rows, tokenizer):
    dataset, _ = count({"train": rows[:1], "test": rows[9:10]}, tokenizer, most=5, over="drop")
    assert {name: len(part) for name, part in dataset.items()} == {"train": 1, "test": 0}
    with pytest.raises(
        ExportError, match="2 of 2 rows have more than 1 tokens .* so no row is left; the longest has 11"
    ):
        count({"train": rows[:1], "test": rows[9:10]}, tokenizer, most=1, over="drop")


def test_longer_rows_are_refused_with_what_helps(rows, tokenizer):
    with pytest.raises(ExportError, match=r"120 of 600 rows have more than 9 tokens .*longest has 11") as caught:
        count(rows, tokenizer, most=9, over="refuse", model="mine")
    assert "max_length=11" in caught.value.hint
    assert len(count(rows, tokenizer, most=11, over="refuse")[0]["train"]) == 600


def test_prompts_that_merge_with_their_completion_are_counted(tokenizer):
    clean, joined = {"prompt": "Peru is", "completion": " far"}, {"prompt": "Peru is ", "completion": "far"}
    _, counts = count([clean, joined, joined], tokenizer)
    assert counts.merged == 2
    assert "rows whose prompt and completion merge at the boundary: 2" in counts.lines()
    sides = {"prompt": "Peru is", "chosen": " far", "rejected": "n't"}
    assert count([sides], tokenizer)[1].merged == 1


def test_tool_calls_that_the_template_does_not_show_are_counted(tokenizer):
    call = {"function": {"name": "add", "arguments": {"a": 1}}}
    rows = [
        {"messages": [{**said("user", "1 + 1?"), "tool_calls": None}, {**said("assistant", ""), "tool_calls": [call]}]},
        {"messages": [{**said("user", "1 + 1?"), "tool_calls": None}, {**said("assistant", "2"), "tool_calls": []}]},
    ]
    _, counts = count(rows, tokenizer)
    assert counts.calls_lost == 1
    assert "rows with tool calls that this chat template does not show: 1" in counts.lines()
    other = copy.deepcopy(tokenizer)
    other.chat_template = (Path(__file__).parent / "data" / "tokens" / "qwen2.5.jinja").read_text(encoding="utf-8")
    assert count(rows, other)[1].calls_lost == 0


def test_conversations_whose_turns_cannot_be_told_are_counted(tokenizer):
    other = copy.deepcopy(tokenizer)
    other.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% if loop.last %}<think>{% endif %}{{ m['content'] }}"
        "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    turns = [said("user", "a"), said("assistant", "b"), said("user", "c"), said("assistant", "d")]
    _, counts = count([{"messages": turns}], other)
    assert counts.unclear == 1
    assert any("does not tell the assistant's tokens: 1" in line for line in counts.lines())


# A run


def exporting(scripted: dict[str, Any], model: str, **tokens: Any) -> dict[str, Any]:
    splits = {"train": 0.75, "test": 0.25}
    return scripted | {"export": {"splits": splits, "tokens": {"model": model, **tokens}}}


def test_a_run_leaves_long_rows_out_of_its_export_and_its_card_says_so(scripted, model, tmp_path):
    made = ts.run(exporting(scripted, model, most=10**6), folder=tmp_path / "run")
    kept = made.totals.kept
    made.datasets()
    whole = made.token_counts
    assert (whole.rows, whole.longer, sum(whole.left_out.values())) == (kept, 0, 0)
    spec = made.recipe.export
    middle = spec.model_copy(update={"tokens": recipe.TokenSpec(model=model, most=int(whole.median))})
    (place,) = made.export(middle)
    counts = made.token_counts
    assert 0 < counts.longer == sum(counts.left_out.values()) < kept
    sizes = {"train": kept * 3 // 4, "test": kept // 4}
    read = datasets.load_dataset(place, cache_dir=str(tmp_path / "cache"))
    assert {name: len(read[name]) + counts.left_out[name] for name in sizes} == sizes
    card = Path(place, "README.md").read_text()
    assert "## Tokens" in card
    for line in counts.lines():
        assert f"- {line}" in card
    assert f"{kept} records in {kept - counts.longer} rows" in card
    assert model not in card.split("## How to make it again")[0]
    assert f"| kept | {kept} |" in card
    made.close()


def test_nothing_is_written_when_long_rows_are_refused_or_the_tokenizer_is_not_there(scripted, model, tmp_path):
    made = ts.run(scripted, folder=tmp_path / "run")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "config.json").write_text('{"model_type": "llama"}')
    for tokens, message in (
        ({"model": model, "most": 3, "over": "refuse"}, "rows have more than 3 tokens"),
        ({"model": str(tmp_path / "empty")}, "no tokenizer of '.*empty' can be loaded"),
        ({"model": "nobody/nothing-of-the-kind"}, "no tokenizer of 'nobody/nothing-of-the-kind' can be loaded"),
        ({"model": str(tmp_path / "absent")}, "there is no folder"),
        ({}, "'scripted' has no tokenizer here"),
    ):
        spec = recipe.ExportSpec(tokens=recipe.TokenSpec(**tokens))
        with pytest.raises(ExportError, match=message):
            made.export(spec, folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert made.token_counts is None
    made.close()


def test_a_folder_of_the_model_may_be_relative_to_the_recipe(scripted, model, tmp_path):
    (tmp_path / "target").symlink_to(model)
    folder = tmp_path / "run"
    ts.run(recipe.parse(exporting(scripted, model), tmp_path), folder=folder).close()
    made = Run(folder)
    made.datasets(recipe.ExportSpec(tokens=recipe.TokenSpec(model="target")))
    assert made.token_counts.rows == made.totals.kept
    made.close()


@pytest.mark.parametrize(
    "tokens", [{"most": 0}, {"over": "cut"}, {"model": "scripted"}, {"model": "http://localhost:1/v1"}, {"limit": 3}]
)
def test_a_recipe_that_counts_in_a_way_that_cannot_be(tokens, scripted):
    with pytest.raises(RecipeError, match="tokens"):
        recipe.parse(scripted | {"model": "default", "export": {"tokens": tokens}}, Path())


def test_true_counts_by_the_defaults(scripted):
    asked = scripted | {"model": "default", "export": {"tokens": True}}
    assert recipe.parse(asked, Path()).export.tokens == recipe.TokenSpec()
    with pytest.raises(RecipeError, match="'scripted' has no tokenizer here"):
        recipe.parse(asked | {"model": "scripted"}, Path())
    assert recipe.parse(scripted | {"export": {"tokens": False}}, Path()).export.tokens is None
