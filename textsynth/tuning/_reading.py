"""A model being tuned, as the looks use it: tokens of a pair, losses of its completion, texts that it writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from textsynth.engines._user_turn import merge_system
from textsynth.records import Message, Sampling
from textsynth.text import join_text
from textsynth.tuning._alarms import Scores
from textsynth.tuning._rows import Pair

UNLEARNT = -100
"""The label of tokens that do not count for the loss."""
AT_ONCE = 4
"""Rows that are scored together."""
MOST_WRITTEN = 256
"""Tokens of a text that a look has written, where the recipe allows more."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """A pair as the model reads it: prompt and completion, of which the first ``prompt`` tokens are the prompt."""

    ids: tuple[int, ...]
    prompt: int

    @property
    def labels(self) -> tuple[int, ...]:
        """The tokens to be learnt; ``UNLEARNT`` in place of the prompt's."""
        return (UNLEARNT,) * self.prompt + self.ids[self.prompt :]


def tokenise(tokenizer: Any, pair: Pair) -> Tokens:
    """Return the tokens of a pair: the prompt as the engine sends it, the completion, and the end of the turn."""
    prompt = prompt_tokens(tokenizer, pair.messages)
    answer = list(tokenizer(pair.completion, add_special_tokens=False).input_ids)
    return Tokens((*prompt, *answer, tokenizer.eos_token_id), len(prompt))


def prompt_tokens(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """Return a prompt as ``engines.vllm`` makes it: by the chat template, with or without a system role, or plain."""
    if not getattr(tokenizer, "chat_template", None):
        return list(tokenizer("\n\n".join(m["content"] for m in messages) + "\n").input_ids)
    from jinja2 import TemplateError

    try:
        text = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
    except (TemplateError, ValueError):
        text = tokenizer.apply_chat_template(merge_system(messages), tokenize=False, add_generation_prompt=True)
    return list(tokenizer(text, add_special_tokens=False).input_ids)


class Learner:
    """A model with an adapter, its tokenizer, and how it picks tokens."""

    def __init__(self, model: Any, tokenizer: Any, sampling: Sampling, seed: int) -> None:
        self.model, self.tokenizer, self.sampling, self.seed = model, tokenizer, sampling, seed

    def scores(self, rows: Sequence[Tokens]) -> Scores:
        """Return the loss and the longest greedy run of each row's completion."""
        import torch

        found: list[tuple[float, int]] = []
        training = self.model.training
        self.model.eval()
        with torch.inference_mode():
            for start in range(0, len(rows), AT_ONCE):
                found += self._scores(rows[start : start + AT_ONCE])
        self.model.train(training)
        return Scores(tuple(loss for loss, _ in found), tuple(run for _, run in found))

    def _scores(self, rows: Sequence[Tokens]) -> list[tuple[float, int]]:
        import torch

        ids, mask = self._padded([each.ids for each in rows], left=False)
        logits = self.model(input_ids=ids, attention_mask=mask).logits
        found = []
        for at, each in enumerate(rows):
            wanted = ids[at, each.prompt : len(each.ids)]
            given = logits[at, each.prompt - 1 : len(each.ids) - 1].float()
            loss = torch.nn.functional.cross_entropy(given, wanted)
            found.append((float(loss), longest_run((given.argmax(-1) == wanted).tolist())))
        return found

    def write(self, rows: Sequence[Tokens], text_fields: Sequence[str]) -> list[str]:
        """Return the running text of what the model writes for the prompts of some rows, no longer than the longest of them.

        It is not held to the schema.
        """
        import torch

        torch.manual_seed(self.seed)
        training = self.model.training
        self.model.eval()
        ids, mask = self._padded([each.ids[: each.prompt] for each in rows], left=True)
        longest = max(len(each.ids) - each.prompt for each in rows)
        with torch.inference_mode():
            made = self.model.generate(input_ids=ids, attention_mask=mask, **self._picking(longest))
        self.model.train(training)
        texts = self.tokenizer.batch_decode(made[:, ids.shape[1] :], skip_special_tokens=True)
        return [running_text(text, text_fields) for text in texts]

    def save(self, folder: Path) -> None:
        """Write the adapter and nothing else."""
        self.model.save_pretrained(str(folder))
        (folder / "README.md").unlink(missing_ok=True)  # peft's card is an empty form

    def _picking(self, longest: int) -> dict[str, Any]:
        chosen = {
            "max_new_tokens": min(self.sampling.max_tokens, MOST_WRITTEN, longest),
            "do_sample": self.sampling.temperature > 0,
            "pad_token_id": self.tokenizer.pad_token_id,
            "eos_token_id": self.tokenizer.eos_token_id,
        }
        if self.sampling.temperature > 0:
            knobs = {name: getattr(self.sampling, name) for name in ("temperature", "min_p", "top_p", "top_k")}
            chosen |= {name: value for name, value in knobs.items() if value is not None}
            chosen.setdefault("top_k", 0)
        return chosen

    def _padded(self, rows: Sequence[Sequence[int]], *, left: bool) -> tuple[Any, Any]:
        import torch

        width, pad = max(map(len, rows)), self.tokenizer.pad_token_id
        ids, mask = [], []
        for row in rows:
            fill = width - len(row)
            ids.append([pad] * fill + list(row) if left else list(row) + [pad] * fill)
            mask.append([0] * fill + [1] * len(row) if left else [1] * len(row) + [0] * fill)
        device = next(self.model.parameters()).device
        return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def running_text(text: str, fields: Sequence[str]) -> str:
    """Return the text inside a JSON answer, also of one that was cut; of what is no JSON, all of it."""
    try:
        record = from_json(text, allow_partial="trailing-strings")
    except ValueError:
        return text
    return join_text(record, fields) or text if isinstance(record, dict) else text


def longest_run(hits: Sequence[bool]) -> int:
    """Return the length of the longest run of hits."""
    best = current = 0
    for hit in hits:
        current = current + 1 if hit else 0
        best = max(best, current)
    return best
