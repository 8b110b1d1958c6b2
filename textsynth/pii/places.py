"""Street and postal addresses by form: street words of a dozen languages, house numbers, units, boxes, post codes."""

from __future__ import annotations

import re

from textsynth.pii.findings import Finding
from textsynth.pii.rule import Rule, found, gate_words

_W = r"[^\W\d_][\w'\u2019.-]{0,30}"
_WORDS = rf"{_W}(?: {_W}){{0,4}}?"
_SUFFIX = (
    "street|str|st|road|rd|avenue|ave|lane|ln|drive|dr|court|ct|place|pl|square|sq|boulevard|blvd|way|terrace|crescent|cres|close|"
    "highway|hwy|parkway|pkwy|circle|cir|trail|grove|gardens|mews|esplanade|quay"
)
_PREFIX = (
    "rue|via|calle|ul\\.|ulica|rua|avenida|av\\.|avenue|plaza|piazza|corso|viale|boulevard|bd|chauss\u00e9e|quai|impasse|place|all\u00e9e|largo|"
    "travessa|strada|vicolo|carrer|camino|paseo|praceta|estrada|r\\.?|ctra\\.|c/|rte|route|ulitsa|alameda|parque|p\u0142k\\.|os\\.|al\\."
)
_COMPOUND = (
    "stra\u00dfe|strasse|str\\.|weg|gasse|platz|allee|straat|laan|plein|gracht|gatan|gata|gade|vej|veien|vegen|v\u00e4gen|v\u00e4g|gaten|katu|kuja|"
    "tie|all\u00e9|stien|ring|damm|ufer|dreef|kade|singel"
)
_UNIT = r"(?:apt|suite|unit|ste|apartment|flat|room|floor)\.? ?#? ?[0-9]{1,5}[a-z]?"
# What follows the street: a unit, then up to four short parts, each of words and at most one post code.
_PART = r"[^\W\d_][\w'\u2019.()\u2206 -]{0,30}[\w)]"
_CODE = r"[0-9]{3,6}(?:[ -][0-9]{2,4})?|[a-z][0-9][a-z] ?[0-9][a-z][0-9]|[a-z]{1,2}[0-9]{1,2}[a-z]? [0-9][a-z]{2}"
_LINES = rf"(?:[ \t>?]{{0,4}}(?:,|\n)[ \t>?]{{0,6}}(?:,[ ])?(?:{_PART})?(?: (?:{_CODE})\b)?){{0,4}}"
_INLINE = rf"(?: (?!and\b|is\b|for\b|last\b|with\b|because\b|after\b|street\b)(?-i:[A-Z\u00c0-\u024f\u0370-\u03ff])[\w'\u2019.()-]{{0,24}}){{0,4}}(?: (?:{_CODE})\b)?"
_TAIL = rf"(?:[\s,>?]{{0,8}}{_UNIT}(?:[\s,]{{1,4}}{_UNIT})?(?:{_INLINE}))?"
_STOPS = re.compile(
    r"(?i)\n\s*\n|\b(?:phone|tel|mobile|fax|office|e-?mail|website|name|ssn|zip|desk)\b|[.?!](?:\s|$)|,? (?:and|for|last|when|after|because|is|in|on|to|at|with|so|but|i|it|please)\b"
)
_CODE_END = re.compile(rf"(?i)(?:{_CODE})$")
_LINE_CODE = re.compile(
    rf"(?i)[ \t>?]{{0,4}}(?:,|\n)[ \t>?]{{0,6}}(?P<body>,? ?(?:{_PART})?(?:,? ?(?:{_PART}))?)(?P<code>,? ?\b(?:{_CODE})\b)?"
)


def _extend(text: str, end: int, *, lines: int = 4) -> int:
    """Return where the city, region, country and post code that follow an address end."""
    last = end
    for _ in range(lines):
        step = _LINE_CODE.match(text, end, end + 110)
        if step is None or step.end() == end:
            break
        stop = _STOPS.search(text, step.start("body"), step.end())
        body = text[step.start("body") : stop.start() if stop else step.end()]
        if not body.strip(" ,") or not _looks_local(body, text, step.end()):
            break
        last = end = stop.start() if stop else step.end()
        if stop or step["code"]:
            break
    return last


def _looks_local(body: str, text: str, end: int) -> bool:
    """Whether a part can be a place: capitals on each word, or a post code at its end, and not a number's start."""
    words = [word for word in re.split(r"[\s,]+", body) if word]
    capital = words[0][:1].isupper() or not words[0][:1].isalpha() or _CODE_END.search(body) is not None
    return capital and len(words) <= 6 and not text[end : end + 1].isdigit()


def _address(match: re.Match[str]) -> Finding | None:
    text = match.group()
    end = _extend(match.string, match.end())
    start = match.start() + len(text) - len(text.lstrip())
    while end > start and match.string[end - 1] in " ,.\n\t>?":
        end -= 1
    return Finding("ADDRESS", start, end, 0.7, "context") if end - start > 4 else None


