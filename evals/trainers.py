"""Do the trainers of TRL, and SetFit, take what the forms write, with the whole default model?

Seed tasks of self_instruct (instruction, input, output) are written in each form as Parquet, read by ``load_dataset`` and
handed to the matching trainer as they are; it takes a few steps on the CPU with its own settings. In a preference the
better answer is the task's own, the worse one another task's. For text classification SetFit takes questions of banking77 with their intent;
its accuracy is on questions that it did not see. The question is whether they run and which rows they see, not how good
the models become.

    python evals/trainers.py            # some 3 minutes of one core; writes evals/results/trainers.json
    python evals/trainers.py DPO KTO    # only these trainers; the other rows of the table stay
"""

from __future__ import annotations

import argparse
import csv
import gc
import importlib.metadata
import json
import math
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from textsynth import export, models
from textsynth.engines.vllm import hide_broken_torchvision
from textsynth.schema import load

HERE = Path(__file__).resolve().parent
DATA = HERE.parent.parent / "shared" / "data"
RESULTS = HERE / "results" / "trainers.json"
TASKS, BATCH, LONGEST, MOST_CHARACTERS = 24, 2, 128, 400
INTENTS, PER_INTENT, HELD_OUT = 8, 8, 8
STRING = {"type": "string"}


@dataclass(frozen=True)
class Case:
    """A form with its options, and the trainer that takes it."""

    form: str
    trainer: str
    fields: Sequence[str]
    options: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


TASK, PAIR = ("instruction", "input", "output"), ("instruction", "input", "chosen", "rejected")
CHAT, SHORT = {"style": "chat"}, {"max_length": LONGEST}
WHOLE = {"text": "{instruction}\n{input}\n{output}"}
JOINED = {"prompt": "{instruction}\n{input}\n", "completion": "output"}
CASES = [
    Case("messages", "SFT", TASK, {}, SHORT),
    Case("prompt_completion", "SFT", TASK, CHAT, SHORT),
    Case("prompt_completion", "SFT", TASK, JOINED, SHORT),
    Case("text", "SFT", TASK, WHOLE, SHORT),
    Case("preference", "DPO", PAIR, CHAT, SHORT),
    Case("preference", "Reward", PAIR, CHAT, SHORT),
    Case("kto", "KTO", PAIR, CHAT, SHORT),
    Case("prompts", "GRPO", TASK, CHAT | {"keep": ["output"]}, {"num_generations": 2, "max_completion_length": 16}),
]
TRAINERS = list(dict.fromkeys([*(case.trainer for case in CASES), "SetFit"]))


def main() -> None:
    """Train once per case, and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("trainers", nargs="*", help=f"of {', '.join(TRAINERS)}; by default all")
    parser.add_argument("--model", default="default")
    parser.add_argument("--steps", type=int, default=4)
    options = parser.parse_args()
    chosen = options.trainers or TRAINERS
    hide_broken_torchvision()
    place = models.find(options.model).location
    tell(["form", "trainer", "style", "rows", "steps", "first loss", "last loss", "seconds"])
    for case in CASES:
        if case.trainer in chosen:
            keep(run(case, place, options.steps), options.model)
    if "SetFit" in chosen:
        keep(classify(), options.model)


def keep(row: dict[str, Any], model: str) -> None:
    """Print a row of the table and put it into the file of results, in place of an earlier one."""
    tell(row.values())
    earlier = json.loads(RESULTS.read_text())["cases"] if RESULTS.exists() else []
    names = ("form", "trainer", "style")
    others = [one for one in earlier if any(one[name] != row[name] for name in names)]
    versions = {name: importlib.metadata.version(name) for name in ("trl", "transformers", "setfit", "torch")}
    RESULTS.write_text(json.dumps({"model": model, "versions": versions, "cases": [*others, row]}, indent=1) + "\n")


def tell(values: Any) -> None:
    """Print one line of the table."""
    print("| " + " | ".join(f"{v:.3f}" if isinstance(v, float) else str(v) for v in values) + " |", flush=True)


def run(case: Case, model: str, steps: int) -> dict[str, Any]:
    """Export, load and train; return what happened."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        rows = exported(tasks(case.fields), case.form, case.options, Path(folder))
        trainer = build(case, model, rows, Path(folder), steps)
        trainer.train()
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        assert len(losses) == steps and all(map(math.isfinite, losses)), losses
        style = "chat" if not isinstance(rows[0].get("prompt", ""), str) or case.form == "messages" else "text"
        told = [case.form, case.trainer, style, len(rows), steps, losses[0], losses[-1]]
        del trainer
        gc.collect()
    names = ("form", "trainer", "style", "rows", "steps", "first_loss", "last_loss", "seconds")
    return dict(zip(names, [*told, round(time.monotonic() - started, 1)], strict=True))


