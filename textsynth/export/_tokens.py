"""How many tokens each row has for the model that is to be trained on it, and what becomes of rows with too many.

A trainer cuts rows that are longer than its ``max_length`` without a word, so the end of an answer is never learnt.
Counting happens on the finished rows, text by text as the trainer makes them (``_masks``), in batches; memory holds one
number per row.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

from textsynth import models
from textsynth.errors import ExportError, MissingPackageError
from textsynth.export._masks import kind_of, shows_calls, texts, tokenize

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

Over = Literal["drop", "keep", "refuse"]
BATCH = 256
"""Rows whose tokens are in memory at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCounts:
    """Tokens per row, all splits together, before any row was left out; of a preference those of its longer side.

    Args:
        longer: rows of more than ``most`` tokens.
        left_out: rows left out by split: the longer ones, with all rows of the same record.
        merged: rows in which a token lies across the boundary of what is trained on.
        unclear: conversations in which the template does not let tell which tokens are the assistant's.
        calls_lost: rows with tool calls that the chat template does not show.
    """

    model: str
    most: int
    over: Over
    rows: int
    total: int
    mean: float
    median: float
    p95: int
    longest: int
    longer: int
    left_out: Mapping[str, int] = field(default_factory=dict)
    merged: int = 0
    unclear: int = 0
    calls_lost: int = 0

    def lines(self) -> list[str]:
        """Return what a reader must know, a sentence each."""
        found = [
            f"tokens by the tokenizer of {self.model}: {self.total:,} in {self.rows:,} rows, mean {self.mean:,.1f}, "
            f"median {self.median:,.0f}, 95 % of rows up to {self.p95:,}, longest {self.longest:,}"
        ]
        if self.longer:
            done = "kept" if self.over == "keep" else f"left out ({shares(self.left_out)})"
            found.append(f"rows of more than {self.most:,} tokens: {self.longer:,}, {done}")
        else:
            found.append(f"rows of more than {self.most:,} tokens: none")
        if self.merged:
            found.append(f"rows whose prompt and completion merge at the boundary: {self.merged:,}")
        if self.unclear:
            found.append(
                f"conversations in which this chat template does not tell the assistant's tokens: {self.unclear:,}"
            )
        if self.calls_lost:
            found.append(f"rows with tool calls that this chat template does not show: {self.calls_lost:,}")
        return found


@dataclass(slots=True)
class Tally:
    """What is counted on the way through the rows of one split."""

    lengths: array[int] = field(default_factory=lambda: array("q"))
    merged: int = 0
    unclear: int = 0
    calls: int = 0


def load_tokenizer(model: str) -> Any:
    """Return the tokenizer of a model: ``default``, a folder or a Hugging Face id.

    Raises:
        ExportError: there is none of that name, or no tokenizer in it; a server and ``scripted`` have none.
        MissingPackageError: transformers is not installed.
    """
    if model == "scripted" or models.is_url(model):
        hint = "name the model that is to be trained: export: {tokens: {model: owner/name}}"
        raise ExportError(f"export.tokens: {model!r} has no tokenizer here that could count", hint=hint)
    if wrong := models.problem(model):
        raise ExportError(f"export.tokens.model: {wrong}")
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise MissingPackageError("transformers", extra="cpu", needed_for="counting tokens") from error
    try:
        return AutoTokenizer.from_pretrained(models.find(model).location)
    except (OSError, ValueError, KeyError) as error:
        raise ExportError(
            f"export.tokens.model: no tokenizer of {model!r} can be loaded: {str(error).strip()[:200]}",
            hint="name a folder with tokenizer.json, or fetch the model first: textsynth models --fetch NAME",
        ) from error


