"""The trainers of TRL take what the forms write, unchanged: records, form, Parquet files, load_dataset, trainer, steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from textsynth import export, models
from textsynth.engines.vllm import hide_broken_torchvision
from textsynth.schema import load

pytest.importorskip("trl")
torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.filterwarnings("ignore:TRL currently supports vLLM versions:UserWarning"),
    pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning"),
]

STEPS, BATCH, LONGEST = 2, 2, 64
CITIES = {"France": "Paris", "Italy": "Rome", "Spain": "Madrid", "Peru": "Lima", "Kenya": "Nairobi", "Japan": "Tokyo"}
PAIRS = [
    {"prompt": f"What is the capital of {land}?", "chosen": f"{city}.", "rejected": f"It is in {land}.", "margin": 0.5}
    for land, city in CITIES.items()
]
INSTRUCTIONS = [
    {"instruction": "Name the capital of this country.", "input": land, "response": f"The capital is {city}."}
    for land, city in CITIES.items()
]
DIALOGUES = [
    {
        "messages": [
            {"role": "user", "content": f"What is the capital of {land}?"},
            {"role": "assistant", "content": f"{city}."},
        ]
    }
    for land, city in CITIES.items()
]
TEXTS = [{"text": f"The capital of {land} is {city}."} for land, city in CITIES.items()]
ASKED = [{"question": f"What is the capital of {land}?", "answer": city} for land, city in CITIES.items()]
STRING, NUMBER = {"type": "string"}, {"type": "number"}
MESSAGE = {"type": "object", "properties": {"role": STRING, "content": STRING}, "additionalProperties": False}
KINDS = {"margin": NUMBER, "messages": {"type": "array", "items": MESSAGE}}


@dataclass(frozen=True)
class Trained:
    """What is asserted on: the trainer after its steps, its losses, and whether the weights moved."""

    trainer: Any
    losses: list[float]
    moved: bool

    @property
    def rows(self) -> Any:
        return self.trainer.train_dataset


@cache
def default_model() -> str:
    return models.find("default").location


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of the default model with two of its layers: what is asked here is not how well it learns."""
    hide_broken_torchvision()
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path_factory.mktemp("model") / "two-layers"
    model = AutoModelForCausalLM.from_pretrained(default_model(), dtype=torch.float32)
    model.model.layers = model.model.layers[:2]
    model.config.num_hidden_layers = 2
    if getattr(model.config, "layer_types", None):
        model.config.layer_types = model.config.layer_types[:2]
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(default_model()).save_pretrained(folder)
    return str(folder)


def exported(records: list[dict[str, Any]], form: str, folder: Path, **options: Any) -> Any:
    """Return the rows as a user loads them: exported as Parquet, read by ``load_dataset``."""
    import datasets

    properties = {name: KINDS.get(name, STRING) for name in records[0]}
    schema = load(
        {"type": "object", "properties": properties, "additionalProperties": False}, folder=Path(), place="schema"
    )
    made = export.build(form, options)
    made.check(schema)
    dataset = export.to_dataset(iter(records), made, schema, {"train": 1.0}, 0)
    export.write(dataset, folder / "dataset", "parquet", "# Cities\n")
    return datasets.load_dataset(str(folder / "dataset"), cache_dir=str(folder / "cache"))["train"]


def settings(kind: Any, folder: Path, **more: Any) -> Any:
    """Return the trainer's settings: a few steps on the CPU, nothing saved or reported."""
    common = {
        "max_steps": STEPS,
        "per_device_train_batch_size": BATCH,
        "learning_rate": 1e-3,
        "lr_scheduler_type": "constant",
        "logging_steps": 1,
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "dataloader_pin_memory": False,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
    }
    return kind(output_dir=str(folder / "out"), **(common | more))


def train(trainer: Any) -> Trained:
    """Run the steps."""
    before = [weights.detach().clone() for weights in trainer.model.parameters()]
    trainer.train()
    assert trainer.state.global_step == STEPS
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    after = trainer.model.parameters()
    return Trained(trainer, losses, any(not torch.equal(a, b) for a, b in zip(before, after, strict=True)))


def fine_tune(model: str, rows: Any, folder: Path, **more: Any) -> Trained:
    """Run TRL's SFTTrainer."""
    from trl import SFTConfig, SFTTrainer

    return train(SFTTrainer(model, args=settings(SFTConfig, folder, max_length=LONGEST, **more), train_dataset=rows))


def assert_learnt(found: Trained) -> None:
    """Every step had a finite loss, and the weights moved."""
    assert len(found.losses) == STEPS and all(map(math.isfinite, found.losses))
    assert found.moved


