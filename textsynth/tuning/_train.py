"""The training itself: TRL's SFTTrainer with a peft adapter, stopped by looks at the model. Needs torch, trl and peft."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from textsynth.engines.vllm import hide_broken_torchvision
from textsynth.errors import MissingPackageError, ModelError, RecipeError
from textsynth.tuning._alarms import Sides, alarms
from textsynth.tuning._book import Book
from textsynth.tuning._looks import Look
from textsynth.tuning._reading import Learner, Tokens, tokenise
from textsynth.tuning._rows import FEWEST, FEWEST_HELD, Pair, Pairs
from textsynth.tuning._settings import Training

Say = Callable[[str], None]
WARMUP = 0.05


def train(
    location: str, pairs: Pairs, training: Training, book: Book, on_look: Callable[[Look], None], say: Say
) -> None:
    """Train and look until a look says stop, or the steps are done; the best adapter lies in the book's folder.

    Raises:
        MissingPackageError: peft or trl is not installed.
        ModelError: the model cannot be loaded as weights.
        RecipeError: too few rows are short enough.
    """
    require_packages()
    model, tokenizer = load(location, pairs.model, training.seed)
    lessons = [tokenise(tokenizer, pair) for pair in pairs.train]
    tests = [tokenise(tokenizer, pair) for pair in pairs.heldout]
    kept = [at for at, each in enumerate(lessons) if len(each.ids) <= training.longest]
    held = [at for at, each in enumerate(tests) if len(each.ids) <= training.longest]
    refuse_long(len(kept), len(held), training.longest)
    if left := len(lessons) - len(kept):
        note(book, f"{left} of {len(lessons)} train rows have more than {training.longest} tokens and were left out")
    learner = Learner(with_adapter(model, training), tokenizer, pairs.sampling, training.seed)
    watch = Watch(
        learner,
        book,
        training,
        tokens=([lessons[at] for at in kept], [tests[at] for at in held]),
        rows=([pairs.train[at] for at in kept], [pairs.heldout[at] for at in held]),
        text_fields=pairs.text_fields,
        on_look=on_look,
    )
    book.save()
    fit(learner.model, tokenizer, [lessons[at] for at in kept], training, book, watch)
    if not book.finished:
        book.end(f"all {training.steps(len(kept))} steps are done")


def note(book: Book, text: str) -> None:
    """Keep a note, once."""
    if text not in book.notes:
        book.notes.append(text)


def require_packages() -> None:
    """Raise ``MissingPackageError`` unless peft and trl are there."""
    import importlib.util

    for name in ("torch", "transformers", "peft", "trl"):
        if importlib.util.find_spec(name) is None:
            raise MissingPackageError(name, extra="train", needed_for="tune")


def refuse_long(train: int, heldout: int, longest: int) -> None:
    """Raise ``RecipeError`` where too few rows are short enough."""
    if train < FEWEST or heldout < FEWEST_HELD:
        raise RecipeError(
            [f"longest: only {train} train and {heldout} held-out rows have at most {longest} tokens"],
            hint=f"raise longest; at least {FEWEST} and {FEWEST_HELD} are needed",
        )


def load(location: str, name: str, seed: int) -> tuple[Any, Any]:
    """Return the model, its weights in the type that they are stored in, and its tokenizer.

    Raises:
        ModelError: there are no weights there that transformers reads.
    """
    hide_broken_torchvision()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if Path(location).is_dir():
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed

    set_seed(seed)
    try:
        tokenizer = AutoTokenizer.from_pretrained(location)
        model = AutoModelForCausalLM.from_pretrained(location, dtype="auto")
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"model {name!r} cannot be loaded to be tuned: {str(error).strip()[:300]}",
            hint="it must be a folder or Hugging Face id with safetensors weights of a causal language model (no GGUF)",
        ) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model.to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer


def with_adapter(model: Any, training: Training) -> Any:
    """Return the model with a fresh LoRA adapter (Hu et al. 2021) on all its linear layers."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=training.rank,
        lora_alpha=2 * training.rank,
        lora_dropout=0.05,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


