"""What was measured, and what follows from it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textsynth.errors import RecipeError
from textsynth.measure.measured import Gate, Measured

VERSION = 1
GROUPS = ("fidelity", "utility", "diversity", "privacy", "bias")


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that could not be measured, and why."""

    what: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Synthetic records beside real ones. The JSON form is described in ``textsynth.evaluation``.

    Args:
        values: every measured value, by group.
        sizes: rows given of each set, and how many of each were compared.
        fields: name and kind of every field, as inferred on the real rows.
        notes: what was subsampled, split or assumed.
        missing: what could not be measured.
        plots: data to draw.
    """

    values: tuple[Measured, ...]
    sizes: Mapping[str, int]
    fields: tuple[Mapping[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    missing: tuple[Missing, ...] = ()
    plots: Mapping[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether every gate that could be measured holds, and there was one."""
        judged = [value.passed for value in self.values if value.passed is not None]
        return bool(judged) and all(judged)

    @property
    def failed(self) -> list[Measured]:
        """The values whose gates do not hold."""
        return [value for value in self.values if value.passed is False]

    @property
    def verdict(self) -> list[str]:
        """Sentences: a summary, then each group with what is not good enough in it, then what to do."""
        judged = [value for value in self.values if value.passed is not None]
        if not judged:
            return ["Nothing could be judged: " + "; ".join(f"{m.what}: {m.why}" for m in self.missing) + "."]
        failed = self.failed
        first = (
            f"Good enough: all {len(judged)} gates hold."
            if not failed
            else f"Not good enough: {len(failed)} of {len(judged)} gates fail."
        )
        return [first, *_groups(judged), *_advice(failed)]

    def value(self, name: str) -> Measured | None:
        """Return the measured value of this name, if there is one."""
        return next((value for value in self.values if value.name == name), None)

    def as_data(self) -> dict[str, Any]:
        """Return everything as JSON values (numbers that are not finite become null)."""
        found = {
            "version": VERSION,
            "passed": self.passed,
            "verdict": self.verdict,
            "sizes": dict(self.sizes),
            "fields": [dict(each) for each in self.fields],
            "notes": list(self.notes),
            "not_measured": [{"what": each.what, "why": each.why} for each in self.missing],
            "values": [value.as_data() for value in self.values],
            "plots": dict(self.plots),
        }
        return dict(plain(found))

    def save(self, path: str | Path) -> Path:
        """Write the JSON form to a file, whose folder is made; return its path."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(self.as_data(), ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
        return target

    @classmethod
    def load(cls, path: str | Path) -> Evaluation:
        """Read what ``save`` wrote.

        Raises:
            RecipeError: no such file, or not an evaluation.
        """
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
            if data["version"] != VERSION:
                raise ValueError(f"version {data['version']}, this textsynth reads {VERSION}")
            return cls.of_data(data)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RecipeError(
                [f"{str(path)!r} is no saved evaluation: {error}"],
                hint="make one: textsynth evaluate SYNTHETIC --real REAL --holdout HOLDOUT --to FOLDER",
            ) from error

    @classmethod
    def of_data(cls, data: Mapping[str, Any]) -> Evaluation:
        """Return the evaluation whose ``as_data`` this is."""
        return cls(
            values=tuple(map(_measured, data["values"])),
            sizes=data["sizes"],
            fields=tuple(data["fields"]),
            notes=tuple(data["notes"]),
            missing=tuple(Missing(each["what"], each["why"]) for each in data["not_measured"]),
            plots=data["plots"],
        )


def _groups(judged: Sequence[Measured]) -> list[str]:
    """Say of each group how many of its gates hold, and which do not."""
    lines = []
    for group in GROUPS:
        mine = [value for value in judged if value.group == group]
        failed = [_short(value) for value in mine if value.passed is False]
        if mine:
            line = f"{group.capitalize()}: {len(mine) - len(failed)} of {len(mine)} gates hold"
            line += f"; not {', '.join(failed)}" if failed else ""
            lines.append(line + (" (alarms: that they hold is no proof of privacy)." if group == "privacy" else "."))
    return lines


def _short(value: Measured) -> str:
    shown = f"{spoken(value.name)} {value.value:.3g}"
    return shown + (f" (real data {value.real:.3g})" if value.real is not None else "")


def _advice(failed: Sequence[Measured]) -> list[str]:
    """Return what to do, each advice once, with the values that it is for."""
    found: dict[str, list[str]] = {}
    for value in failed:
        if value.gate and value.gate.advice:
            advice = value.gate.advice.strip().rstrip(".")
            found.setdefault(advice[0].upper() + advice[1:], []).append(spoken(value.name))
    return [f"{advice} ({', '.join(names)})." for advice, names in found.items()]


def spoken(name: str) -> str:
    """Return the name of a value without its group, as it is shown."""
    return name.partition(".")[2].replace("_", " ")


def _measured(data: Mapping[str, Any]) -> Measured:
    gate = data["gate"] and Gate(data["gate"]["low"], data["gate"]["high"], data["gate"]["advice"])
    names = ("name", "value", "real", "size", "low", "high", "meaning", "detail")
    return Measured(**{name: data[name] for name in names}, gate=gate)


def plain(value: Any) -> Any:
    """Return ``value`` as strict JSON takes it: numpy values as Python's, floats that are not finite as ``None``."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