def learnt_texts(found: Trained) -> list[str]:
    """Return what of each row bears the loss, as text."""
    batch = found.trainer.data_collator([found.rows[i] for i in range(len(found.rows))])
    tokenizer = found.trainer.processing_class
    return [tokenizer.decode(row[row != -100]) for row in batch["labels"]]


# Fine-tuning


def test_the_default_model_is_fine_tuned_on_messages(tmp_path):
    found = fine_tune(default_model(), exported(DIALOGUES, "messages", tmp_path), tmp_path)
    assert_learnt(found)
    assert len(found.rows) == len(DIALOGUES)
    assert all(f"{city}.<|im_end|>" in text for city, text in zip(CITIES.values(), learnt_texts(found), strict=True))


def test_of_a_prompt_and_completion_only_the_completion_is_learnt(small, tmp_path):
    found = fine_tune(small, exported(INSTRUCTIONS, "prompt_completion", tmp_path, style="chat"), tmp_path)
    assert_learnt(found)
    expected = [f"The capital is {city}.<|im_end|>" for city in CITIES.values()]
    assert [text.strip() for text in learnt_texts(found)] == expected


def test_of_plain_texts_too(small, tmp_path):
    options = {"prompt": "{instruction}\n{input}\n", "completion": "response"}
    found = fine_tune(small, exported(INSTRUCTIONS, "prompt_completion", tmp_path, **options), tmp_path)
    assert_learnt(found)
    end = found.trainer.processing_class.eos_token
    assert learnt_texts(found) == [f"The capital is {city}.{end}" for city in CITIES.values()]


def test_of_texts_every_word_is_learnt(small, tmp_path):
    found = fine_tune(small, exported(TEXTS, "text", tmp_path), tmp_path)
    assert_learnt(found)
    end = found.trainer.processing_class.eos_token
    assert learnt_texts(found) == [record["text"] + end for record in TEXTS]


# Preferences


@pytest.mark.parametrize("style", ["text", "chat"])
def test_preferences_train_dpo(style, small, tmp_path):
    from trl import DPOConfig, DPOTrainer

    rows = exported(PAIRS, "preference", tmp_path, style=style)
    found = train(DPOTrainer(small, args=settings(DPOConfig, tmp_path, max_length=LONGEST), train_dataset=rows))
    assert_learnt(found)
    assert len(found.rows) == len(PAIRS)
    assert math.isclose(found.losses[0], math.log(2), abs_tol=1e-4), "the model is its own reference at first"
    row, tokenizer = found.rows[0], found.trainer.processing_class
    assert tokenizer.decode(row["chosen_ids"]).startswith("Paris.")
    assert tokenizer.decode(row["rejected_ids"]).startswith("It is in France.")


@pytest.mark.parametrize("style", ["text", "chat"])
def test_pairs_train_kto(style, small, tmp_path):
    from trl import KTOConfig, KTOTrainer

    rows = exported(PAIRS, "kto", tmp_path, style=style)
    found = train(KTOTrainer(small, args=settings(KTOConfig, tmp_path, max_length=LONGEST), train_dataset=rows))
    assert_learnt(found)
    assert len(found.rows) == 2 * len(PAIRS)
    assert sorted(rows["label"]) == [False] * len(PAIRS) + [True] * len(PAIRS)


@pytest.mark.parametrize("style", ["text", "chat"])
def test_preferences_with_their_margin_train_a_reward_model(style, small, tmp_path):
    from trl import RewardConfig, RewardTrainer

    rows = exported(PAIRS, "preference", tmp_path, style=style)
    found = train(RewardTrainer(small, args=settings(RewardConfig, tmp_path, max_length=LONGEST), train_dataset=rows))
    assert_learnt(found)
    assert len(found.rows) == len(PAIRS)
    batch = found.trainer.data_collator([found.rows[0], found.rows[1]])
    assert batch["margin"].tolist() == [0.5, 0.5]


# Prompts


@pytest.mark.parametrize("style", ["text", "chat"])
def test_prompts_train_grpo_and_rewards_get_what_was_kept(style, small, tmp_path):
    from trl import GRPOConfig, GRPOTrainer

    heard: list[tuple[Any, str]] = []

    def reward(prompts: list[Any], completions: list[Any], answer: list[str], **others: Any) -> list[float]:
        heard.extend(zip(prompts, answer, strict=True))
        return [float(i % 2) for i in range(len(completions))]

    rows = exported(ASKED, "prompts", tmp_path, style=style, keep=("answer",))
    args = settings(GRPOConfig, tmp_path, num_generations=2, max_completion_length=8)
    found = train(GRPOTrainer(small, reward_funcs=reward, args=args, train_dataset=rows))
    assert_learnt(found)
    answers = {record["question"]: record["answer"] for record in ASKED}
    assert len(heard) == STEPS * BATCH
    for prompt, answer in heard:
        assert answers[prompt if style == "text" else prompt[-1]["content"]] == answer
