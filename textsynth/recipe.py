"""The recipe: what the user wants, as data, read from YAML or built in Python, every key known and every value typed.

This module reads; ``assemble.assemble`` builds the parts and finds what contradicts what.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SkipValidation,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from textsynth import attributes, models
from textsynth.attributes import Attribute
from textsynth.edges import EdgeSpec
from textsynth.errors import RecipeError, unknown
from textsynth.evalspec import EvalsetSpec
from textsynth.records import Sampling
from textsynth.registry import FIRST, pydantic_problems
from textsynth.seeds import SeedSpec
from textsynth.topics import TopicSpec

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


class Recipe(Part):
    """What the user wants. Paths are relative to the recipe's file (in Python: to the current folder).

    Raises:
        pydantic.ValidationError: through the constructor; ``read`` words it as a ``RecipeError``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, populate_by_name=True)

    name: str = Field(default="run", pattern=r"^[\w.-]+$", description="names the run's folder and the dataset card")
    model: str = Field(
        default="default", description="default, scripted, a Hugging Face id, a folder, or http://host:port/v1"
    )
    records: int = Field(ge=1, description="how many accepted records are wanted")
    record_schema: Annotated[Any, WithJsonSchema({"type": ["object", "string"]})] = Field(
        default=None, alias="schema", description="short form, JSON Schema, its file, or {python: module:Class}"
    )
    method: NamedPart = Field(default=Named(name="record"), description="how a draw becomes requests")
    steps: tuple[Annotated[StepSpec, BeforeValidator(read_step)], ...] = Field(
        default=(),
        description="methods in a chain, in place of method, prompt and schema: each knows the fields before it",
    )
    topics: TopicSpec | None = Field(
        default=None, description="a tree of topics that the model grows first; its leaves are drawn evenly as topic"
    )
    prompt: str = Field(default="", description="a template of the library, a file, or the text itself")
    variables: dict[str, Any] = Field(default_factory=dict, description="further variables of the template")
    seeds: SeedSpec | None = None
    profile: Annotated[ProfileSpec | None, BeforeValidator(read_folder)] = Field(
        default=None, description="folder of textsynth fit: attributes are drawn from it, jointly"
    )
    steer: Annotated[SteerSpec | None, BeforeValidator(read_switch)] = Field(
        default=SteerSpec(), description="false: draw from the profile whatever was kept so far"
    )
    attributes: dict[str, AnyAttribute] = Field(
        default_factory=dict, description="drawn before generation, exact in the result"
    )
    quotas: dict[str, dict[Any, float]] = Field(default_factory=dict, description="field: {value: share or count}")
    filters: tuple[NamedPart, ...] = Field(
        default=tuple(Named(name=n) for n in DEFAULT_FILTERS), description="in this order, after the schema"
    )
    sampling: SamplingSpec = SamplingSpec()
    repairs: int = Field(default=2, ge=0, le=20, description="how often failed fields of one draw are asked for again")
    backend: Literal["guidance", "xgrammar", "outlines"] | None = Field(
        default=None, description="structured-output backend; by default the one that enforces most of the schema"
    )
    engine: dict[str, Any] = Field(default_factory=dict, description="options of the engine, passed through")
    limits: Limits = Limits()
    windows: Windows = Windows()
    edge_cases: EdgeSpec | None = Field(
        default=None,
        description="for software tests: shares of valid boundary records and of records invalid in one way",
    )
    export: ExportSpec | None = None
    evalset: EvalsetSpec | None = Field(
        default=None, description="textsynth evalset: how the records become an eval set and its training rows"
    )
    seed: int = Field(default=0, ge=0, description="same seed, same plan")
    license: str = Field(default="", description="licence of the result, for the dataset card")
    language: str = Field(default="en", description="language of the result, for the dataset card")

    _folder: Path = PrivateAttr(default_factory=Path.cwd)

    @property
    def folder(self) -> Path:
        """The folder that paths in the recipe are relative to."""
        return self._folder

    @model_validator(mode="after")
    def check_model(self) -> Recipe:
        """The model's name can be meant."""
        if wrong := models.problem(self.model):
            raise ValueError(f"model: {wrong}")
        return self

    @model_validator(mode="after")
    def check_steps(self) -> Recipe:
        """A chain has its methods, templates and schemas in its steps."""
        both = [key for key in ("method", "prompt", "record_schema") if key in self.model_fields_set]
        if self.steps and both:
            key = "schema" if both[0] == "record_schema" else both[0]
            raise ValueError(f"{key}: with steps it belongs to one of them: steps: [{{method: ..., {key}: ...}}]")
        names = [step.name or step.method.name for step in self.steps]
        if twice := [name for at, name in enumerate(names) if name in names[:at]]:
            raise ValueError(
                f"steps: two are called {twice[0]!r}; give one of them another name: {{name: ..., method: ...}}"
            )
        return self

    @property
    def chain(self) -> tuple[StepSpec, ...]:
        """The steps; of a recipe that has none, the one that it is."""
        return self.steps or (StepSpec(method=self.method, prompt=self.prompt, schema=self.record_schema),)

    def at(self, folder: Path) -> Recipe:
        """Return the same recipe with its paths relative to ``folder``."""
        copy = self.model_copy()
        copy._folder = folder
        return copy

    @property
    def engine_name(self) -> str:
        """The engine that this model needs."""
        if "kind" in self.engine:
            return str(self.engine["kind"])
        if models.is_url(self.model):
            return "server"
        return "scripted" if self.model == "scripted" else "vllm"

    def as_data(self) -> dict[str, Any]:
        """Return the recipe as plain data, defaults left out; ``parse`` reads it back (a class as schema excepted)."""
        data = self.model_dump(by_alias=True, exclude_defaults=True, exclude={"record_schema", "attributes"})
        for shown, step in zip(data.get("steps", ()), self.steps, strict=False):
            shown.update({"schema": step.record_schema} if step.record_schema is not None else {})
        data |= {"schema": self.record_schema} if self.record_schema is not None else {}
        data |= {"attributes": {k: v.as_data() for k, v in self.attributes.items()}} if self.attributes else {}
        found: dict[str, Any] = plain(data)
        return found


