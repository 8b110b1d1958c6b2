"""Which tokens are trained on: the assistant's, by the template of the model, and TRL's trainer masks the same ones."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from textsynth import models
from textsynth.engines.vllm import hide_broken_torchvision
from textsynth.errors import ExportError
from textsynth.export import Trained, trained_tokens, training_template

pytest.importorskip("transformers")
QWEN = Path(__file__).parent / "data" / "tokens" / "qwen2.5.jinja"
END = "<|im_end|>"
CALL = {"type": "function", "function": {"name": "find_bus", "arguments": {"to": "Lima", "seats": 2}}}
WRITTEN = '<tool_call>\n{"name": "find_bus", "arguments": {"to": "Lima", "seats": 2}}\n</tool_call>'
TOOL = {"type": "function", "function": {"name": "find_bus", "parameters": {"type": "object", "properties": {}}}}


def said(role: str, content: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


ONE = [said("user", "What is 2 + 2?"), said("assistant", "It is 4.")]
SEVERAL = [*ONE, said("user", "And 3 + 3?"), said("assistant", " Six,\n\nof course. "), said("user", "Thanks!")]
SYSTEM = [said("system", "Answer in one word."), *SEVERAL]
EMPTY = [said("user", "Say nothing."), said("assistant", ""), said("user", "Go on."), said("assistant", "No.")]
OPENED = [said("assistant", "Welcome!"), said("user", "Hi"), said("assistant", "What can I do?")]
ODD = [
    said("user", "Grüße 🙂\n"),
    said("assistant", "数 🙂 naïve"),
    said("user", "assistant\n"),
    said("assistant", "x"),
]
CALLS = [
    said("user", "Two seats to Lima."),
    said("assistant", "", tool_calls=[CALL, CALL]),
    said("tool", "none"),
    said("assistant", "Again.", tool_calls=[CALL]),
    said("tool", "bus 7"),
    said("assistant", "Bus 7 goes there."),
]
JOINED = [said("user", "Go"), said("assistant", "\n\nWell")]
CONVERSATIONS = [ONE, SEVERAL, SYSTEM, EMPTY, OPENED, ODD]


@pytest.fixture(scope="module")
def smollm() -> Any:
    """Return the tokenizer of the default model."""
    hide_broken_torchvision()
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(models.find("default").location)


@pytest.fixture(scope="module")
def qwen(smollm: Any) -> Any:
    """Return the same tokenizer with the template of Qwen2.5, whose special tokens it shares."""
    tokenizer = copy.deepcopy(smollm)
    tokenizer.chat_template = QWEN.read_text(encoding="utf-8")
    return tokenizer


@pytest.fixture(params=["smollm", "qwen"])
def tokenizer(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def with_template(tokenizer: Any, template: str) -> Any:
    other = copy.deepcopy(tokenizer)
    other.chat_template = template
    return other


def only(tokenizer: Any, row: dict[str, Any]) -> Trained:
    (found,) = trained_tokens(tokenizer, row)
    return found


def learnt(tokenizer: Any, found: Trained) -> list[str]:
    """Return each run of tokens that are trained on, as text."""
    runs: list[list[int]] = [[]]
    for number, on in zip(found.ids, found.mask, strict=True):
        runs[-1].append(number) if on else runs.append([])
    return [tokenizer.decode(run) for run in runs if run]


@pytest.mark.parametrize("messages", CONVERSATIONS)
def test_what_the_assistant_says_and_its_end_is_trained_on(tokenizer, messages):
    found = only(tokenizer, {"messages": messages})
    assert learnt(tokenizer, found) == [m["content"] + END for m in messages if m["role"] == "assistant"]
    assert not found.merged
    assert list(found.ids) == tokenizer.apply_chat_template(messages, return_dict=False)


def test_tool_calls_are_trained_on_where_the_template_shows_them(smollm, qwen):
    spoken = [f"{WRITTEN}\n{WRITTEN}{END}", f"Again.\n{WRITTEN}{END}", f"Bus 7 goes there.{END}"]
    assert learnt(qwen, only(qwen, {"messages": CALLS, "tools": [TOOL]})) == spoken
    assert learnt(smollm, only(smollm, {"messages": CALLS})) == [END, f"Again.{END}", f"Bus 7 goes there.{END}"]


def test_a_token_across_the_beginning_of_an_answer_is_told(tokenizer):
    """An answer that begins with empty lines shares a token with the end of the line before it."""
    found = only(tokenizer, {"messages": JOINED})
    assert found.merged
    assert learnt(tokenizer, found) == [f"\n\n\nWell{END}"]
    pair = only(tokenizer, {"prompt": JOINED[:1], "completion": JOINED[1:]})
    assert pair.merged


@pytest.mark.parametrize("messages", [*CONVERSATIONS, CALLS, JOINED])
def test_the_marked_template_writes_the_same_text_and_marks_the_same_tokens(tokenizer, messages):
    marked = training_template(tokenizer)
    for options in ({}, {"add_generation_prompt": True}, {"tools": [TOOL]}):
        texts = [
            tokenizer.apply_chat_template(messages, tokenize=False, chat_template=t, **options) for t in (None, marked)
        ]
        assert texts[0] == texts[1]
    found = tokenizer.apply_chat_template(
        messages, chat_template=marked, return_dict=True, return_assistant_tokens_mask=True
    )
    own = only(tokenizer, {"messages": messages})
    assert tuple(found["input_ids"]) == own.ids
    assert tuple(map(bool, found["assistant_masks"])) == own.mask


def test_a_template_with_marks_is_left_as_it_is(tokenizer):
    marked = training_template(tokenizer)
    assert training_template(with_template(tokenizer, marked)) == marked


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}<|im_end|>{% endfor %}",
        # of the family by its looks, but the text in front of a turn would be lost: the check finds it
        "{% for message in messages %}> {{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>'"
        " + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '> <|im_start|>assistant\n' }}{% endif %}",
    ],
)
def test_of_an_unknown_family_there_is_no_marked_template(smollm, template):
    assert training_template(with_template(smollm, template)) is None


def test_a_template_that_drops_earlier_thoughts_is_refused(smollm):
    template = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% if m['role'] == 'assistant' and loop.last %}<think>"
        "{% endif %}{{ m['content'] }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
        "{% endif %}"
    )
    tokenizer = with_template(smollm, template)
    assert learnt(tokenizer, only(tokenizer, {"messages": ONE})) == [f"<think>It is 4.{END}"]
    with pytest.raises(ExportError, match="shows earlier turns otherwise"):
        trained_tokens(tokenizer, {"messages": SEVERAL})


def test_without_a_template_messages_are_refused(smollm):
    with pytest.raises(ExportError, match="no chat template"):
        trained_tokens(with_template(smollm, None), {"messages": ONE})


def test_a_template_that_refuses_a_conversation_is_told_by_its_words(smollm):
    strict = with_template(smollm, "{{ raise_exception('roles must alternate') }}")
    with pytest.raises(ExportError, match="roles user, assistant: roles must alternate"):
        trained_tokens(strict, {"messages": ONE})


@pytest.mark.parametrize(
    ("prompt", "completion", "merged", "text"),
    [
        ("The capital of Peru is", " Lima.", False, f" Lima.{END}"),
        ("The capital of Peru is ", "Lima.", True, f" Lima.{END}"),
        ("The capi", "tal of Peru", True, f" capital of Peru{END}"),
        ("Peru:\n", f"Lima{END}", False, f"Lima{END}"),
    ],
)
def test_of_plain_texts_what_follows_the_prompt(smollm, prompt, completion, merged, text):
    found = only(smollm, {"prompt": prompt, "completion": completion})
    assert (found.merged, learnt(smollm, found)) == (merged, [text])


def test_of_messages_what_follows_the_prompt(tokenizer):
    found = only(tokenizer, {"prompt": SYSTEM[:4], "completion": [said("assistant", "Six.")]})
    assert (found.merged, learnt(tokenizer, found)) == (False, [f"Six.{END}\n"])


def test_of_a_preference_both_sides(tokenizer):
    sides = {"chosen": [said("assistant", "Four.")], "rejected": [said("assistant", "Five!")]}
    found = [learnt(tokenizer, side) for side in trained_tokens(tokenizer, {"prompt": ONE[:1], **sides})]
    assert found == [[f"Four.{END}\n"], [f"Five!{END}\n"]]


# TRL


def tiny_model(tokenizer: Any) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    return LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **sizes))


def prepared(tokenizer: Any, rows: list[dict[str, Any]], folder: Path, **options: Any) -> list[Any]:
    """Return what TRL's SFTTrainer makes of rows: tokens, and which are trained on."""
    from datasets import Dataset, Features, Json, List, Value
    from trl import SFTConfig, SFTTrainer

    message = {"role": Value("string"), "content": Value("string"), "tool_calls": List(Json())}
    features = Features({"messages": List(message), "tools": List(Json())}) if "tools" in rows[0] else None
    dataset = Dataset.from_list(rows, features=features)
    settings = SFTConfig(
        output_dir=str(folder), use_cpu=True, bf16=False, report_to="none", disable_tqdm=True, **options
    )
    made = SFTTrainer(tiny_model(tokenizer), settings, train_dataset=dataset, processing_class=tokenizer).train_dataset
    return [(tuple(row["input_ids"]), tuple(label != -100 for label in row["labels"])) for row in made]


