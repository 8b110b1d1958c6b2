"""Surrogates made of words: persons, places, addresses, organisations and e-mail addresses, from Faker's lists of a locale.

A name is replaced word by word, so that *Anna Schmidt*, *Schmidt* and *anna.schmidt@acme.com* stay one person: the same
word gives the same word, whether it stands alone or not, and a first name keeps its gender where Faker knows it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from random import Random
from typing import Any
from unicodedata import normalize

from textsynth.pii.surrogates._numbers import alike, alike_digits

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*", re.UNICODE)
_TITLES = frozenset("mr mrs ms miss mx dr prof sir dame lord lady herr frau mme mlle jr sr ii iii phd md".split())
_PARTICLES = frozenset("van von der den de del della di da dos das la le el al bin ibn ben ter ten zu of".split())
_COMPANY_FORM = re.compile(
    r",?\s+(?:Inc|LLC|Ltd|Limited|Corp|Corporation|Co|GmbH|AG|SE|SA|S\.A|SpA|BV|NV|PLC|Group|Bank|University)\.?$"
)
_PEOPLES = (
    "Norwegian Brazilian Kenyan Canadian Portuguese Vietnamese Polish Chilean Ghanaian Finnish Peruvian Irish Greek "
    "Moroccan Danish Korean Hungarian Austrian Nigerian Indonesian"
).split()
_TRIES = 30

Renamed = Callable[[str, bool], str]
"""What a word of a name becomes: takes the word and whether it would be a last name if no list knows it."""


class Words:
    """Faker's lists for one locale.

    Args:
        locale: a Faker locale (``en_US``, ``de_DE``).
    """

    def __init__(self, locale: str) -> None:
        from faker import Faker

        self.locale = locale
        self._fake = Faker(locale)
        person = next(p for p in self._fake.get_providers() if ".person" in type(p).__module__)
        self._male, self._female = _names(person, "first_names_male"), _names(person, "first_names_female")
        either = _names(person, "first_names")
        self._either = either or self._male + self._female
        self._last = _names(person, "last_names")
        if len(self._last) < 20 or not self._either:
            from faker.providers.person.en_US import Provider

            self._last = _names(Provider, "last_names")
            self._either = self._either or _names(Provider, "first_names")

    @cached_property
    def _known(self) -> Mapping[str, Sequence[str]]:
        """The list from which each known word is replaced; a name that is both a first and a last name is a first."""
        known: dict[str, Sequence[str]] = {name.casefold(): self._last for name in self._last}
        known |= {name.casefold(): self._either for name in self._either}
        known |= {name.casefold(): self._female for name in self._female}
        male = {name.casefold(): self._male for name in self._male}
        both = {name: self._either for name in male if known.get(name) is self._female}
        return known | male | both

    @cached_property
    def _countries(self) -> frozenset[str]:
        address: Any = next(p for p in self._fake.get_providers() if ".address" in type(p).__module__)
        return frozenset(country.casefold() for country in getattr(address, "countries", ()))

    def name_word(self, word: str, pick: Random, *, last: bool, longest: int | None = None) -> str:
        """Return a name for one word of a name: from the list that has the word, else a last or a first name."""
        names = self._known.get(word.casefold(), self._last if last else self._either)
        if longest is not None:
            names = [name for name in names if len(name) <= longest] or [alike(word, pick)]
        return pick.choice(names)

    def person(self, value: str, renamed: Renamed) -> str:
        """Return a name of as many words; titles, particles and marks stay, an initial gives an initial."""
        words = [w for w in _WORD.finditer(value) if w.group().casefold() not in _TITLES | _PARTICLES]
        surname_first = "," in value and len(words) > 1
        parts, end = [], 0
        for place, word in enumerate(words):
            last = place == 0 if surname_first else place == len(words) - 1
            made = renamed(word.group(), last)
            made = made[:1].upper() if len(word.group()) == 1 else in_case_of(word.group(), made)
            parts += [value[end : word.start()], made]
            end = word.end()
        return "".join(parts) + value[end:] if words else renamed(value, True)

    def email(self, value: str, pick: Random, renamed: Renamed) -> str:
        """Return an address of the same style at example.com, example.org or example.net (RFC 2606)."""
        local, _, domain = value.rpartition("@")
        ending = domain.rpartition(".")[2].lower()
        made = _WORD.sub(
            lambda word: _ascii(in_case_of(word.group(), renamed(word.group(), True)), word.group(), pick), local
        )
        host = f"example.{ending if ending in {'org', 'net'} else 'com'}"
        return f"{alike_digits(made, pick)}@{host.upper() if domain.isupper() else host}"

    def place(self, value: str, pick: Random, longest: int | None) -> str:
        """Return a country for a country, a state's letters for two capitals, and else a city."""
        if value.casefold() in self._countries:
            return self._shortest("country", value, pick, longest)
        if len(value) == 2 and value.isupper() and hasattr(self._fake, "state_abbr"):
            return self._shortest("state_abbr", value, pick, longest)
        return in_case_of(value, self._shortest("city", value, pick, longest))

    def address(self, value: str, pick: Random, longest: int | None) -> str:
        """Return an address: on as many lines or with commas as the original has, or a street and number."""
        if "\n" not in value and "," not in value:
            return in_case_of(value, self._shortest("street_address", value, pick, longest).replace("\n", " "))
        made = self._shortest("address", value, pick, longest)
        return in_case_of(value, made if "\n" in value else made.replace("\n", ", "))

    def organization(self, value: str, pick: Random, longest: int | None) -> str:
        """Return a company's name with the same legal form; one word gives one word."""
        form = _COMPANY_FORM.search(value)
        if form is None and " " in value.strip():
            return in_case_of(value, self._shortest("company", value, pick, longest))
        stem = value[: form.start()] if form else value
        return in_case_of(value, self._shortest("last_name", stem, pick, longest) + (form.group() if form else ""))

    def people(self, value: str, pick: Random, longest: int | None) -> str:
        """Return another nationality."""
        fitting = [p for p in _PEOPLES if longest is None or len(p) <= len(value)] or [min(_PEOPLES, key=len)]
        return in_case_of(value, pick.choice(fitting))

    def _shortest(self, method: str, value: str, pick: Random, longest: int | None) -> str:
        """Call one of Faker's methods; where room is short, until something is no longer than the value."""
        self._fake.seed_instance(pick.getrandbits(64))
        make = getattr(self._fake, method)
        made = str(make())
        for _ in range(_TRIES if longest is not None and len(made) > len(value) else 0):
            made = min(made, str(make()), key=len)
            if len(made) <= len(value):
                break
        return made


def in_case_of(model: str, text: str) -> str:
    """Return ``text`` in capitals or small letters if ``model`` is written so."""
    if model.isupper() and len(model) > 1:
        return text.upper()
    return text.lower() if model.islower() else text


def _names(provider: Any, attribute: str) -> list[str]:
    """Return one of Faker's lists, sorted: some are mappings to weights, some tuples."""
    return sorted(set(getattr(provider, attribute, ())))


def _ascii(name: str, word: str, pick: Random) -> str:
    plain = "".join(c for c in normalize("NFKD", name) if c.isascii() and c.isalnum())
    return plain or alike("".join(c if c.isascii() else "a" for c in word), pick)