class Watch:
    """Looks at the model: losses, copies, members; keeps the best adapter; says when to stop."""

    def __init__(
        self,
        learner: Learner,
        book: Book,
        training: Training,
        *,
        tokens: tuple[Sequence[Tokens], Sequence[Tokens]],
        rows: tuple[Sequence[Pair], Sequence[Pair]],
        text_fields: Sequence[str],
        on_look: Callable[[Look], None],
    ) -> None:
        size = min(training.watched, len(tokens[0]), len(tokens[1]))
        self.learner, self.book, self.training = learner, book, training
        self.tokens = tokens[0][:size], tokens[1][:size]
        self.texts = [pair.text for pair in rows[0][:size]], [pair.text for pair in rows[1][:size]]
        self.text_fields, self.on_look = text_fields, on_look
        self._before: Sides | None = None

    def look(self, step: int, epoch: float) -> bool:
        """Look at the model, unless that was done; return whether to stop."""
        if not self.book.seen(step):
            self.book.looks.append(self._look(step, epoch))
            if self.book.verdict().best == step:
                self.learner.save(self.book.folder)
            self.book.save()
            self.on_look(self.book.looks[-1])
        verdict = self.book.verdict()
        if verdict.stop:
            self.book.end(verdict.stop)
        return bool(verdict.stop)

    def _look(self, step: int, epoch: float) -> Look:
        from torch import random

        started = time.monotonic()
        with random.fork_rng():  # so that training goes on as if nobody had looked
            now = self._sides()
            before = now if step == 0 else self.before()
            made = self.learner.write(self.tokens[0][: self.training.texts], self.text_fields)
        found = alarms(now, before, made, *self.texts, membership=self.training.membership)
        return Look(step, epoch, now.train.mean, now.heldout.mean, found, time.monotonic() - started)

    def before(self) -> Sides:
        """Return the scores of the model without the adapter."""
        if self._before is None:
            with self.learner.model.disable_adapter():
                self._before = self._sides()
        return self._before

    def _sides(self) -> Sides:
        return Sides(*(self.learner.scores(some) for some in self.tokens))


def fit(model: Any, tokenizer: Any, lessons: Sequence[Tokens], training: Training, book: Book, watch: Watch) -> None:
    """Run TRL's trainer from the last checkpoint, if there is one."""
    from datasets import Dataset
    from transformers import PrinterCallback
    from transformers.trainer_utils import get_last_checkpoint
    from trl import SFTConfig, SFTTrainer

    rows = [{"input_ids": list(each.ids), "labels": list(each.labels)} for each in lessons]
    steps, interval = training.steps(len(rows)), training.interval(len(rows))
    config = SFTConfig(
        output_dir=str(book.checkpoints),
        max_steps=steps,
        per_device_train_batch_size=training.batch,
        learning_rate=training.rate,
        warmup_steps=max(1, round(WARMUP * steps)),
        lr_scheduler_type="linear",
        max_length=None,
        save_strategy="steps",
        save_steps=interval,
        save_total_limit=1,
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=training.seed,
        data_seed=training.seed,
        bf16=next(model.parameters()).is_cuda,
        gradient_checkpointing=False,
        dataloader_pin_memory=False,
        shuffle_dataset=False,
    )
    trainer = SFTTrainer(
        model=model,
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        callbacks=[callback(watch, len(rows) / training.batch)],
    )
    trainer.remove_callback(PrinterCallback)
    last = get_last_checkpoint(str(book.checkpoints)) if book.checkpoints.is_dir() else None
    book.rewind(int(last.rpartition("-")[2]) if last else -1)
    trainer.train(resume_from_checkpoint=last)


def callback(watch: Watch, steps_per_epoch: float) -> Any:
    """Return what has the trainer looked at before the first step and after each checkpoint, and stopped."""
    from transformers import TrainerCallback

    class Looking(TrainerCallback):  # type: ignore[misc]
        """Stops the trainer when a look says so."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> Any:
            return self._look(state, control)

        def on_save(self, args: Any, state: Any, control: Any, **rest: Any) -> Any:
            return self._look(state, control)

        def _look(self, state: Any, control: Any) -> Any:
            if watch.look(state.global_step, state.global_step / steps_per_epoch):
                control.should_training_stop = True
            return control

    return Looking()
