"""Rules of the user's own: expressions over the fields of a record, and Python predicates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from jinja2 import StrictUndefined, TemplateSyntaxError, UndefinedError, meta, nodes
from jinja2.runtime import Context
from jinja2.sandbox import SandboxedEnvironment

from textsynth.errors import RecipeError, nearest
from textsynth.filters import Filter, Setting, drop
from textsynth.records import Candidate, Drop, Record
from textsynth.registry import contain, import_object

Test = Callable[[Record], Any]
_LARGEST = 64  # exponent
_BITS = 4096  # of a product of whole numbers
_PADDING = {"center", "expandtabs", "format", "format_map", "ljust", "rjust", "zfill"}
_WIDE = _PADDING | {"indent", "pprint", "tojson", "urlize", "wordwrap", "xmlattr"}
_GROWS = "a text or list can be neither multiplied nor padded in a rule"


class _Environment(SandboxedEnvironment):
    """The sandbox, without what lets a short expression make a huge value."""

    intercepted_binops = frozenset(["**", "*", "%"])

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined)
        self.globals = {"range": self.globals["range"]}
        self.filters = {name: made for name, made in self.filters.items() if name not in _WIDE}

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if not all(isinstance(side, int | float) for side in (left, right)):
            raise ValueError(_GROWS)
        if operator == "**" and not (abs(right) <= _LARGEST and abs(left) < 2**_LARGEST):
            raise ValueError(f"{left:.4g} ** {right:.4g} is too large a power")
        whole = isinstance(left, int) and isinstance(right, int)
        if operator == "*" and whole and left.bit_length() + right.bit_length() > _BITS:
            raise ValueError(f"a product of more than {_BITS} bits")
        return super().call_binop(context, operator, left, right)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return attr not in _PADDING and super().is_safe_attribute(obj, attr, value)


_ENVIRONMENT = _Environment()


@dataclass(kw_only=True)
class Rules(Filter):
    """Drops a record that breaks a rule; the first broken one is named, with the message given for it.

    A rule is an expression in the language of the templates (Jinja2, sandboxed), true for a good record, over the
    fields by name: ``start <= end``, ``items|sum(attribute='price') == total``. Or it is ``module:function``, called
    with the record: ``True`` and ``None`` mean good, ``False`` bad, a text is bad and says why. A rule that raises
    drops the record. What could make a huge value of a short rule is refused: a power above 64, a text or list that is
    multiplied, padding and formats. Dates and times are text: they compare rightly where all have the same ISO form.

    Cannot see: other records. A function gets the record itself, not a copy, and must not change it; one that never
    returns holds the run up.

    Args:
        rules: each rule with its message: ``{"start <= end": "the stay must end after it starts"}``.
        absent: what a rule means that reads a field the record lacks or that is null: ``skip`` it, or ``drop``.
    """

    rules: dict[str, str]
    absent: Literal["skip", "drop"] = "skip"

    def __post_init__(self) -> None:
        """Refuse an empty set of rules, and a rule without text."""
        if not self.rules:
            raise ValueError("rules must hold at least one rule, each with its message, got none")
        for rule in self.rules:
            if not rule.strip():
                raise ValueError(f"rules: a rule must be an expression or module:function, got {rule!r}")

    def prepare(self, setting: Setting) -> None:
        """Compile every expression and import every predicate; find names that are no field."""
        super().prepare(setting)
        self._tests = [(rule, message, *self._compile(rule)) for rule, message in self.rules.items()]

    def _compile(self, rule: str) -> tuple[Test, tuple[str, ...]]:
        module, colon, name = rule.partition(":")
        if colon and name.isidentifier() and all(part.isidentifier() for part in module.split(".")):
            return self._function(rule), ()
        try:
            parsed = _ENVIRONMENT.parse("{{ (" + rule + ") }}")
            compiled = _ENVIRONMENT.compile_expression(rule, undefined_to_none=False)
        except TemplateSyntaxError as error:
            raise ValueError(f"rules: {rule!r} is not an expression: {error.message}") from None
        _refuse_growth(parsed, rule)
        names, known = meta.find_undeclared_variables(parsed), self.setting.schema.properties
        for name in sorted(names - set(known) - set(_ENVIRONMENT.globals)):
            raise ValueError(f"rules: {rule!r} reads {name!r}, which is no field{nearest(name, known)}")
        return (lambda record: compiled(**record)), tuple(sorted(names & set(known)))

    def _function(self, rule: str) -> Test:
        try:
            found: Test = import_object(rule, place="rules", folder=self.setting.folder)
        except RecipeError as error:
            raise ValueError(error.problems[0].partition("; known:")[0]) from None  # a module has too many names
        if not callable(found):
            raise ValueError(f"rules: {rule} must be a function of the record, got {type(found).__name__}")
        return found

    def check(self, batch: Sequence[Candidate]) -> Sequence[Drop | None]:
        """Name the first rule that each record breaks."""
        return [None if candidate.record is None else self._check(candidate.record) for candidate in batch]

    def _check(self, record: Record) -> Drop | None:
        for rule, message, test, names in self._tests:
            missing = [name for name in names if record.get(name) is None]
            if missing and self.absent == "drop":
                return drop(f"{message} ({rule}): no {missing[0]}")
            if missing:
                continue
            problem = self._broken(test, record)
            if problem is not None:
                return drop(f"{message} ({rule}){problem and ': '}{problem}")
        return None

    def _broken(self, test: Test, record: Record) -> str | None:
        """Return what is said after a rule that is broken, which may be nothing, or ``None`` if it holds."""
        answer, error = contain(lambda: self._evaluate(test, record))
        return error or answer

    def _evaluate(self, test: Test, record: Record) -> str | None:
        try:
            answer = test(record)
            if isinstance(answer, str):
                return answer
            return None if answer is None or bool(answer) else ""
        except UndefinedError as error:
            return None if self.absent == "skip" else error.message


def _refuse_growth(parsed: nodes.Template, rule: str) -> None:
    """Raise ``ValueError`` for what could never be evaluated: it would drop every record."""
    for power in parsed.find_all(nodes.Pow):
        if not (isinstance(power.right, nodes.Const) and isinstance(power.right.value, int | float)):
            raise ValueError(f"rules: {rule!r}: an exponent must be a number")
        if abs(power.right.value) > _LARGEST:
            raise ValueError(f"rules: {rule!r}: an exponent must be at most {_LARGEST}, got {power.right.value}")
    for product in parsed.find_all((nodes.Mul, nodes.Mod)):
        for side in (product.left, product.right):
            if isinstance(side, nodes.List | nodes.Tuple) or (
                isinstance(side, nodes.Const) and isinstance(side.value, str)
            ):
                raise ValueError(f"rules: {rule!r}: {_GROWS}")
