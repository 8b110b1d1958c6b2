"""The parts of a recipe: what stands under each of its keys, every key known and every value typed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SkipValidation,
    WithJsonSchema,
    model_validator,
)

from textsynth import attributes, models
from textsynth.attributes import Attribute
from textsynth.records import Sampling
from textsynth.registry import FIRST

DEFAULT_FILTERS = (
    "refusal", "boilerplate", "encoding", "repetition", "length", "duplicate", "near_duplicate", "copied", "pii", "diversity",
)  # fmt: skip
ANY_ATTRIBUTE = {
    "description": "a list, a constant, or a mapping with weights, range, dates, column or given",
    "type": ["array", "object", "string", "number", "boolean", "null"],
}
NAMED: dict[str, Any] = {"oneOf": [{"type": "string"}, {"type": "object", "minProperties": 1, "maxProperties": 1}]}


class Part(BaseModel):
    """Base of everything written in a recipe: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Named(Part):
    """A class named in a recipe with its options: ``near_duplicate`` or ``{near_duplicate: {threshold: .9}}``."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)


def read_named(value: Any) -> Any:
    """Read the short forms of ``Named``; ``{pii: replace}`` gives the class's first option."""
    if isinstance(value, str):
        return {"name": value}
    if isinstance(value, Mapping) and len(value) == 1 and "name" not in value:
        ((name, options),) = value.items()
        return {
            "name": name,
            "options": options if isinstance(options, Mapping) else {FIRST: options} if options is not None else {},
        }
    if isinstance(value, Mapping) and len(value) > 1 and "name" not in value:
        raise ValueError(
            f"one name per item: write {' and '.join(f'{{{name}: ...}}' for name in value)} as items of their own"
        )
    return value


def read_folder(value: Any) -> Any:
    """Read the short form of a profile: its folder."""
    return {"folder": value} if isinstance(value, str) else value


def read_switch(value: Any) -> Any:
    """Read ``true`` as the defaults and ``false`` as nothing."""
    return {True: {}, False: None}[value] if isinstance(value, bool) else value


def read_step(value: Any) -> Any:
    """Read the short forms of a step: a method's name, or ``{method: options}``."""
    if isinstance(value, str) or (isinstance(value, Mapping) and "method" not in value):
        return {"method": value}
    return value


NamedPart = Annotated[Named, BeforeValidator(read_named), WithJsonSchema(NAMED)]
AnyAttribute = Annotated[SkipValidation[Attribute], BeforeValidator(attributes.read), WithJsonSchema(ANY_ATTRIBUTE)]


class SamplingSpec(Part):
    """How tokens are picked. min_p is the default because top_p sorts the whole vocabulary, which is slow on a CPU."""

    max_tokens: int = Field(default=512, ge=1, description="most tokens of one completion")
    temperature: float = Field(default=1.0, ge=0, le=5)
    min_p: float | None = Field(default=None, ge=0, le=1, description="default 0.05 with vLLM in process")
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=1)
    repetition_penalty: float | None = Field(default=None, gt=0)
    banned: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(), description="phrases the decoder must not write (bad_words of vLLM and its server)"
    )

    def sampling(self, *, in_process: bool) -> Sampling:
        """Return what is sent with each request; a server that is not ours gets no knob nobody asked for."""
        chosen = self.model_dump()
        if in_process and self.min_p is None and self.top_p is None and self.top_k is None:
            chosen["min_p"] = 0.05
        return Sampling(**chosen)


