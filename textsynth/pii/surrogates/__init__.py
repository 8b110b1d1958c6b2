"""Surrogates: what stands in for personal data, of the same type, locale and format, and belonging to nobody.

Every surrogate is drawn by a hash of the seed, the type and the value (and, within one record, its draw), so nothing is
remembered between records, the same run gives the same surrogates in any process, and none can be turned back into its
original without trying values out.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from functools import cached_property, partial
from importlib.util import find_spec
from random import Random
from typing import Literal

from xxhash import xxh3_64_intdigest

from textsynth.errors import MissingPackageError
from textsynth.pii.surrogates._codes import CODES
from textsynth.pii.surrogates._numbers import card, digits_of, iban, national, phone
from textsynth.pii.surrogates._words import Words

Scope = Literal["record", "run"]
_TRIES = 20
_BY_WORDS = frozenset({"PERSON", "EMAIL_ADDRESS", "LOCATION", "ADDRESS", "ORGANIZATION", "NRP"})


class Surrogates:
    """Makes surrogates.

    Args:
        locale: the Faker locale of names and places; it also says what a telephone number without a country code is.
        seed: the run's seed.
        scope: within what the same value has the same surrogate. In a ``record`` two values never share one as long as
            there are enough; across the ``run`` they may, by chance: of 1,000 different e-mail addresses about one
            pair, of hardware addresses (256 in their range) many.

    Raises:
        MissingPackageError: Faker is not installed.
        ValueError: a locale that Faker does not have, with the nearest.
    """

    def __init__(self, locale: str = "en_US", *, seed: int = 0, scope: Scope = "record") -> None:
        check_locale(locale)
        self.locale, self.seed, self.scope = locale, seed, scope

    @cached_property
    def _words(self) -> Words:
        return Words(self.locale)

    def replace(self, values: Sequence[tuple[str, str]], *, draw: int = 0, attempt: int = 0) -> list[str]:
        """Return a surrogate for each (type, value) of one record.

        Args:
            values: all that is to be replaced in the record.
            draw: the record's draw; it counts where the scope is the record.
            attempt: another number gives other surrogates; above 0 they are no longer than their values if possible.
        """
        record = _Record(self, draw if self.scope == "record" else -1, attempt, {_key(k, v) for k, v in values})
        order = sorted({(kind, value) for kind, value in values}, key=lambda item: (-len(item[1]), item))
        made = {item: record.make(*item) for item in order}  # the longest first: whole names before their parts
        return [made[item] for item in values]


class _Record:
    """The surrogates of one record: which values they must not be, and what each word of a name became."""

    def __init__(self, source: Surrogates, draw: int, attempt: int, originals: set[str]) -> None:
        self._source, self._draw, self._attempt, self._taken = source, draw, attempt, originals
        self._words: dict[tuple[str, int], str] = {}
        self._made: dict[tuple[str, str], str] = {}

    def make(self, kind: str, value: str) -> str:
        """Return the first surrogate that is none of the record's values nor, within a record, another's surrogate."""
        made = value
        for number in range(_TRIES):
            pick = self._pick(kind, _key(kind, value), number)
            made = self._draw_one(kind, value, pick, number)
            key = _key(kind, made)
            if key not in self._taken or self._made.get((kind, key)) == _key(kind, value):
                break
        if self._draw >= 0:
            self._taken.add(_key(kind, made))
            self._made[kind, _key(kind, made)] = _key(kind, value)
        return made

    def _pick(self, *what: object) -> Random:
        text = repr((self._source.seed, self._draw, self._attempt, *what))
        return Random(xxh3_64_intdigest(text.encode()))

    def _draw_one(self, kind: str, value: str, pick: Random, number: int) -> str:
        if kind in _BY_WORDS:
            return self._in_words(kind, value, pick, number)
        if kind == "CREDIT_CARD":
            return card(value, pick)
        if kind == "IBAN_CODE":
            return iban(value, pick)
        if kind == "PHONE_NUMBER":
            return phone(value, pick, region=self._source.locale[-2:])
        return CODES.get(kind, national(kind))(value, pick)

    def _in_words(self, kind: str, value: str, pick: Random, number: int) -> str:
        words, longest = self._source._words, len(value) if self._attempt else None
        renamed = partial(self._renamed, number)
        if kind == "PERSON":
            return words.person(value, renamed)
        if kind == "EMAIL_ADDRESS":
            return words.email(value, pick, renamed)
        make = {"LOCATION": words.place, "ADDRESS": words.address, "ORGANIZATION": words.organization}
        return make.get(kind, words.people)(value, pick, longest)

    def _renamed(self, number: int, word: str, last: bool) -> str:
        """Return what a word of a name becomes; once it has become something, that stays so in the record."""
        key = (word.casefold(), number)
        if key not in self._words:
            pick = self._pick("word", *key)
            longest = len(word) if self._attempt else None
            self._words[key] = self._source._words.name_word(word, pick, last=last, longest=longest)
        return self._words[key]


def check_locale(locale: str) -> None:
    """Check that Faker is here and has the locale.

    Raises:
        MissingPackageError: Faker is not installed.
        ValueError: it does not have the locale; the nearest is named.
    """
    if find_spec("faker") is None:
        raise MissingPackageError("faker", extra="pii", needed_for="replacing personal data by surrogates")
    from faker.config import AVAILABLE_LOCALES

    if locale not in AVAILABLE_LOCALES:
        near = get_close_matches(locale, AVAILABLE_LOCALES, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(f"locale must be one that Faker has, such as en_US or de_DE, got {locale!r}{hint}")


def _key(kind: str, value: str) -> str:
    """Return what makes two spellings the same value: case, spaces and grouping do not count."""
    if kind == "PHONE_NUMBER":
        return digits_of(value)[-9:]
    if kind in _BY_WORDS:
        return " ".join(value.casefold().split())
    return "".join(c for c in value.casefold() if c.isalnum())


__all__ = ["Scope", "Surrogates", "check_locale"]
