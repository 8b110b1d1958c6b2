"""Texts for edge cases: hard Unicode, texts of a pattern in a given length, dates at their ends, broken formats."""

from __future__ import annotations

from math import inf
from random import Random

from textsynth.schema._fit import fit
from textsynth.schema._regex import Chars, Choice, Node, Repeat, Sequence, inner, read

UNICODE = {
    "combining_marks": ("Z\u0351\u036b\u0343a\u0300\u0301\u0302", "n\u0303o\u0308e\u0301"),
    "right_to_left": ("\u0645\u0631\u062d\u0628\u0627 abc 123", "\u05e9\u05dc\u05d5\u05dd", "\u202eabc\u202c"),
    "emoji_sequence": (
        "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f3f3\ufe0f\u200d\U0001f308", "\U0001f44d\U0001f3fd",
    ),
    "astral_plane": ("\U0001d54f\U0001d556", "\U00020bb7\U00020bb7", "\U0001f600"),
    "composed": ("\u00c5ngstr\u00f6m", "caf\u00e9"),
    "decomposed": ("A\u030angstro\u0308m", "cafe\u0301"),
    "compatibility": ("\ufb01le", "\uff21\uff22\uff23", "x\u00b2"),
    "white_space": ("\u00a0a\u2003b\u3000", " a  b ", "a\tb\nc"),
    "zero_width": ("a\u200bb", "\ufeffa", "a\u2060b"),
    "markup": ("<b>&amp;</b>", "'; -- \"\\", "${x} %s {{y}}"),
}  # fmt: skip
"""Texts by what is hard about them. No control characters but tab and line feed, no half surrogates."""

DATES = {
    "leap_day": ("2024-02-29", "2000-02-29", "1904-02-29"),
    "year_start": ("2000-01-01", "2025-01-01"),
    "year_end": ("1999-12-31", "2024-12-31"),
    "earliest_date": ("0001-01-01", "1000-01-01"),
    "latest_date": ("9999-12-31",),
    "epoch": ("1970-01-01", "2038-01-19"),
}
TIMES = {"year_start": "00:00:00Z", "year_end": "23:59:59Z", "latest_date": "23:59:59Z", "epoch": "00:00:00Z"}

BROKEN: dict[str, tuple[str, ...]] = {
    "date": ("2023-02-30", "2023-02-29", "2023-13-01", "2023-1-1", "01/02/2023"),
    "time": ("24:00:00Z", "12:60:00Z", "12:00"),
    "date-time": ("2023-02-30T12:00:00Z", "2023-02-28T24:00:00Z", "2023-02-28 12:00", "2023-02-28"),
    "duration": ("P", "1 day", "PT", "P1H"),
    "email": ("name.example.org", "name@", "@example.org", "a@b@c.org"),
    "hostname": ("-a.example.org", "a..b", "a_b.example.org"),
    "ipv4": ("256.1.1.1", "1.2.3", "01.2.3.4"),
    "ipv6": ("::1::", "12345::1", "1:2:3:4:5:6:7"),
    "uri": ("example", "//example.org/a b", "http://[::1"),
    "uri-reference": ("http://[::1", "a b\\c", "%zz"),
    "uri-template": ("http://example.org/{a", "{a b}"),
    "uuid": ("123e4567-e89b-12d3-a456-42661417400", "not-a-uuid", "123e4567e89b12d3a456426614174000"),
    "json-pointer": ("a/b", "/a~2"),
    "relative-json-pointer": ("/a", "-1/a"),
    "regex": ("(", "[a", "*"),
}
BROKEN |= {"idn-email": BROKEN["email"], "iri": BROKEN["uri"], "iri-reference": BROKEN["uri-reference"]}
BROKEN |= {"idn-hostname": ("-a.example.org", "a..b")}

LONGEST = 65_536
"""Characters beyond which no text is written, however long a schema lets it be."""
ROOM = 12
"""Repetitions without an end are drawn up to so many over their least."""


def of_length(patterns: list[str], base: str, length: int, random: Random) -> str | None:
    """Return a text of ``length`` characters: one of the first pattern, or the base text cut or continued.

    ``None`` if the pattern has none that is found.
    """
    if patterns:
        node = read(patterns[0])
        fitted = fit(node, length, length) if node is not None else None
        return draw(fitted, random) if fitted is not None else None
    source = base or "x"
    return (source * (length // len(source) + 1))[:length]


def draw(node: Node, random: Random) -> str:
    """Return a text of a pattern's tree, of plain characters where it allows them."""
    if isinstance(node, Chars):
        return character(node, random)
    if isinstance(node, Repeat):
        most = int(min(node.most, node.least + ROOM)) if node.most == inf else int(node.most)
        return "".join(draw(node.part, random) for _ in range(random.randint(node.least, max(node.least, most))))
    if isinstance(node, Choice):
        return draw(random.choice(node.options), random)
    return "".join(draw(part, random) for part in inner(node)) if isinstance(node, Sequence) else ""


def character(node: Chars, random: Random) -> str:
    """Return one character of a set: a letter or digit, else visible ASCII, else any."""
    for low, high in ((97, 122), (48, 57), (65, 90), (33, 126), (0, 0x10FFFF)):
        within = [(max(a, low), min(b, high)) for a, b in node.ranges if max(a, low) <= min(b, high)]
        if within:
            first, last = random.choice(within)
            return chr(random.randint(first, last))
    return ""