def count_tokens(
    dataset: DatasetDict, tokenizer: Any, *, most: int, over: Over, model: str = "", rows_per_record: int = 1
) -> tuple[DatasetDict, TokenCounts]:
    """Count the tokens of every row as a trainer makes them, and handle those of more than ``most``.

    Args:
        dataset: rows in a form that TRL's trainers take, by split; of other rows the columns of text are counted.
        over: ``drop`` leaves longer rows out, with all rows of the same record; ``keep`` only counts them.
        model: the tokenizer's name, for messages and the card.
        rows_per_record: so many rows that follow each other are of one record.

    Raises:
        ExportError: rows are longer and ``over`` is ``refuse``, or no row is left; a template that refuses a row.
    """
    tallies = {name: tally(split, tokenizer) for name, split in dataset.items()}
    name = model or str(getattr(tokenizer, "name_or_path", "")) or "the tokenizer"
    name = Path(name).name if name.startswith((".", "/", "~")) else name  # a path may name a person's folders
    kept = {name: fitting(found.lengths, most, rows_per_record) for name, found in tallies.items()}
    gone = {name: len(found.lengths) - len(kept[name]) for name, found in tallies.items()}
    counts = summed(name, list(tallies.values()), most, over, gone if over == "drop" else {})
    if counts.longer and over == "refuse":
        raise too_long(counts, "")
    if over == "keep" or not counts.longer:
        return dataset, counts
    if not any(kept.values()):
        raise too_long(counts, ", so no row is left")
    parts = {name: split.select(kept[name], keep_in_memory=True) for name, split in dataset.items()}
    return type(dataset)(parts), counts


def tally(split: Dataset, tokenizer: Any) -> Tally:
    """Count the tokens of each row of one split."""
    found = Tally()
    longest_of = sum if kind_of(split.column_names) == "strings" else max  # columns beside each other, or alternatives
    shown = True
    for rows in batches(split):
        called = sum(has_calls(row) for row in rows)
        shown = shown and (not called or shows_calls(tokenizer))
        found.calls += 0 if shown else called
        parts = [texts(tokenizer, row) for row in rows]
        made = iter(tokenize(tokenizer, [text for part in parts for text in part]))
        for part in parts:
            tokens = [next(made) for _ in part]
            found.lengths.append(longest_of([len(one.ids) for one in tokens] or [0]))
            found.merged += any(one.merged for one in tokens)
            found.unclear += any(text.unclear for text in part)
    return found


def batches(split: Dataset) -> Iterator[list[dict[str, Any]]]:
    """Yield rows, some at a time."""
    for columns in split.iter(batch_size=BATCH):
        yield [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def has_calls(row: Mapping[str, Any]) -> bool:
    """Return whether an assistant calls a tool in any message of a row."""
    lists = (value for value in row.values() if isinstance(value, list))
    return any(isinstance(message, dict) and message.get("tool_calls") for value in lists for message in value)


def fitting(lengths: Sequence[int], most: int, rows_per_record: int) -> list[int]:
    """Return the numbers of the rows of all records none of whose rows is too long."""
    records = (range(at, at + rows_per_record) for at in range(0, len(lengths), rows_per_record))
    return [row for rows in records if all(lengths[row] <= most for row in rows) for row in rows]


def summed(model: str, tallies: Sequence[Tally], most: int, over: Over, left_out: Mapping[str, int]) -> TokenCounts:
    """Return the counts of all splits together."""
    ordered = sorted(length for found in tallies for length in found.lengths)
    total = sum(ordered)
    return TokenCounts(
        model=model,
        most=most,
        over=over,
        rows=len(ordered),
        total=total,
        mean=total / max(1, len(ordered)),
        median=median(ordered or [0]),
        p95=ordered[math.ceil(0.95 * len(ordered)) - 1] if ordered else 0,
        longest=max(ordered, default=0),
        longer=sum(length > most for length in ordered),
        left_out=left_out,
        merged=sum(found.merged for found in tallies),
        unclear=sum(found.unclear for found in tallies),
        calls_lost=sum(found.calls for found in tallies),
    )


def too_long(counts: TokenCounts, outcome: str) -> ExportError:
    """Word the refusal: how many rows, the longest, and what helps."""
    return ExportError(
        f"export.tokens: {counts.longer:,} of {counts.rows:,} rows have more than {counts.most:,} tokens by the "
        f"tokenizer of {counts.model}{outcome}; the longest has {counts.longest:,}, the median {counts.median:,.0f}",
        hint=f"raise tokens.most (a trainer with max_length={counts.longest} cuts nothing), let tokens.over drop or keep "
        "them, or ask for shorter fields in the schema",
    )


def shares(left_out: Mapping[str, int]) -> str:
    """Return how many rows of which split were left out."""
    return ", ".join(f"{name} {rows:,}" for name, rows in left_out.items())
