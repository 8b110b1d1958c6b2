"""Texts that a classifier takes for toxic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from textsynth.errors import MissingPackageError, ModelError, unknown
from textsynth.filters import Filter, Setting, drop
from textsynth.records import Candidate, Drop
from textsynth.text import require_fields

_READ = 4_000  # characters that are given to the model, which cuts them to its own length
_BATCH = 32


@dataclass(kw_only=True)
class Toxicity(Filter):
    """Drops a record whose text a text-classification model gives one of the labels named, at the threshold or above.

    There is no default model: what counts as toxic is the choice of who trained it. The model runs on the CPU in this
    process: milliseconds a record, and takes the memory of its weights. Nothing is
    remembered.

    Cannot see: what lies after the model's window (often 512 tokens); languages it was not trained on; irony. Such
    models are known to flag mere mentions of identity groups.

    Args:
        model: a transformers model for text classification: a Hugging Face id or a folder.
        labels: the model's labels that mean toxic, as its configuration spells them.
        threshold: the least probability of one of the labels at which a record is dropped, above 0 and at most 1.
        fields: the fields whose text is joined and judged; by default all free-text fields.
    """

    model: str
    labels: tuple[str, ...] = ("toxic",)
    threshold: float = 0.5
    fields: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse options out of range."""
        self._model: Any = None
        if not self.model.strip():
            raise ValueError("model must be a Hugging Face id or a folder, got an empty text")
        if not self.labels:
            raise ValueError("labels must name at least one label of the model, got none")
        if not 0 < self.threshold <= 1:
            hint = f" (did you mean {self.threshold / 100:g}?)" if 1 < self.threshold <= 100 else ""
            raise ValueError(f"threshold must be above 0 and at most 1, got {self.threshold:g}{hint}")

    def prepare(self, setting: Setting) -> None:
        """Check that the fields and the packages exist; the model is not loaded."""
        super().prepare(setting)
        require_fields(self.fields, setting.schema.properties)
        for package in ("transformers", "torch"):
            if find_spec(package) is None:
                raise MissingPackageError(package, extra="embeddings", needed_for="the filter toxicity")

    def start(self) -> None:
        """Load the model.

        Raises:
            ModelError: it cannot be loaded, or does not have the labels.
        """
        if self._model is not None:
            return
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        beside = self.setting.folder / self.model
        source = str(beside) if beside.is_dir() else self.model
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(source)
            model = AutoModelForSequenceClassification.from_pretrained(source).eval()
        except (OSError, ValueError) as error:
            raise ModelError(
                f"toxicity: the model {self.model!r} cannot be loaded: {str(error).splitlines()[0]}",
                hint="model must be a text-classification model of the hub, or a folder with its files",
            ) from error
        known = {name: number for number, name in model.config.id2label.items()}
        for name in self.labels:
            if name not in known:
                raise ModelError(unknown("toxicity.labels", name, known))
        self._columns = {name: known[name] for name in self.labels}
        self._model = model

    def check(self, batch: Sequence[Candidate]) -> Sequence[Drop | None]:
        """Name the likeliest of the labels for each text that has one; the score is its probability."""
        texts = [self.setting.text(candidate.record or {}, self.fields)[:_READ] for candidate in batch]
        filled = [row for row, text in enumerate(texts) if text.strip()]
        found: list[Drop | None] = [None] * len(texts)
        filled.sort(key=lambda row: len(texts[row]))  # texts of one length together: little padding
        for first in range(0, len(filled), _BATCH):
            rows = filled[first : first + _BATCH]
            for row, scores in zip(rows, self._scores([texts[row] for row in rows]), strict=True):
                found[row] = self._judge(scores)
        return found

    def _judge(self, scores: Mapping[str, float]) -> Drop | None:
        label = max(scores, key=lambda name: scores[name])
        if scores[label] < self.threshold:
            return None
        return drop(f"{label} {scores[label]:.2f} (threshold {self.threshold:g})", score=scores[label])

    def _scores(self, texts: list[str]) -> list[dict[str, float]]:
        import torch

        self.start()
        clean = [text.encode("utf-8", "ignore").decode() for text in texts]
        places = getattr(self._model.config, "max_position_embeddings", 512) - 2  # RoBERTa counts its own from 2
        limit = min(self._tokenizer.model_max_length, places)
        inputs = self._tokenizer(clean, padding=True, truncation=True, max_length=limit, return_tensors="pt")
        several = self._model.config.problem_type == "multi_label_classification"
        with torch.inference_mode():
            logits = self._model(**inputs).logits
        shares = logits.sigmoid() if several else logits.softmax(-1)
        return [{name: float(row[column]) for name, column in self._columns.items()} for row in shares]
