"""The exception tree: every error a user can meet says the value, the rule and the next step.

``TextsynthError`` is the root. ``hint`` is the next step; ``retryable`` says whether the same call may succeed later.
Bad model output is never an exception: it is a ``Drop`` in the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import TypeVar

T = TypeVar("T")


class TextsynthError(Exception):
    """Root of all errors textsynth raises on purpose.

    Args:
        message: the place, the value and the rule that it breaks.
        hint: what to do next; shown on its own line.
        retryable: whether repeating the same call may succeed.
    """

    def __init__(self, message: str, *, hint: str = "", retryable: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.retryable = retryable

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class RecipeError(TextsynthError):
    """A recipe that cannot run. ``problems`` lists every mistake found, each with its place."""

    def __init__(self, problems: Sequence[str], *, hint: str = "") -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems), hint=hint)


class SchemaError(TextsynthError):
    """A record schema that is not valid, or that cannot be used to generate."""


class EngineError(TextsynthError):
    """The engine could not start, or stopped for good."""


class ModelError(TextsynthError):
    """A model that cannot be found, fetched or verified."""


class LedgerError(TextsynthError):
    """A run folder that cannot be opened, is in use, is damaged, or belongs to another recipe."""


class ExportError(TextsynthError):
    """Records that cannot be written in the form or to the place asked for."""


class MissingPackageError(TextsynthError):
    """An optional package is absent; the hint names the extra that brings it."""

    def __init__(self, package: str, *, extra: str, needed_for: str) -> None:
        super().__init__(
            f"{needed_for} needs the package {package}, which is not installed",
            hint=f"pip install 'textsynth[{extra}]'",
        )


def nearest(name: str, choices: Iterable[str]) -> str:
    """Return `` (did you mean X?)`` for the closest choice, or an empty string."""
    match = get_close_matches(name, list(choices), n=1)
    return f" (did you mean {match[0]}?)" if match else ""


def unknown(place: str, name: str, choices: Iterable[str]) -> str:
    """Word the message for a name that is none of ``choices``: place, value, rule, nearest match."""
    known = sorted(choices)
    return f"{place}: unknown name {name!r}{nearest(name, known)}; known: {', '.join(known)}"


class Problems:
    """Collects what is wrong instead of stopping at the first thing."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.hints: list[str] = []

    def attempt(self, make: Callable[[], T], place: str) -> T | None:
        """Return what ``make`` returns; note its error and return ``None`` if it fails."""
        try:
            return make()
        except RecipeError as error:
            self.found += error.problems
            self.hints += [error.hint] if error.hint else []
        except TextsynthError as error:
            self.found.append(error.message if error.message.startswith(place) else f"{place}: {error.message}")
            self.hints += [error.hint] if error.hint else []
        except ValueError as error:
            self.found.append(f"{place}: {error}")
        return None

    def error(self) -> RecipeError:
        """Return everything found so far as one error."""
        return RecipeError(self.found, hint="; ".join(dict.fromkeys(self.hints)))
