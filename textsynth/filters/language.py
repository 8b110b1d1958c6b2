"""Texts in a language that was not asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from textsynth.errors import MissingPackageError, unknown
from textsynth.filters import Filter, Setting, drop
from textsynth.records import Candidate, Drop
from textsynth.text import require_fields

_READ = 200  # characters of a text that are read: enough to tell, and a long text costs no more
_COMPARED = ("en", "fr", "de", "es", "pt", "it", "nl", "pl", "tr", "sv", "ru", "ar", "hi", "ja", "ko", "zh")

_EDGES = ".,;:!?\"'()[]*-"
_NO_WORD = re.compile(r"[\d@/\\_<>={}]")  # in an address, a link, code
_VOTE = 0.3  # share of the words that must be function words of an allowed language for a text to pass unasked
_OWN = 2  # and so many different ones of them must be no other language's

# Function words: those that hardly stand in a text of another language, and after the bar those that languages share.
_FUNCTION_WORDS = {
    "en": """the and of that it with my you your this are not from they their what which would could should there been
        when how were because about don't i'm it's i've can't please want just have if does did why where by can but
        his she her him our them its then than who these those get got know need make made let like only some other |
        a i to in is be for on at as or we me do he so no was has had will an all am up out any after""",
    "de": """das und ist nicht ich mit auf für eine einen wird sind werden auch sich dem zu wie kann haben nach bei
        oder wenn wir aber mein meine noch nur über wurde warum diese | der die in den ein von es er sie an im am so""",
    "fr": """le les et est une des pour dans vous je avec sur pas qui nous cette mais votre ce sont été être ont aux
        mon ma leur où comme très c'est j'ai n'est | la de un que en il du au ne se on a à par""",
    "es": """el los las y es una por con para del lo pero más mi este está como muy fue yo ha esta son cuando hay
        también sin donde puede porque | la de que en un no se a su me si al le""",
    "it": """il di che è per non sono della con gli del questo nel anche più alla ho mio mia ha dei delle essere come
        ma perché questa quando dal | la un in a i le e si da una se lo al""",
    "pt": """os um uma não para com em do da você mais foi meu minha ao são isso por mas está das dos quando muito
        também já eu tem seu sua | o a e de que se no na me""",
    "nl": """het een van niet dat voor met ik zijn maar ook aan er naar mijn bij deze wordt kan heb hebben uit dit wat
        heeft kunnen worden omdat geen waarom | de en in is op te die of je om als was""",
}
_OTHER_SCRIPTS = "ar be bg bn el fa gu he hi hy ja ka kk ko mk mn mr pa ru sr ta te th uk ur zh".split()


