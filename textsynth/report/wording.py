"""Numbers and texts as a page shows them: rounded, cut, and safe whatever they hold."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

MINUS = "\u2212"
NONE = "\u2013"
# Controls that change nothing visible or turn the text around them; line ends and tabs stay.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")


def number(value: float | None) -> str:
    """Return a number with three decimals or three digits, a dash for none."""
    if value is None or not math.isfinite(value):
        return NONE
    size = abs(value)
    if isinstance(value, int) or size >= 1000 or (size >= 2 and value == round(value)):
        shown = f"{value:,.0f}"
    elif size >= 10:
        shown = f"{value:.1f}"
    else:
        shown = f"{value:.3f}" if size >= 0.001 else f"{value:.2g}"
    return shown.replace("-", MINUS)


def share(value: float | None) -> str:
    """Return a share as a percentage, a dash for none."""
    if value is None or not math.isfinite(value):
        return NONE
    return f"{100 * value:.1f} %".replace("-", MINUS)


def interval(low: float | None, high: float | None) -> str:
    """Return the ends of an interval, a dash if there is none; beside a larger end, a tiny one is 0."""
    if low is None or high is None:
        return NONE
    least = 0.0005 if max(abs(low), abs(high)) >= 0.001 else 0.0
    return " to ".join(number(end if abs(end) >= least else 0.0) for end in (low, high))


def bounds(gate: Mapping[str, Any] | None) -> str:
    """Return what a gate asks for: ``at least 0.97``, ``0.45 to 0.53``; empty without a gate."""
    low, high = (gate or {}).get("low"), (gate or {}).get("high")
    if low is not None and high is not None:
        return interval(low, high)
    if low is None and high is None:
        return ""
    return f"at least {number(low)}" if high is None else f"at most {number(high)}"


def cut(text: Any, most: int) -> str:
    """Return a text of at most ``most`` characters, cut in its middle, without what would disturb a page.

    Lone surrogates, control characters and marks that turn the direction of what follows are replaced or removed.
    """
    whole = text if isinstance(text, str) else str(text)
    if len(whole) > most:
        end = most // 4
        whole = f"{whole[: most - end - 5]} [\u2026] {whole[-end:]}"[:most]
    return _UNSEEN.sub("", whole.encode("utf-8", "replace").decode())


def plain(value: Any, most: int) -> Any:
    """Return a JSON value whose texts are cut and whose numbers are finite, the others being ``None``."""
    if isinstance(value, str):
        return cut(value, most)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {cut(key, 200): plain(item, most) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, most) for item in value]
    return value


def title(name: str) -> str:
    """Return the name of a measure without its group, as words: ``fidelity.accuracy.pairs`` is ``accuracy, pairs``."""
    parts = name.split(".")
    return ", ".join(parts[1:] or parts).replace("_", " ")


def rows(sizes: Mapping[str, int]) -> str:
    """Return how many rows an evaluation was given, and of how many it compared."""
    given = [f"{number(size)} {name}" for name, size in sizes.items() if name not in {"compared", "texts"}]
    used = [f"{name}: {number(sizes[name])} of each" for name in ("compared", "texts") if name in sizes]
    return f"Rows: {'; '.join(filter(None, (', '.join(given), ', '.join(used))))}." if sizes else ""


def sentence(text: str) -> str:
    """Return a text with a capital letter first and a full stop last."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text[-1:] in {"", ".", "!", "?"} else ".")
