"""What is wrong with a record, in words: jsonschema-rs's errors as ``Problem``s that a person or a model can act on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LONGEST = 300
WRONG_BRANCH = frozenset({"type", "const", "enum"})
"""What a value breaks when it is simply another branch's."""
FALSE_UNDER = {
    "additionalProperties": "no further properties are allowed",
    "items": "no further items are allowed",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One way in which a record breaks its schema: where, which keyword, and the value and rule in words."""

    path: tuple[str | int, ...]
    keyword: str
    message: str

    @property
    def field(self) -> str:
        """The top-level field concerned; empty when it is the record as a whole."""
        return str(self.path[0]) if self.path else ""


def to_problem(error: Any) -> Problem:
    """Translate an error; a missing or unexpected property is located at its own name.

    Of a union that fits no branch, the branch that was meant is told about: the one that comes closest.
    """
    if type(error.kind).__name__ in {"AnyOf", "OneOfNotValid"} and (closest := meant(error)) is not None:
        return to_problem(closest)
    path, keyword, message = tuple(error.instance_path), keyword_of(error), str(error.message)
    unexpected = getattr(error.kind, "unexpected", None)
    if (missing := getattr(error.kind, "property", None)) is not None:
        path = (*path, missing)
    elif unexpected and keyword != "unevaluatedItems":
        path = (*path, unexpected[0])
    if error.kind.name == "falseSchema":
        message = FALSE_UNDER.get(keyword, "nothing is allowed here")
    return Problem(path, keyword, message if len(message) <= LONGEST else message[: LONGEST - 3] + "...")


def keyword_of(error: Any) -> str:
    """Return the keyword that an error is about; of what is wrong with a property's name, ``propertyNames``."""
    steps = [str(step) for step in error.schema_path]
    if error.kind.name == "falseSchema":
        return steps[-1] if steps and steps[-1] in FALSE_UNDER else "false"
    return "propertyNames" if error.kind.name == "propertyNames" else steps[-1]


def meant(error: Any) -> Any:
    """Return the first error of the only branch that is about this kind of value, ``None`` if there is no such one."""
    branches = [list(branch) for branch in error.kind.context]
    depth = len(error.instance_path)
    for strict in (True, False):
        close = [b for b in branches if b and not any(is_other(item, depth, strict=strict) for item in b)]
        if len(close) == 1:
            return close[0][0]
    return None


def is_other(error: Any, depth: int, *, strict: bool) -> bool:
    """Return whether an error says that the value is of another branch altogether: by its type, or by a constant."""
    keyword, level = error.schema_path[-1] if error.schema_path else "", len(error.instance_path) - depth
    return (level == 0 and keyword == "type") or (strict and level <= 1 and keyword in WRONG_BRANCH)
