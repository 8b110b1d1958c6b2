"""How a name in a recipe becomes a class: the four places to extend are packages of one class per file.

``near_duplicate`` in the package ``textsynth.filters`` is the class ``NearDuplicate`` of ``filters/near_duplicate.py``.
Anything of the user's own is named ``module:Class``. Adding one is adding one file: there is no list to keep.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from textsynth.errors import RecipeError, unknown

T = TypeVar("T")
FIRST = ""
"""Stands for the name of a class's first option, where only its value is given."""


def names(package: str) -> list[str]:
    """List what ``textsynth.<package>`` offers, from its file names, without importing any of them."""
    found = importlib.import_module(f"textsynth.{package}")
    return sorted(m.name for m in pkgutil.iter_modules(found.__path__) if not m.name.startswith("_"))


def load(package: str, name: str, *, place: str, folder: Path | None = None) -> type[Any]:
    """Return the class called ``name`` in ``textsynth.<package>``, or the user's own for ``module:Class``.

    Args:
        place: where in the recipe the name stands, for the message.
        folder: where the recipe lies; modules beside it can be imported.

    Raises:
        RecipeError: for a name that does not exist (with the choices) or a module that cannot be imported.
    """
    if ":" in name:
        own: type[Any] = import_object(name, place=place, folder=folder)
        if not (isinstance(own, type) and is_dataclass(own)):
            raise RecipeError([f"{place}: {name} must be a dataclass whose fields are its options"])
        return own
    if name not in names(package):
        raise RecipeError([unknown(place, name, names(package))], hint="your own is named module:Class")
    module = importlib.import_module(f"textsynth.{package}.{name}")
    found: type[Any] = getattr(module, "".join(part.capitalize() for part in name.split("_")))
    return found


def import_object(name: str, *, place: str, folder: Path | None = None) -> Any:
    """Import ``module:Name``; modules in ``folder`` (by default the current one) count as importable."""
    module_name, _, attribute = name.partition(":")
    for entry in (str(folder or Path.cwd()), str(Path.cwd())):
        if entry not in sys.path:
            sys.path.insert(0, entry)
    module, error = contain(lambda: importlib.import_module(module_name))
    if module is None:
        raise RecipeError(
            [f"{place}: cannot import {module_name!r}: {error}"], hint="put the module beside the recipe or install it"
        )
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise RecipeError([unknown(place, attribute, (n for n in vars(module) if n[0] != "_"))]) from None


def build(cls: type[Any], options: dict[str, Any], *, place: str) -> Any:
    """Make an instance of the dataclass ``cls`` from a user's options, types checked and converted.

    Raises:
        RecipeError: unknown option (with the nearest match), wrong type, or a ``ValueError`` of the class's own checks.
    """
    if not is_dataclass(cls):
        raise RecipeError([f"{place}: {cls.__name__} must be a dataclass whose fields are its options"])
    known = [f.name for f in fields(cls) if f.init]
    if FIRST in options and known:
        options = {known[0]: options[FIRST]} | {key: value for key, value in options.items() if key != FIRST}
    wrong = [unknown(f"{place}.{key}", key, known) for key in options if key not in known]
    if wrong:
        raise RecipeError(wrong)
    hints, values = get_type_hints(cls), {}
    for key, value in options.items():
        try:
            values[key] = TypeAdapter(hints[key]).validate_python(value)
        except ValidationError as error:
            wrong += pydantic_problems(error, place=f"{place}.{key}")
    if wrong:
        raise RecipeError(wrong)
    try:
        return cls(**values)
    except (ValueError, TypeError) as error:
        raise RecipeError([f"{place}: {error}"]) from error


def pydantic_problems(
    error: ValidationError,
    *,
    place: str = "",
    known: Callable[[Sequence[str | int]], Collection[str]] = lambda path: (),
) -> list[str]:
    """Word pydantic's findings in the house form: ``place.path: rule, got value``.

    Args:
        known: returns the keys that may stand where a path ends, so that an unknown one is named with the nearest match.
    """
    problems = []
    for item in error.errors():
        path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in item["loc"])
        where = f"{place}{path}".lstrip(".") or "recipe"
        if item["type"] == "extra_forbidden" and (choices := known(item["loc"])):
            problems.append(unknown(where, str(item["loc"][-1]), choices))
            continue
        message = item["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        shown = repr(item["input"])
        value = "" if item["type"] in {"missing", "value_error"} else f", got {shown[:77] + '...' * (len(shown) > 77)}"
        problems.append(f"{where}: {message[:1].lower() + message[1:]}{value}")
    return problems


def contain(call: Callable[[], T]) -> tuple[T | None, str]:
    """Run an extension's code; whatever it raises comes back as text, so that it ends as data in the ledger.

    The only place that catches everything: a filter or method that breaks costs its candidate, never the run.
    """
    try:
        return call(), ""
    except Exception as error:  # noqa: BLE001
        return None, f"{type(error).__name__}: {error}"[:300]
