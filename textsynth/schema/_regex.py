"""Patterns read as JSON Schema means them, and written in a plain form that every decoder reads alike.

Regular expression dialects differ in anchoring, in ``\\w``, in what ``.`` is; decoders differ in which of it they get wrong
in silence. So a pattern is parsed (ECMA 262), anchored, bounded in length, and written again with nothing but literals,
classes, groups, ``|`` and ``{n,m}``. What is no regular language (look-around, back references, ``\\b``) has no such form.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import inf
from typing import Literal, TypeAlias

from textsynth.schema import _chars as chars
from textsynth.schema._chars import Ranges

QUANTIFIER = re.compile(r"(?:(?P<sign>[*+?])|\{(?P<least>\d+)(?P<comma>,)?(?P<most>\d*)\})\??", re.ASCII)
GROUP = re.compile(r"\?(?::|<[A-Za-z_]\w*>)", re.ASCII)
CODE = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}")
SIGNS: dict[str, tuple[int, float]] = {"*": (0, inf), "+": (1, inf), "?": (0, 1)}
CONTROLS = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "0": 0}
SETS = {"d": chars.DIGIT, "w": chars.WORD}
NOT_REGULAR = frozenset("bBkpP123456789")
DEEPEST = 50
"""Most groups inside one another."""


@dataclass(frozen=True, slots=True)
class Chars:
    """One character out of a set."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Sequence:
    """One part after the other."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Any one of the options."""

    options: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """The part, ``least`` to ``most`` times; ``most`` may be infinite."""

    part: Node
    least: int
    most: float


@dataclass(frozen=True, slots=True)
class Edge:
    """``^`` or ``$``; gone once a pattern is anchored."""

    at: Literal["start", "end"]


Node: TypeAlias = Chars | Sequence | Choice | Repeat | Edge
ANYTHING = Repeat(Chars(chars.ANY), 0, inf)


class Irregular(ValueError):
    """The pattern has no plain form."""


@cache
def read(pattern: str) -> Node | None:
    """Return a pattern as the tree of all texts that it matches, from end to end; ``None`` if it has no plain form."""
    reader = Reader(pattern)
    try:
        node = reader.choice()
        if reader.at < len(pattern):
            raise Irregular("unbalanced parenthesis")
        return anchored(node)
    except Irregular:
        return None


