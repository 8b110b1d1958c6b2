"""Telephone numbers: international ones by the numbering plans, national ones by their form or the words around."""

from __future__ import annotations

import re
from functools import lru_cache

from textsynth.pii.checksums import is_repeated
from textsynth.pii.findings import Finding
from textsynth.pii.rule import Rule, digits_of, found

_BEFORE = frozenset(
    "phone phones telephone tel mobile mob cell cellphone fax desk call called calling calls callback ring dial reach reached "
    "texted sms whatsapp contact message messages answering answer hotline helpline voicemail landline t ph handy telefon "
    "telefono rufnummer portable movil m\u00f3vil celular".split()
)
_AFTER = re.compile(r"(?i)^.{0,3}\b(?:office|fax|mobile|cell|home|work|desk|phone|tel|ext|extension)\b")
_NOT_PHONE = frozenset(
    "order invoice ref reference ticket id isbn issn ean sku serial tracking card account acct iban policy claim ssn routing "
    "version pin code cc imei bsn case pep booking license licence passport zip aadhaar npi vin mrn batch lot model year "
    "amount part nr timestamp epoch doi build hash uuid checksum".split()
)
_REACH = 18  # characters between such a word and the number
_WORD = re.compile(r"\w+")
_NANP = re.compile(
    r"(?:\+?1[ .-]?|001[ .-])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[.-])[0-9]{3}[.-][0-9]{4}$|\([0-9]{3}\) ?[0-9]{3}-[0-9]{4}$"
)
_DATE = re.compile(
    r"(?:19|20)[0-9]{2}[-/. ](?:0?[1-9]|1[0-2])[-/. ][0-3]?[0-9](?![0-9])|[0-3]?[0-9][-/. ][01]?[0-9][-/. ](?:19|20)[0-9]{2}(?![0-9])"
)


@lru_cache(maxsize=4096)
def _is_valid(number: str) -> bool:
    """Return whether a number that starts with + is in its country's numbering plan."""
    import phonenumbers

    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, None))
    except phonenumbers.NumberParseException:
        return False


def _phone(match: re.Match[str]) -> Finding | None:
    text = match["number"]
    digits = digits_of(text)
    if not 7 <= len(digits) <= 15 or is_repeated(digits):
        return None
    if text.lstrip("(").startswith("+") and len(digits) >= 8:
        return _international(match, "+" + digits)
    if _is_other(match) or _DATE.match(text):
        return None
    if _NANP.match(text):
        good = _is_valid("+1" + digits[-10:])
        return found("PHONE_NUMBER", match, "valid" if good else "shaped", 0, 0.9 if good else 0.6)
    if text.startswith("00") and len(digits) >= 10 and not text.isdecimal():
        return _international(match, "+" + digits[2:])
    if _is_announced(match) or _AFTER.search(match.string[match.end() : match.end() + 14]):
        return found("PHONE_NUMBER", match, "context", 0, 0.75)
    return found("PHONE_NUMBER", match, "shaped", 0, 0.5) if _answers(match, digits) else None


def _is_announced(match: re.Match[str]) -> bool:
    """Whether a word like "phone" stands within 48 characters before the number; "call id" and "call number" do not count."""
    words = _WORD.findall(match.string[max(0, match.start() - 48) : match.start()].casefold())
    for word, following in zip(words, [*words, ""][1:], strict=True):
        if word in _BEFORE and not (word.startswith("call") and following in {"id", "number"}):
            return True
        if word == "text" and following == "me":
            return True
    return False


def _is_other(match: re.Match[str]) -> bool:
    """Whether the words just before the number say that it is another one: an order, a card, an amount."""
    before = match.string[max(0, match.start() - 40) : match.start("number")]
    if before.rstrip(" ")[-1:] in {"#", "$", "\u20ac", "\u00a3"}:
        return True
    near = re.split(r"[.?!\n]", before)[-1]
    return any(m.end() >= len(near) - _REACH and m.group().casefold() in _NOT_PHONE for m in _WORD.finditer(near))


def _answers(match: re.Match[str], digits: str) -> bool:
    """Whether a text is hardly more than ten digits, as a person answers who is asked for a telephone number."""
    rest = match.string[: match.start()] + match.string[match.end() :]
    return (
        len(digits) == 10
        and digits[0] > "1"
        and len(set(digits)) > 2
        and len(rest) <= 40
        and not any(map(str.isdigit, rest))
    )


def _international(match: re.Match[str], number: str) -> Finding:
    good = _is_valid(number.replace("+440", "+44")) or _is_valid(number)
    return found("PHONE_NUMBER", match, "valid" if good else "shaped", 0, 0.95 if good else 0.65)


RULES = (
    Rule(
        ("PHONE_NUMBER",),
        r"[0-9]([ ().-]{0,3}[0-9]){6}",
        re.compile(
            r"(?P<number>[+(0-9](?<![0-9A-Za-z_/=.][+(0-9])(?<![0-9]-[+(0-9])"  # a set in front: re skips to it
            r"(?:(?<=[0-9])|\(?\+?[0-9])(?:[ ().-]{0,3}[0-9]){6,14}+)"
            r"(?:[ ,]{0,2}(?:x|ext\.?|extension|#) ?[0-9]{1,6})?(?![0-9A-WYZa-wyz_]|[-/.:][0-9])"
        ),
        _phone,
    ),
)