@pytest.mark.filterwarnings("ignore:TRL currently supports vLLM versions:UserWarning")
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
class TestTrl:
    """TRL's trainer trains on the tokens that are said here, no more and no fewer."""

    @pytest.fixture(autouse=True)
    def need(self) -> None:
        pytest.importorskip("trl")

    def test_with_the_marked_template_it_trains_on_what_the_assistant_says(self, tokenizer, tmp_path):
        rows = [{"messages": messages} for messages in CONVERSATIONS]
        marked = with_template(tokenizer, training_template(tokenizer))
        own = [only(tokenizer, row) for row in rows]
        assert prepared(marked, rows, tmp_path, assistant_only_loss=True) == [(o.ids, o.mask) for o in own]

    def test_with_tools_too(self, qwen, tmp_path):
        rows = [{"messages": CALLS, "tools": [TOOL]}]
        own = only(qwen, rows[0])
        marked = with_template(qwen, training_template(qwen))
        assert prepared(marked, rows, tmp_path, assistant_only_loss=True) == [(own.ids, own.mask)]

    @pytest.mark.parametrize(
        "rows",
        [
            [{"prompt": "Peru:", "completion": " Lima"}, {"prompt": "The capi", "completion": "tal"}],
            [{"prompt": ONE[:1], "completion": ONE[1:]}, {"prompt": SYSTEM[:4], "completion": [said("assistant", "")]}],
            [{"text": "The capital of Peru is Lima."}],
        ],
    )
    def test_of_pairs_and_texts(self, rows, tokenizer, tmp_path):
        own = [only(tokenizer, row) for row in rows]
        assert prepared(tokenizer, rows, tmp_path) == [(o.ids, o.mask) for o in own]