def plain(value: Any) -> Any:
    """Return ``value`` in the types that YAML writes; keys keep their types."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def to_yaml(data: Mapping[str, Any]) -> str:
    """Write plain data as YAML, in its own order."""
    return yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True, width=100)


def from_yaml(text: str, folder: Path) -> Recipe:
    """Read a recipe from YAML text; paths in it are relative to ``folder``."""
    return parse(yaml.load(text, Loader=StrictLoader), folder)


def read(source: Recipe | Mapping[str, Any] | str | Path) -> Recipe:
    """Return the recipe in ``source``: one already, a mapping, or the path of a YAML file.

    Raises:
        RecipeError: no such file, invalid YAML (with line and column), unknown keys, wrong values: all of them at once.
    """
    if isinstance(source, Recipe):
        return source
    if isinstance(source, Mapping):
        return parse(dict(source), Path.cwd())
    path = Path(source)
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=StrictLoader)
    except OSError as error:
        raise RecipeError(
            [f"recipe {str(path)!r}: {error.strerror}"], hint="textsynth init NAME.yaml writes one to start from"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError([f"recipe {path}: not valid YAML: {error}"]) from error
    if not isinstance(data, dict):
        raise RecipeError([f"recipe {path}: it must be a mapping of keys, got {type(data).__name__}"])
    return parse({"name": run_name(path)} | data, path.resolve().parent)


def run_name(path: Path) -> str:
    """Return the name of a run for a recipe's file: its stem, with other characters than names may have as hyphens."""
    return re.sub(r"[^\w.-]+", "-", path.stem).strip("-") or "run"


def keys_at(path: Sequence[str | int]) -> list[str]:
    """Return the keys that may stand where the last key of ``path`` does; none where that is not fixed."""
    part: type[BaseModel] = Recipe
    for step in path[:-1]:
        field = next((f for n, f in part.model_fields.items() if (f.alias or n) == step), None)
        kinds = (field.annotation, *get_args(field.annotation)) if field else ()
        inner = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not inner:
            return []
        part = inner[0]
    return [f.alias or n for n, f in part.model_fields.items()]


def parse(data: dict[str, Any], folder: Path) -> Recipe:
    """Validate a mapping; keys that do not exist are reported with the nearest match."""
    known = {f.alias or n for n, f in Recipe.model_fields.items()} | {"record_schema"}
    wrong = [unknown(str(key), str(key), known - {"record_schema"}) for key in data if key not in known]
    try:
        recipe = Recipe.model_validate({k: v for k, v in data.items() if k in known})
    except ValidationError as error:
        raise RecipeError(wrong + pydantic_problems(error, known=keys_at)) from None
    if wrong:
        raise RecipeError(wrong)
    return recipe.at(folder)


class StrictLoader(yaml.SafeLoader):
    """YAML as people mean it: a key that stands twice is an error, dates stay text, and ``no`` is a word."""


def unique_mapping(loader: StrictLoader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    """Build a mapping and refuse a key that stands twice."""
    found: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, Hashable):
            wrong = "a key must be a word or a number (text that begins with { or [ needs quotes, or | before it)"
            raise yaml.constructor.ConstructorError(None, None, wrong, key_node.start_mark)
        if key in found:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", key_node.start_mark)
        found[key] = loader.construct_object(value_node, deep=True)
    return found


StrictLoader.add_constructor("tag:yaml.org,2002:map", unique_mapping)
LOOSE_TAGS = {"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:bool"}
StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in LOOSE_TAGS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def json_schema() -> str:
    """Return the JSON Schema of recipes, for editors: ``# yaml-language-server: $schema=recipe.schema.json``."""
    schema = Recipe.model_json_schema(by_alias=True)
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=2)