def tasks(fields: Sequence[str]) -> list[dict[str, str]]:
    """Return short seed tasks with the fields asked for; the worse answer is the next task's."""
    lines = (DATA / "self_instruct" / "seed_tasks.jsonl").read_text(encoding="utf-8").splitlines()
    found = [
        {"instruction": task["instruction"], "input": part["input"], "output": part["output"]}
        for task in map(json.loads, lines)
        for part in task["instances"][:1]
        if sum(map(len, (task["instruction"], part["input"], part["output"]))) <= MOST_CHARACTERS
    ][:TASKS]
    following = [*found[1:], found[0]]
    whole = [
        row | {"chosen": row["output"], "rejected": other["output"]}
        for row, other in zip(found, following, strict=True)
    ]
    return [{name: row[name] for name in fields} for row in whole]


def exported(records: Sequence[dict[str, str]], form: str, options: dict[str, Any], folder: Path) -> Any:
    """Return the rows of an export, as ``load_dataset`` reads them."""
    import datasets

    document = {"type": "object", "properties": dict.fromkeys(records[0], STRING), "additionalProperties": False}
    schema, made = load(document, folder=Path()), export.build(form, options)
    dataset = export.to_dataset(iter(records), made, schema, {"train": 1.0}, 0)
    export.write(dataset, folder / "dataset", "parquet", "# Trainers\n")
    return datasets.load_dataset(str(folder / "dataset"), cache_dir=str(folder / "cache"))["train"]


def build(case: Case, model: str, rows: Any, folder: Path, steps: int) -> Any:
    """Return the trainer of a case."""
    import trl

    settings = getattr(trl, f"{case.trainer}Config")(
        output_dir=str(folder / "out"),
        max_steps=steps,
        per_device_train_batch_size=BATCH,
        logging_steps=1,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        dataloader_pin_memory=False,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        **case.settings,
    )
    more: dict[str, Callable[..., list[float]]] = {"reward_funcs": alike} if case.trainer == "GRPO" else {}
    return getattr(trl, f"{case.trainer}Trainer")(model, args=settings, train_dataset=rows, **more)


def alike(completions: list[Any], output: list[str], **others: Any) -> list[float]:
    """Reward words that stand in the task's own answer: it gets there as a column that the form kept."""
    texts = [completion[-1]["content"] for completion in completions]
    pairs = zip(texts, output, strict=True)
    return [len(set(text.split()) & set(answer.split())) / (1 + len(set(text.split()))) for text, answer in pairs]


def classify() -> dict[str, Any]:
    """Fit SetFit on the form ``classification``; return its accuracy on other questions."""
    from setfit import SetFitModel, Trainer, TrainingArguments

    started = time.monotonic()
    with (DATA / "banking77" / "train.csv").open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    names = sorted({row["category"] for row in rows})[:INTENTS]
    chosen = [list(islice((r for r in rows if r["category"] == name), PER_INTENT + HELD_OUT)) for name in names]
    with tempfile.TemporaryDirectory() as folder:
        split = [[row for part in chosen for row in part[a:b]] for a, b in ((0, PER_INTENT), (PER_INTENT, None))]
        train = exported(split[0], "classification", {"label": "category"}, Path(folder))
        place = models.find_embedding().location
        model = SetFitModel.from_pretrained(place, labels=train.features["label"].names, device="cpu")
        settings = TrainingArguments(
            output_dir=str(Path(folder) / "out"),
            batch_size=16,
            num_iterations=2,
            logging_steps=1,
            report_to="none",
            save_strategy="no",
        )
        trainer = Trainer(model=model, args=settings, train_dataset=train)
        trainer.train()
        losses = [
            entry["embedding_loss"] for entry in trainer.st_trainer.state.log_history if "embedding_loss" in entry
        ]
        guessed = model.predict([row["text"] for row in split[1]])
        steps = trainer.st_trainer.state.global_step
    right = sum(guess == row["category"] for guess, row in zip(guessed, split[1], strict=True))
    return {
        "form": "classification",
        "trainer": "SetFit",
        "style": "text",
        "rows": len(train),
        "steps": steps,
        "first_loss": float(losses[0]),
        "last_loss": float(losses[-1]),
        "seconds": round(time.monotonic() - started, 1),
        "accuracy": right / len(split[1]),
        "held_out": len(split[1]),
    }


if __name__ == "__main__":
    main()