class StepSpec(Part):
    """One step of a chain: a method with its own template and fields. It knows every field written before it."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, populate_by_name=True)

    name: str = Field(default="", description="names the step in messages (default: its method)")
    method: NamedPart
    prompt: str = Field(default="", description="a template of the library, a file, or the text itself")
    record_schema: Annotated[Any, WithJsonSchema({"type": ["object", "string"]})] = Field(
        default=None, alias="schema", description="the fields that this step writes"
    )
    sampling: SamplingSpec | None = Field(default=None, description="default: the recipe's")


class Limits(Part):
    """When a run stops although records are missing."""

    draws: int | None = Field(default=None, ge=1, description="most draws")
    tokens: int | None = Field(default=None, ge=1, description="most generated tokens")
    minutes: float | None = Field(default=None, gt=0, description="most minutes of one process")
    acceptance: float = Field(default=0.02, ge=0, le=1, description="least share of kept draws over the last windows")
    windows: int = Field(default=4, ge=1, description="over how many windows the acceptance is taken")


class Windows(Part):
    """How many draws are judged together, and how many windows may be under way while steering waits for verdicts."""

    size: int = Field(default=64, ge=1, le=4096)
    lag: int | None = Field(default=None, ge=1, description="default 8 with quotas, 256 without")


class ProfileSpec(Part):
    """What ``textsynth fit`` learnt, to draw attributes from; its real train rows are the examples."""

    folder: str = Field(description="the folder that textsynth fit wrote")
    data: str = Field(default="", description="the data it was fitted on (default: where it lay then)")
    fixed: dict[str, Any] = Field(default_factory=dict, description="attribute: the value that every record has")
    weights: dict[str, dict[Any, float]] = Field(
        default_factory=dict, description="attribute: {value: share}, in place of the real shares"
    )
    only: tuple[str, ...] = Field(default=(), description="which attributes are drawn (default: all)")
    shots: int = Field(default=3, ge=0, le=100, description="real train rows shown per draw")


class ArmSpec(Part):
    """One way of asking, in what it differs from the recipe."""

    prompt: str = Field(default="", description="another template")
    temperature: float | None = Field(default=None, ge=0, le=5)
    choose: Literal["random", "matching", "diverse", "retrieved"] | None = Field(
        default=None, description="another choice of examples"
    )


class SteerSpec(Part):
    """How what was kept decides what is asked for next, and when it is good enough."""

    arms: dict[str, ArmSpec] = Field(default_factory=dict, description="further ways of asking, chosen by their yield")
    pool: float = Field(
        default=1.0, ge=1, le=5, description="accept up to this many times records, then keep those that fit best"
    )
    ratio: float = Field(default=5.0, ge=1, description="most that one record of the pool may count over another")
    patience: int = Field(default=2, ge=1, description="windows without progress after which the pool is not filled on")


class TokenSpec(Part):
    """How long a row may be for the model that is trained on it, in tokens of that model's tokenizer."""

    model: str = Field(default="", description="default, a Hugging Face id or a folder (default: the run's own model)")
    most: int = Field(default=2048, ge=1, description="most tokens of one row: the trainer's max_length")
    over: Literal["drop", "keep", "refuse"] = Field(
        default="drop", description="longer rows: leave them out, only count them, or write nothing"
    )

    @model_validator(mode="after")
    def check_model(self) -> TokenSpec:
        """The model is one that has a tokenizer."""
        if self.model == "scripted" or models.is_url(self.model):
            raise ValueError(f"model: {self.model!r} has no tokenizer here; name a folder or a Hugging Face id")
        return self


class ExportSpec(Part):
    """Where the dataset goes and in which form."""

    folder: str = Field(default="", description="folder of the dataset, relative to the recipe")
    hub: str = Field(default="", description="owner/name on the Hugging Face hub")
    private: bool = True
    form: NamedPart = Field(default=Named(name="records"), alias="format")
    files: Literal["arrow", "parquet", "jsonl"] = "parquet"
    splits: dict[str, float] = Field(default_factory=lambda: {"train": 1.0})
    tokens: Annotated[TokenSpec | None, BeforeValidator(read_switch)] = Field(
        default=None, description="count the tokens of every row; longer rows are left out, kept or refused"
    )

    @model_validator(mode="after")
    def check_splits(self) -> ExportSpec:
        """Shares are positive and add up to 1."""
        if not self.splits or any(s <= 0 for s in self.splits.values()) or abs(sum(self.splits.values()) - 1) > 1e-6:
            raise ValueError(f"splits must be shares above 0 that add up to 1, got {self.splits}")
        return self
