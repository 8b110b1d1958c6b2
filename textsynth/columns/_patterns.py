"""The pattern that codes and identifiers follow, and fresh ones that follow it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_DIGITS, _LOWER, _UPPER = "0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CLASSES = (
    (r"\d", _DIGITS),
    ("[0-9a-f]", _DIGITS + "abcdef"),
    ("[0-9A-F]", _DIGITS + "ABCDEF"),
    ("[a-z]", _LOWER),
    ("[A-Z]", _UPPER),
    ("[A-Za-z]", _UPPER + _LOWER),
    ("[0-9a-z]", _DIGITS + _LOWER),
    ("[0-9A-Z]", _DIGITS + _UPPER),
    ("[0-9A-Za-z]", _DIGITS + _UPPER + _LOWER),
)
_ALPHABETS = dict(_CLASSES)
_RUNS = re.compile(r"\d+|[a-z]+|[A-Z]+|.", re.DOTALL)
_PART = re.compile(r"(\\d|\[[^\]]+\]|\\.|.)(?:\{(\d+)(?:,(\d+))?\})?", re.DOTALL)
_CODE = re.compile(r"\\d|\[0-9|^\[A-Z\](\{\d+\})?$")
"""A pattern of codes: with digits, or capitals of one length. Letters of any length are words."""
_DIGIT = re.compile(r"\d")
_EITHER = re.compile(r"(?<!\\)\|")
_MOST_RUNS = 12
_MOST_FORMS = 8
_MANY = 500
_COMMON = 0.02
_COVERED = 0.9


def find_pattern(texts: Sequence[str]) -> str:
    """Return the regular expression that texts follow: literals, and classes of characters with counts.

    Texts of up to ``_MOST_FORMS`` forms give alternatives (``\\d{5}|\\d{3}XX``), each of which at least ``_COMMON`` of
    the texts follow. A literal is what every text of a form has at that place; nothing else of a text gets into the
    pattern. Empty if the texts have no common form, or one of words.
    """
    if not texts or any(len(text) > 64 for text in texts):
        return ""
    forms: dict[str, list[str]] = {}
    for text in texts:
        forms.setdefault(_DIGIT.sub("0", text), []).append(text)
        if len(forms) > _MANY:
            return _one_form(texts)
    common = sorted(
        (f for f in forms.values() if len(f) >= max(_COMMON * len(texts), 8)), key=lambda f: (-len(f), f[0])
    )
    covered = sum(map(len, common))
    patterns = [_one_form(form) for form in common]
    if not common or len(common) > _MOST_FORMS or covered < _COVERED * len(texts) or "" in patterns:
        return _one_form(texts)
    return "|".join(dict.fromkeys(patterns))


def _one_form(texts: Sequence[str]) -> str:
    lengths = {len(text) for text in texts}
    found = _by_place(texts) if len(lengths) == 1 else _by_runs(texts)
    return found if _CODE.search(found) else ""


def _by_place(texts: Sequence[str]) -> str:
    """Describe texts of one length character by character."""
    parts = [_describe(set(column)) for column in zip(*texts, strict=True)]
    return "" if "" in parts else _join(_whole_numbers(parts))


def _whole_numbers(parts: list[str]) -> list[str]:
    """Let a digit beside one that varies vary too: the zeros of 000123 are part of a number, not a literal."""
    found = list(parts)
    for places in (range(1, len(found)), range(len(found) - 2, -1, -1)):
        step = -1 if places.step > 0 else 1
        for place in places:
            if found[place].isdigit() and found[place + step] == r"\d":
                found[place] = r"\d"
    return found


def _by_runs(texts: Sequence[str]) -> str:
    """Describe texts of several lengths by their runs of digits, lower and upper case letters."""
    split = [_RUNS.findall(text) for text in texts]
    if len({len(runs) for runs in split}) > 1 or len(split[0]) > _MOST_RUNS:
        return ""
    found = []
    for column in zip(*split, strict=True):
        if len(set(column)) == 1:
            found.append("".join(_literal(c) for c in column[0]))
            continue
        name = _describe({c for run in column for c in run}, varying=True)
        if not name.startswith(("\\d", "[")):
            return ""
        low, high = min(map(len, column)), max(map(len, column))
        found.append(f"{name}{{{low},{high}}}" if low != high else f"{name}{{{low}}}")
    return "".join(found)


def _describe(seen: set[str], *, varying: bool = False) -> str:
    if len(seen) == 1 and not varying:
        return _literal(next(iter(seen)))
    return next((name for name, alphabet in _CLASSES if seen <= set(alphabet)), "")


def _literal(character: str) -> str:
    return f"\\{character}" if character in "\\.^$*+?{}[]()|" else character


def _join(parts: Sequence[str]) -> str:
    """Write equal neighbouring classes once, with their count."""
    found: list[tuple[str, int]] = []
    for part in parts:
        if found and found[-1][0] == part and part in _ALPHABETS:
            found[-1] = (part, found[-1][1] + 1)
        else:
            found.append((part, 1))
    return "".join(f"{part}{{{count}}}" if count > 1 else part for part, count in found)


def pattern_size(pattern: str) -> float:
    """Return how many different texts follow a pattern that ``find_pattern`` made."""
    if len(forms := _EITHER.split(pattern)) > 1:
        return sum(map(pattern_size, forms))
    size = 1.0
    for part, low, high in _parts(pattern):
        letters = len(_ALPHABETS.get(part, "x"))
        size *= sum(float(letters) ** n for n in range(low, high + 1))
    return size


def draw_texts(pattern: str, n: int, random: np.random.Generator) -> list[str]:
    """Return ``n`` texts that follow a pattern that ``find_pattern`` made, each alternative as often."""
    forms = _EITHER.split(pattern)
    which = random.integers(len(forms), size=n)
    found = [""] * n
    for number, form in enumerate(forms):
        rows = np.flatnonzero(which == number).tolist()
        columns = [_draw_part(part, low, high, len(rows), random) for part, low, high in _parts(form)]
        for row, parts in zip(rows, zip(*columns, strict=True), strict=True):
            found[row] = "".join(parts)
    return found


def draw_pattern(pattern: str, n: int, random: np.random.Generator) -> list[str]:
    """Return ``n`` texts that follow a pattern that ``find_pattern`` made, all different from each other.

    Raises:
        ValueError: fewer than ``n`` different texts follow the pattern.
    """
    if pattern_size(pattern) < n:
        raise ValueError(f"only {pattern_size(pattern):.0f} different texts follow the pattern {pattern!r}, not {n}")
    found: dict[str, None] = {}
    while len(found) < n:
        wanted = int((n - len(found)) * 1.1) + 8
        found |= dict.fromkeys(draw_texts(pattern, wanted, random))
    return list(found)[:n]


def widen(pattern: str) -> str:
    """Return the pattern with room for ten times as many texts, at its last varying part; itself if it has none."""
    found = list(re.finditer(r"(\\d|\[[^\]]+\])(?:\{(\d+)(?:,(\d+))?\})?", pattern))
    if not found:
        return pattern
    name, low, high = found[-1].groups()
    longest = int(high or low or 1) + 1
    return f"{pattern[: found[-1].start()]}{name}{{{longest}}}{pattern[found[-1].end() :]}"


def _parts(pattern: str) -> list[tuple[str, int, int]]:
    found = []
    for match in _PART.finditer(pattern):
        part, low, high = match.groups()
        found.append((part, int(low or 1), int(high or low or 1)))
    return found


def _draw_part(part: str, low: int, high: int, n: int, random: np.random.Generator) -> list[str]:
    alphabet = _ALPHABETS.get(part)
    if alphabet is None:
        return [(part[1:] if part.startswith("\\") else part) * low] * n
    letters: NDArray[np.str_] = np.array(list(alphabet))[random.integers(len(alphabet), size=(n, high))]
    texts = ["".join(row) for row in letters.tolist()]
    if low == high:
        return texts
    lengths = random.integers(low, high + 1, size=n)
    return [text[:length] for text, length in zip(texts, lengths.tolist(), strict=True)]
