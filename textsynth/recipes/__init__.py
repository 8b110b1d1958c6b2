"""Ready recipes, one folder each: ``recipe.yaml``, whose first comment says what it makes, and the data it reads.

``textsynth init --from NAME`` copies one; they are complete, small and run with the default model.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from textsynth.errors import RecipeError, unknown

FILE = "recipe.yaml"


def names() -> list[str]:
    """Return the names of the ready recipes."""
    return sorted(path.parent.name for path in Path(__file__).parent.glob(f"*/{FILE}"))


def folder(name: str) -> Path:
    """Return the folder of a ready recipe.

    Raises:
        RecipeError: there is none of this name (the message lists them).
    """
    if name not in names():
        raise RecipeError([unknown("--from", name, names())], hint="textsynth methods shows what each makes")
    return Path(__file__).parent / name


def purpose(name: str) -> str:
    """Return what a ready recipe makes: its first comment."""
    lines = (folder(name) / FILE).read_text(encoding="utf-8").splitlines()
    return lines[0].removeprefix("#").strip() if lines else ""


def methods(name: str) -> list[str]:
    """Return the methods that a ready recipe uses, in their order."""
    from textsynth.recipe import read

    return [step.method.name for step in read(folder(name) / FILE).chain]


def copy(name: str, target: Path) -> list[Path]:
    """Copy a ready recipe to the file ``target`` and its data beside it; return what was written.

    Raises:
        RecipeError: a file that is there already, or cannot be written.
    """
    source = folder(name)
    wanted = {path: target if path.name == FILE else target.parent / path.name for path in sorted(source.iterdir())}
    wanted = {path: to for path, to in wanted.items() if path.name != "__pycache__"}
    if there := [str(to) for to in wanted.values() if to.exists()]:
        raise RecipeError(
            [f"{there[0]!r} exists already"], hint="give another name or folder: textsynth init NEW/NAME.yaml"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for path, to in wanted.items():
            shutil.copytree(path, to) if path.is_dir() else shutil.copyfile(path, to)
    except OSError as error:
        raise RecipeError([f"{str(target)!r} cannot be written: {error.strerror}"]) from error
    return list(wanted.values())