class Reader:
    """A recursive descent over the text of a pattern."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth = text, 0, 0

    def choice(self) -> Node:
        """Read alternatives, up to the end or a closing parenthesis."""
        options = [self.sequence()]
        while self.take("|"):
            options.append(self.sequence())
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def sequence(self) -> Node:
        """Read one alternative."""
        parts = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            parts.append(self.quantified())
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def quantified(self) -> Node:
        """Read one atom with its quantifier; a lazy one matches the same texts."""
        atom = self.atom()
        found = QUANTIFIER.match(self.text, self.at)
        if found is None:
            return atom
        if isinstance(atom, Edge):
            raise Irregular("a repeated anchor")
        self.at = found.end()
        if found["sign"]:
            return Repeat(atom, *SIGNS[found["sign"]])
        least = int(found["least"])
        most = int(found["most"]) if found["most"] else inf if found["comma"] else least
        if most < least:
            raise Irregular("an empty repetition")
        return Repeat(atom, least, most)

    def atom(self) -> Node:
        """Read one character, class, group or anchor."""
        sign = self.next()
        if sign in "^$":
            return Edge("start" if sign == "^" else "end")
        if sign == "(":
            return self.group()
        if sign == "[":
            return Chars(self.character_class())
        if sign == ".":
            return Chars(chars.complement(chars.LINE_ENDS))
        if sign == "\\":
            return Chars(self.escape(negated=False))
        if sign in "*+?":
            raise Irregular("nothing to repeat")
        return Chars(chars.one(ord(sign)))

    def group(self) -> Node:
        """Read a group after its opening parenthesis."""
        if self.text.startswith("?", self.at):
            found = GROUP.match(self.text, self.at)
            if found is None:
                raise Irregular("look-around or flags")
            self.at = found.end()
        self.depth += 1
        if self.depth > DEEPEST:
            raise Irregular("too many groups inside one another")
        inner = self.choice()
        self.depth -= 1
        if not self.take(")"):
            raise Irregular("unbalanced parenthesis")
        return inner

    def character_class(self) -> Ranges:
        """Read a class after its opening bracket."""
        negated, found = self.take("^"), []
        while not self.take("]"):
            low = self.member(negated)
            if self.text.startswith("-", self.at) and not self.text.startswith("-]", self.at) and chars.single(low):
                self.at += 1
                high = self.member(negated)
                if not chars.single(high) or high < low:
                    raise Irregular("a range that runs backwards")
                low = ((low[0][0], high[0][0]),)
            found.append(low)
        rest = chars.complement(chars.union(*found))
        whole = rest if negated else chars.complement(rest)
        if not whole:
            raise Irregular("an empty class")
        return whole

    def member(self, negated: bool) -> Ranges:
        """Read one character or set of a class."""
        sign = self.next()
        if sign != "\\":
            return chars.one(ord(sign))
        return chars.one(8) if self.take("b") else self.escape(negated=negated)

    def escape(self, *, negated: bool) -> Ranges:
        """Read what follows a backslash. Where dialects differ, a set is the smaller one, or the larger if negated."""
        if found := CODE.match(self.text, self.at):
            self.at = found.end()
            code = int(next(group for group in found.groups() if group), 16)
            if 0xD800 <= code <= 0xDFFF or code > chars.LAST:
                raise Irregular("half a character")
            return chars.one(code)
        sign = self.next()
        if sign in NOT_REGULAR:
            raise Irregular("no regular expression in the strict sense")
        if sign in CONTROLS:
            return chars.one(CONTROLS[sign])
        if sign == "c":
            return chars.one(ord(self.next()) % 32)
        if sign.lower() in SETS:
            return SETS[sign] if sign.islower() else chars.complement(SETS[sign.lower()])
        if sign in "sS":
            space = chars.WIDE_SPACE if negated == (sign == "s") else chars.SPACE
            return space if sign == "s" else chars.complement(space)
        return chars.one(ord(sign))

    def next(self) -> str:
        """Return the next character and step over it."""
        if self.at >= len(self.text):
            raise Irregular("the pattern ends too early")
        self.at += 1
        return self.text[self.at - 1]

    def take(self, sign: str) -> bool:
        """Step over ``sign`` if it comes next."""
        found = self.text.startswith(sign, self.at)
        self.at += found
        return found


def anchored(node: Node) -> Node:
    """Return the tree of whole texts for one that may match anywhere inside them."""
    if isinstance(node, Choice):
        return Choice(tuple(anchored(option) for option in node.options))
    parts = list(node.parts) if isinstance(node, Sequence) else [node]
    starts = bool(parts) and parts[0] == Edge("start")
    parts = parts[1:] if starts else parts
    ends = bool(parts) and parts[-1] == Edge("end")
    parts = parts[:-1] if ends else parts
    if len(parts) == 1 and isinstance(parts[0], Choice | Sequence) and has_edge(parts[0]) and not (starts or ends):
        return anchored(parts[0])
    if any(has_edge(part) for part in parts):
        raise Irregular("an anchor inside the pattern")
    return Sequence((*(() if starts else (ANYTHING,)), *parts, *(() if ends else (ANYTHING,))))


def has_edge(node: Node) -> bool:
    """Return whether an anchor is left in a tree."""
    return isinstance(node, Edge) or any(has_edge(part) for part in inner(node))


def inner(node: Node) -> tuple[Node, ...]:
    """Return the trees that a tree is made of."""
    if isinstance(node, Repeat):
        return (node.part,)
    return node.parts if isinstance(node, Sequence) else node.options if isinstance(node, Choice) else ()


def write(node: Node, *, longest: int = 10**9) -> str:
    """Return the anchored plain text of a tree. ``longest`` is the largest count the decoder takes in ``{n,m}``."""
    return f"^{text_of(node, lambda part, least, most: repeated(part, least, most, longest))}$"


def text_of(node: Node, repeat: Callable[[str, int, float], str]) -> str:
    """Return the text of a tree without anchors, a choice in parentheses."""
    if isinstance(node, Chars):
        return chars.render(node.ranges)
    if isinstance(node, Repeat):
        text = text_of(node.part, repeat)
        return repeat(text if isinstance(node.part, Chars | Choice) else group_of(text), node.least, node.most)
    if isinstance(node, Choice):
        return group_of("|".join(text_of(option, repeat) for option in node.options))
    return "".join(text_of(part, repeat) for part in node.parts) if isinstance(node, Sequence) else ""


def group_of(text: str) -> str:
    """Return a text in parentheses that capture nothing."""
    return f"(?:{text})"


def repeated(text: str, least: int, most: float, longest: int) -> str:
    """Write a repetition, in pieces where the decoder counts no further."""
    if longest < most < inf:
        first = min(least, longest)
        return repeated(text, first, longest, longest) + repeated(text, least - first, most - longest, longest)
    if (least, most) == (1, 1):
        return text
    for sign, bounds in SIGNS.items():
        if bounds == (least, most) and not text.endswith(")"):  # xgrammar gets (...)? wrong, and (...){0,1} right
            return text + sign
    top = "" if most == inf else int(most)
    return f"{text}{{{least}}}" if least == most else f"{text}{{{least},{top}}}"
