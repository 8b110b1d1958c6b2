"""Persons as far as set phrases tell: "my name is", titles, salutations, labels."""

from __future__ import annotations

import re

from textsynth.pii.findings import Finding
from textsynth.pii.rule import Rule, found

_LETTER = r"[^\W\d_]"
_WORD = rf"{_LETTER}[\w'\u2019-]{{0,24}}"
_CAPITAL = rf"(?![a-z]){_WORD}"
_FULL = rf"{_CAPITAL}(?:[ ](?:{_LETTER}\.|(?:van|von|de|der|den|da|dos|del|la|bin|al|el)(?![\w'])|{_CAPITAL})){{0,3}}"
_NOT_NAME = frozenset(
    "a an the not no yes is it its this that and or but for in on at of to from with sir madam sirs all everyone team customer friend "
    "friends user member hr support hiring manager editor colleagues i im my me you your so very just here there what how why who "
    "sorry ok okay please thanks thank hi hello mr mrs ms dr number correct wrong spelled field file name unknown none customer "
    "required missing being also still already now going looking trying having calling writing changed different misspelled".split()
)


def _person(match: re.Match[str]) -> Finding | None:
    if match["name"].split()[0].lower().rstrip(".") in _NOT_NAME or len(match["name"]) < 2 or _is_mask(match["name"]):
        return None
    return found("PERSON", match, "context", "name", 0.7)


def _lower_person(match: re.Match[str]) -> Finding | None:
    """A name in small letters ends before the first word that no name is."""
    words = match["name"].split(" ")
    kept = next((i for i, word in enumerate(words) if word.lower() in _NOT_NAME), len(words))
    if kept == 0 or _is_mask(words[0]):
        return None
    start = match.start("name")
    return Finding("PERSON", start, start + len(" ".join(words[:kept])), 0.7, "context")


def _is_mask(name: str) -> bool:
    """Whether a name was blacked out already: one letter over and over."""
    letters = {char for char in name.casefold() if char.isalpha()}
    return len(letters) == 1 and len(name) > 2


RULES = (
    Rule(
        ("PERSON",),
        r"name(s|'s)? (is|was|:)|name'?s |(call|called|calls) me ",
        re.compile(
            rf"(?i)(?<![\w])(?:(?:my|his|her|their)(?: (?:full|first|last|maiden|real))? name(?:'s| is| was)|calls? me) (?P<name>{_WORD}(?: {_WORD}){{0,2}})"
        ),
        _lower_person,
    ),
    Rule(
        ("PERSON",),
        r"\b(mrs?|ms|dr|miss|prof|sir|madam|mme|herr|frau|se.{1,2}ora?|signora?)\b",
        re.compile(
            rf"(?<![\w])(?:[Mm](?:rs?|s|iss)|[Dd]r|Prof|Herr|Frau|Mme|Se\u00f1ora?|Signora?)(?:\. ?| )(?P<name>{_FULL})"
        ),
        _person,
    ),
    Rule(
        ("PERSON",),
        r"\bdear |name:|(regards|sincerely|cheers|yours|signed)",
        re.compile(
            rf"(?<![\w])(?:[Dd]ear (?=[^\n,]{{1,40}}[,:\n])|(?:[Ff]ull )?[Nn]ame: {{0,6}}|(?:[Rr]egards|[Ss]incerely|[Cc]heers),\s{{1,3}})(?P<name>{_FULL})"
        ),
        _person,
    ),
)
