"""The recipe: what the user wants, as data, read from YAML or built in Python, every key known and every value typed.

This package reads; ``assemble.assemble`` builds the parts and finds what contradicts what.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from textsynth import models
from textsynth.edges import EdgeSpec
from textsynth.errors import RecipeError, unknown
from textsynth.evalspec import EvalsetSpec
from textsynth.recipe._parts import (
    DEFAULT_FILTERS,
    AnyAttribute,
    ArmSpec,
    ExportSpec,
    Limits,
    Named,
    NamedPart,
    Part,
    ProfileSpec,
    SamplingSpec,
    SteerSpec,
    StepSpec,
    TokenSpec,
    Windows,
    read_folder,
    read_named,
    read_step,
    read_switch,
)  # fmt: skip
from textsynth.recipe._yaml import StrictLoader, plain, to_yaml
from textsynth.registry import pydantic_problems
from textsynth.seeds import SeedSpec
from textsynth.topics import TopicSpec

__all__ = [
    "DEFAULT_FILTERS", "ArmSpec", "ExportSpec", "Limits", "Named", "NamedPart", "Part", "ProfileSpec", "Recipe",
    "SamplingSpec", "SteerSpec", "StepSpec", "StrictLoader", "TokenSpec", "Windows", "from_yaml", "json_schema", "parse",
    "read", "read_named", "run_name", "to_yaml",
]  # fmt: skip


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
    def check_tokens(self) -> Recipe:
        """There is a tokenizer that counts the tokens of the export."""
        own = self.model == "scripted" or models.is_url(self.model)
        if own and self.export is not None and self.export.tokens is not None and not self.export.tokens.model:
            raise ValueError(f"export.tokens.model: {self.model!r} has no tokenizer here; name the model to be trained")
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


def json_schema() -> str:
    """Return the JSON Schema of recipes, for editors: ``# yaml-language-server: $schema=recipe.schema.json``."""
    schema = Recipe.model_json_schema(by_alias=True)
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=2)
