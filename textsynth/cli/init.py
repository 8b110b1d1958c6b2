"""``textsynth init``: a commented recipe to start from, or one of the ready ones."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from textsynth import recipe as recipes
from textsynth import recipes as ready
from textsynth.cli import DONE, show
from textsynth.errors import RecipeError

STARTER = """\
# yaml-language-server: $schema=./recipe.schema.json
# What this makes: 100 support tickets. Change it, then: textsynth check {file} && textsynth preview {file}
name: {name}
model: default            # or a Hugging Face id, a folder, http://host:8000/v1, or scripted (no model)
records: 100              # accepted records wanted

schema:                   # one line per field; or a JSON Schema file, or {{python: module:Class}}
  subject: str<=80
  body: text 20..400
  priority: [low, normal, high]
  product: str
  opened: date

prompt: |                 # or the name of a template: textsynth prompts
  Write a support ticket of a customer who has trouble with a {{{{ product }}}}. The tone is {{{{ tone }}}}.
  Answer with JSON.

attributes:               # drawn before generation; those that are fields are exact in the result
  product: {{weights: {{router: 3, phone: 1}}}}
  opened: {{dates: [2024-01-01, 2024-12-31]}}
  tone: [angry, polite, terse]

quotas:
  priority: {{low: .5, normal: .3, high: .2}}

# seeds:                  # real examples shown to the model
#   path: tickets.jsonl   # JSONL, CSV, Parquet, a folder or a Hugging Face dataset
#   shots: 3
#   choose: diverse       # random, matching, diverse
#   max_uses: 20

filters:                  # in this order; your own is module:Class
  - refusal
  - boilerplate
  - encoding
  - repetition
  - length: {{fields: [body], min_words: 5}}
  - duplicate
  - near_duplicate: {{threshold: 0.8}}
  # - semantic_duplicate  # needs textsynth[embeddings]
  - pii: drop             # or redact, replace, keep; with names: {{action: replace, names: spacy}}
  - diversity             # measures only, unless told more: textsynth filters diversity

sampling: {{max_tokens: 300, temperature: 1.0}}
limits: {{minutes: 60}}

export:
  folder: out/{name}
  splits: {{train: .9, test: .1}}
"""


def add(commands: Any) -> None:
    """Add the command's arguments."""
    help = "write a commented recipe to start from, or a ready one for a method"
    one = commands.add_parser("init", help=help, description=help)
    one.add_argument("file", type=Path, nargs="?", default=Path("recipe.yaml"))
    one.add_argument(
        "--from", dest="ready", metavar="NAME", help="a ready recipe with its data: textsynth methods lists them"
    )


def command(options: argparse.Namespace) -> int:
    """Write a recipe and the JSON Schema that completes it in editors."""
    target: Path = options.file
    if target.suffix not in {".yaml", ".yml"}:
        raise RecipeError(
            [f"{str(target)!r} is no name for a recipe: it must end in .yaml"], hint=f"textsynth init {target}.yaml"
        )
    written = ready.copy(options.ready, target) if options.ready else start(target)
    schema = target.parent / "recipe.schema.json"
    schema.write_text(recipes.json_schema())
    others = ", ".join(str(path) for path in [*written[1:], schema])
    show.note(f"wrote {written[0]} and {others}; next: textsynth check {target}")
    return DONE


def start(target: Path) -> list[Path]:
    """Write the commented recipe."""
    if target.exists():
        raise RecipeError([f"{str(target)!r} exists already"], hint="give another name: textsynth init NAME.yaml")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(STARTER.format(name=recipes.run_name(target), file=target))
    except OSError as error:
        raise RecipeError([f"{str(target)!r} cannot be written: {error.strerror}"]) from error
    return [target]