@dataclass(kw_only=True)
class Language(Filter):
    """Drops a record whose text is in none of the languages allowed, by the detector lingua.

    Links, code and words with a capital, which are mostly names, are left out. A text of which 30 % of the words are
    function words of one of the allowed languages English, German, French, Spanish, Italian, Portuguese and Dutch
    passes at once, in some microseconds; one written mostly in other letters than the Latin ones of the languages
    allowed is dropped as fast. The detector takes some hundred. The models of the sixteen languages compared are loaded
    at the start and take 370 MB. Nothing is remembered.

    Cannot see: a change of language after the first 200 characters; a few words of another language among many; a
    language that is not compared is taken for the nearest one that is. Texts of few letters are not judged, for names
    and one-word answers belong to many languages.

    Args:
        languages: the languages allowed, as ISO 639-1 codes.
        among: further languages compared, by default fifteen widely written ones.
        min_letters: letters below which a text is not judged; half as many must be in words without a capital.
        min_confidence: how sure the detector must be that the text is in none of the languages allowed, 0 to 1.
        fields: the fields whose text is joined and judged; by default all free-text fields.
    """

    languages: tuple[str, ...] = ("en",)
    among: tuple[str, ...] = _COMPARED
    min_letters: int = 20
    min_confidence: float = 0.9
    fields: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse numbers out of range and an empty list of languages."""
        self._detector: Any = None
        if not self.languages:
            raise ValueError("languages must name at least one language, got none")
        if self.min_letters < 1:
            raise ValueError(f"min_letters must be at least 1, got {self.min_letters}")
        if not 0 <= self.min_confidence <= 1:
            raise ValueError(f"min_confidence must be between 0 and 1, got {self.min_confidence:g}")

    def prepare(self, setting: Setting) -> None:
        """Check that the fields, the package and the languages exist."""
        super().prepare(setting)
        require_fields(self.fields, setting.schema.properties)
        if find_spec("lingua") is None:
            raise MissingPackageError("lingua-language-detector", extra="content", needed_for="the filter language")
        from lingua import IsoCode639_1, Language

        known = {language.iso_code_639_1.name.lower(): language for language in Language.all()}
        for option in ("languages", "among"):
            for code in getattr(self, option):
                if code not in known:
                    raise ValueError(unknown(option, code, known))
        lists = [_FUNCTION_WORDS[code].split("|") for code in self.languages if code in _FUNCTION_WORDS]
        self._votes = [(frozenset(own.split()), frozenset((own + shared).split())) for own, shared in lists]
        self._latin = not set(self.languages) & set(_OTHER_SCRIPTS)
        self._codes = [IsoCode639_1.from_str(code.upper()) for code in dict.fromkeys((*self.languages, *self.among))]

    def start(self) -> None:
        """Load the models of the languages compared."""
        if self._detector is None:
            from lingua import LanguageDetectorBuilder

            self._detector = (
                LanguageDetectorBuilder.from_iso_codes_639_1(*self._codes).with_preloaded_language_models().build()
            )

    def check(self, batch: Sequence[Candidate]) -> Sequence[Drop | None]:
        """Name the language of each text that is in another; the score is the detector's confidence in it."""
        return [self._check(candidate) for candidate in batch]

    def _check(self, candidate: Candidate) -> Drop | None:
        text = self.setting.text(candidate.record or {}, self.fields)[:_READ].replace("’", "'")
        text = text.lower() if text.isupper() else text
        read = [word for word in (part.strip(_EDGES) for part in text.split()) if word and not _NO_WORD.search(word)]
        if self._passes(read):
            return None
        if self._latin and not text.isascii() and (problem := self._other_script(text)):
            return problem
        plain = " ".join(word for word in read if not word[0].isupper())
        few = _letters(text) < self.min_letters or _letters(plain) < self.min_letters / 2
        return None if few else self._ask(plain)

    def _passes(self, read: Sequence[str]) -> bool:
        """Return whether the function words of one allowed language show that a text is in it; names do not count."""
        small = [word.lower() for word in read]
        names = sum(word[0].isupper() for word in read)
        for own, both in self._votes:
            votes = sum(word in both for word in small)
            started = sum(word[0].isupper() and low in both for word, low in zip(read, small, strict=True))
            if votes >= _VOTE * (len(read) - names + started) and len(own.intersection(small)) >= _OWN:
                return True
        return False

    def _other_script(self, text: str) -> Drop | None:
        letters = [char for char in text if char.isalpha()]
        others = sum(not _is_latin(char) for char in letters)
        if len(letters) < self.min_letters or others <= len(letters) / 2:
            return None
        detail = f"{others} of {len(letters)} letters are not Latin, so it is not {' or '.join(self.languages)}"
        return drop(detail, score=others / len(letters))

    def _ask(self, text: str) -> Drop | None:
        self.start()
        values = self._detector.compute_language_confidence_values(text.encode("utf-8", "ignore").decode())
        shares = {found.language.iso_code_639_1.name.lower(): found.value for found in values}
        other = sum(share for code, share in shares.items() if code not in self.languages)
        if other < self.min_confidence or not other:
            return None
        best = max(shares, key=lambda code: shares[code])
        return drop(f"{best} rather than {' or '.join(self.languages)} (confidence {other:.2f})", score=other)


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


def _is_latin(char: str) -> bool:
    return char < "\u0250" or "\u1e00" <= char <= "\u1eff" or "\uff21" <= char <= "\uff5a" or char in "ªº"