def _numbered(match: re.Match[str]) -> Finding | None:
    """A street word with a number before or after it; without one it is a street name only."""
    if not any(char.isdigit() for char in match.group()):
        return None
    return _address(match)


def _zip(match: re.Match[str]) -> Finding:
    return found("ADDRESS", match, "context", "code", 0.7)


def _named_address(match: re.Match[str]) -> Finding | None:
    """Take what follows words like "lives at", where it has a capital or two numbers."""
    name = match["name"]
    if not any(char.isupper() for char in name) and not re.match(r"[0-9]+ .*[0-9]", name, re.DOTALL):
        return None
    end = _extend(match.string, match.end("name"))
    return Finding("ADDRESS", match.start("name"), end, 0.65, "context")


RULES = (
    Rule(
        ("ADDRESS",),
        r"[0-9].*\b(" + gate_words(_SUFFIX) + r")\b",
        re.compile(
            rf"(?i)(?<![\w.,$#-])(?:[0-9]{{1,6}}[a-z]? ){{1,2}}{_WORDS} (?:{_SUFFIX})\b\.?(?: [0-9]{{1,4}}\b)?{_TAIL}"
        ),
        _address,
    ),
    Rule(
        ("ADDRESS",),
        r"\b(" + gate_words(_PREFIX) + r")[ /]?.+[0-9]",
        re.compile(
            rf"(?i)(?<![\w.,$#-])(?:[0-9]{{1,6}} )?(?:{_PREFIX})(?: |(?<=[./])){_WORDS},? [0-9]{{1,5}}[a-z]?\b{_TAIL}"
        ),
        _numbered,
    ),
    Rule(
        ("ADDRESS",),
        r"(" + gate_words(_COMPOUND) + r")\.? [0-9]",
        re.compile(
            rf"(?i)(?<![\w.,$#-])(?:[0-9]{{1,6}} )?(?:{_W} )?[^\W\d_][\w'\u2019-]{{1,28}}(?:{_COMPOUND})\.? [0-9]{{1,4}}[a-z]?\b\.?{_TAIL}"
        ),
        _numbered,
    ),
    Rule(
        ("ADDRESS",),
        _UNIT,
        re.compile(
            rf"(?i)(?<![\w.,$#-])(?:[0-9]{{1,6}} ){{1,2}}(?:{_W} ){{0,5}}{_W}(?: [0-9]{{1,5}}[a-z]?\b\.?)?[\s,>?]{{1,8}}{_UNIT}(?:[\s,]{{1,4}}{_UNIT})?{_INLINE}"
        ),
        _address,
    ),
    Rule(
        ("ADDRESS",),
        r"box[ #]{1,2}[0-9]",
        re.compile(
            r"(?i)(?<!\w)(?:[0-9]{1,6} )?(?:(?:unit|psc) [0-9]{1,5},? box [0-9]{1,6}|p\.? ?o\.? ?box #?[0-9]{1,6})(?:[\s,]{1,3}(?:apo|fpo|dpo),? [a-z]{2} [0-9]{5})?"
        ),
        _address,
    ),
    Rule(
        ("ADDRESS",),
        r"\b(apo|fpo|dpo),? a[aep] [0-9]{5}",
        re.compile(r"(?i)(?<!\w)(?:(?:uss|usnv|usns|uscgc) \w{2,20}\s)?(?:apo|fpo|dpo),? a[aep] [0-9]{5}\b"),
        _address,
    ),
    Rule(
        ("ADDRESS",),
        r"corner of ",
        re.compile(
            rf"(?i)(?<!\w)(?:the )?corner of (?:[0-9]{{1,6}} )?{_W}(?: [\w'\u2019.-]{{1,30}}){{0,5}}? and {_W}(?: (?-i:[A-Z])[\w'\u2019.-]{{1,30}}){{0,3}}"
        ),
        _address,
    ),
    Rule(
        ("ADDRESS",),
        r"(zip|postal|post)( |-)?(code)?",
        re.compile(
            rf"(?i)\b(?:zip(?:[ -]?code)?|post(?:al)?[ -]?code)(?: is|:)? {{1,3}}(?P<code>{_CODE}|[0-9]{{5}}-[0-9]{{3}})\b"
        ),
        _zip,
    ),
    Rule(
        ("ADDRESS",),
        r"address|lives|live|located|sent to|send|taxi|meet|office is|arrived|enter on|side of|moved|deliver|where:",
        re.compile(
            r"(?i)(?<!\w)(?:address(?: is|:| with)|lives? (?:at|on|in)|located at|sent to|taxi to|meet (?:me|you) at|office is at|arrived at|enter on|"
            rf"side of|deliver(?:ed)? (?:it )?to|where:)[\s:]{{1,6}}(?:it is )?(?P<name>(?:[0-9]{{1,6}} )?(?:{_W} ){{0,5}}(?:{_W}\.? )[0-9]{{1,5}}\b\.?{_TAIL})"
        ),
        _named_address,
    ),
)
