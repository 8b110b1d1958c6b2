"""National numbers, passports, driving licences and dates of birth."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from textsynth.pii import checksums
from textsynth.pii.findings import Finding, Level
from textsynth.pii.rule import Judge, Rule, always, digits_of, found, is_near

_SSN_WORDS = re.compile(r"(?i)\b(?:ssn|social|security)\b")
_SSN_SAMPLES = frozenset({"078051120", "219099999", "457555462", "123456789", "111223333", "001010001"})


def _is_issued(digits: str) -> bool:
    """Whether the Social Security Administration can have issued it (random areas since 2011), and not as an advert."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return (
        area not in ("000", "666")
        and area < "900"
        and group != "00"
        and serial != "0000"
        and digits not in _SSN_SAMPLES
    )


def _ssn(match: re.Match[str]) -> Finding | None:
    text = match.group()
    digits = digits_of(text)
    if "-" not in text and not is_near(match, _SSN_WORDS):
        return None
    if digits.startswith("98765432"):  # the range reserved for advertisements
        return found("US_SSN", match, "shaped")
    if digits[0] == "9" and (
        "50" <= digits[3:5] <= "65" or ("70" <= digits[3:5] <= "99" and digits[3:5] not in ("89", "93"))
    ):
        return found("US_ITIN", match, "valid")
    return found("US_SSN", match, "valid" if _is_issued(digits) else "shaped")


_NINO_PREFIXES = frozenset({"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"})


def _nino(match: re.Match[str]) -> Finding | None:
    code = match.group().upper()
    named = is_near(match, re.compile(r"(?i)\b(?:nino|national insurance|ni)\b"))
    good = code[0] not in "DFIQUV" and code[1] not in "DFIQUVO" and code[:2] not in _NINO_PREFIXES
    if not ((good and match.group().isupper()) or named):
        return None
    return found("UK_NINO", match, "valid" if good else "shaped")


def _summed(kind: str, passes: Callable[[str], bool], match: re.Match[str]) -> Finding:
    """Take a number that the words before it name; the sum decides the level."""
    code = "".join(char for char in match["number"] if char.isalnum()).upper()
    return found(kind, match, "valid" if passes(code) else "shaped", "number")


def _proved(kind: str, passes: Callable[[str], bool], words: re.Pattern[str], match: re.Match[str]) -> Finding | None:
    """Take a number that passes its sum; one that fails only where words name it."""
    code = "".join(char for char in match.group() if char.isalnum()).upper()
    if passes(code):
        return found(kind, match, "valid")
    return found(kind, match, "shaped") if is_near(match, words) else None


def _named(kind: str, words: str, number: str, passes: Callable[[str], bool]) -> Rule:
    """Return the rule for a bare number that means nothing without one of the words before it."""
    pattern = rf"(?i)\b(?:{words})(?![a-z])[^0-9\n]{{0,30}}(?<![0-9])(?P<number>{number})(?![0-9])"
    return Rule((kind,), rf"({words})", re.compile(pattern), partial(_summed, kind, passes))


def _shown(kind: str, gate: str, number: str, passes: Callable[[str], bool], words: str) -> Rule:
    """Return the rule for a number whose own form and sum are proof enough."""
    judge: Judge = partial(_proved, kind, passes, re.compile(rf"(?i)(?<![a-z])(?:{words})(?![a-z])"))
    return Rule((kind,), gate, re.compile(rf"(?<![0-9A-Za-z.])(?:{number})(?![0-9A-Za-z]|[ .-][0-9])"), judge)


def _aadhaar(code: str) -> bool:
    return code[0] > "1" and checksums.passes_verhoeff(code) and not checksums.is_repeated(code)


def _personnummer(code: str) -> bool:
    return "01" <= code[-8:-6] <= "12" and "01" <= code[-6:-4] <= "91" and checksums.passes_luhn(code[-10:])


def _hetu(code: str) -> bool:
    return len(code) == 11 and checksums.passes_hetu(code)


def _pan(match: re.Match[str]) -> Finding:
    return found("IN_PAN", match, "valid" if match.group()[3] in "ABCFGHJLPTabcfghjlpt" else "shaped")


def _document(kind: str, level: Level, match: re.Match[str]) -> Finding | None:
    number = match["number"]
    if sum(map(str.isdigit, number)) < 4:
        return None
    return found(kind, match, level, "number")


_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}"
_DATE = (
    r"[0-9]{1,2}[/.-][0-9]{1,2}[/.-](?:[0-9]{4}|[0-9]{2})|[0-9]{4}[/.-][0-9]{1,2}[/.-][0-9]{1,2}"
    rf"|[0-9]{{1,2}}(?:st|nd|rd|th)?[ -](?:of )?{_MONTH}\.?,?[ -][0-9]{{2,4}}|{_MONTH}\.? [0-9]{{1,2}}(?:st|nd|rd|th)?,? [0-9]{{4}}"
)
_BIRTH = r"born|birth|birthday|birthdate|d\.?o\.?b\.?|geboren|geburtsdatum|geb\.|n[\w]{1,2}e? le|nacid[oa]|nacimiento|nat[oa] il|naissance"

RULES = (
    Rule(
        ("US_SSN", "US_ITIN"),
        r"[0-9]{3}[ -]?[0-9]{2}[ -]?[0-9]{4}",
        re.compile(r"(?<![0-9A-Za-z.+$-])[0-9]{3}([ -]?)[0-9]{2}\1[0-9]{4}(?![0-9A-Za-z]|[-.][0-9])"),
        _ssn,
    ),
    Rule(
        ("US_SSN",),
        r"[x*]{2}[ -]?[0-9]{4}",
        re.compile(r"(?i)(?<![0-9a-z*])[x*]{3}[ -]?[x*]{2}[ -]?[0-9]{4}(?![0-9a-z])"),
        always("US_SSN", "shaped"),
    ),
    Rule(
        ("US_SSN",),
        r"\b(ssn|social security)",
        re.compile(
            r"(?i)\b(?:ssn|social security)\b[^0-9\n]{0,30}(?<![0-9.$])(?P<number>[0-9]{4}|[0-9]{9})(?![0-9]|[-/.][0-9])"
        ),
        always("US_SSN", "context", "number"),
    ),
    Rule(
        ("UK_NINO",),
        r"[a-z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[a-d]",
        re.compile(r"(?i)(?<![0-9a-z])[a-z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[a-d](?![0-9a-z])"),
        _nino,
    ),
    _named("UK_NHS", "nhs", r"[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{4}", checksums.passes_nhs),
    _named(
        "DE_TAX_ID",
        "steuer-?(?:id|identifikationsnummer|nummer)|idnr|tin|tax id(?:entification)?",
        r"[0-9]{2} ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}",
        checksums.passes_steuer_id,
    ),
    _named("NL_BSN", "bsn|burgerservicenummer|sofinummer", r"[0-9]{4}[ .]?[0-9]{2}[ .]?[0-9]{3}", checksums.passes_bsn),
    _named("PL_PESEL", "pesel", r"[0-9]{11}", checksums.passes_pesel),
    _named(
        "CA_SIN", "sin|social insurance|assurance sociale", r"[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{3}", checksums.passes_luhn
    ),
    _named("AU_TFN", "tfn|tax file", r"[0-9]{3} ?[0-9]{3} ?[0-9]{3}", checksums.passes_tfn),
    _named("BR_CPF", "cpf", r"[0-9]{11}", checksums.passes_cpf),
    _named("IN_AADHAAR", "aadhaar|aadhar|uidai|uid", r"[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}", _aadhaar),
    _shown("IN_AADHAAR", r"[0-9]{4}[ -][0-9]{4}[ -][0-9]{4}", r"[2-9][0-9]{3} [0-9]{4} [0-9]{4}", _aadhaar, "aadhaar"),
    _shown(
        "FR_NIR",
        r"[12][ .-]?[0-9]{2}[ .-]?[0-9]{2}",
        r"[12][ .-]?[0-9]{2}[ .-]?[0-9]{2}[ .-]?(?:[0-9]{2}|2[AB])[ .-]?[0-9]{3}[ .-]?[0-9]{3}[ .-]?[0-9]{2}",
        checksums.passes_nir,
        "nir|s.curit. sociale|insee|num.ro de s.cu",
    ),
    _shown(
        "IT_FISCAL_CODE",
        r"[a-z]{6}[0-9]{2}[a-z][0-9]{2}[a-z][0-9]{3}[a-z]",
        r"(?i:[a-z]{6}[0-9]{2}[abcdehlmprst][0-9]{2}[a-z][0-9]{3}[a-z])",
        checksums.passes_codice_fiscale,
        "codice|fiscale|c\\.?f\\.?",
    ),
    _shown(
        "ES_NIF",
        r"[0-9]{7}-?[a-z]",
        r"(?:[0-9]{8}|[XYZ]-?[0-9]{7})-?[A-HJ-NP-TV-Z]",
        checksums.passes_nif,
        "nif|nie|dni",
    ),
    _shown(
        "BR_CPF",
        r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}",
        r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}",
        checksums.passes_cpf,
        "cpf",
    ),
    _shown(
        "BR_CNPJ",
        r"[0-9]{2}\.[0-9]{3}\.[0-9]{3}/[0-9]{4}-[0-9]{2}",
        r"[0-9]{2}\.[0-9]{3}\.[0-9]{3}/[0-9]{4}-[0-9]{2}",
        checksums.passes_cnpj,
        "cnpj",
    ),
    _shown(
        "SE_PERSONNUMMER", r"[0-9]{6}[+-][0-9]{4}", r"(?:[0-9]{2})?[0-9]{6}[+-][0-9]{4}", _personnummer, "personnummer"
    ),
    Rule(
        ("FI_PERSONAL_IDENTITY_CODE",),
        r"[0-9]{6}[+a-][0-9]{3}[0-9a-y]",
        re.compile(r"(?<![0-9A-Za-z])[0-3][0-9][01][0-9]{3}[+A-][0-9]{3}[0-9A-Y](?![0-9A-Za-z-])"),
        lambda match: (
            found("FI_PERSONAL_IDENTITY_CODE", match, "valid") if checksums.passes_hetu(match.group()) else None
        ),
    ),
    Rule(
        ("IN_PAN",), r"[a-z]{5}[0-9]{4}[a-z]", re.compile(r"(?<![0-9A-Za-z])[A-Z]{5}[0-9]{4}[A-Z](?![0-9A-Za-z])"), _pan
    ),
    Rule(
        ("PASSPORT",),
        r"passport|reisepass|passeport|pasaporte",
        re.compile(
            r"(?i)(?:passport|reisepass|passeport|pasaporte)[^0-9\n]{0,30}?(?<![0-9a-z])(?P<number>[a-z]{0,3}[0-9]{5,9}[a-z]?|[cfghjk](?=[a-z]*[0-9])[0-9cfghjklmnprtvwxyz]{8})(?![0-9a-z])"
        ),
        partial(_document, "PASSPORT", "context"),
    ),
    Rule(
        ("PASSPORT",),
        r"P<[a-z]{3}",
        re.compile(r"(?<![A-Z<])P<[A-Z]{3}[A-Z<]{20,39}(?:\s{1,2}[A-Z0-9<]{28,44})?"),
        always("PASSPORT", "valid"),
    ),
    Rule(
        ("DRIVER_LICENSE",),
        r"driv(er|ing|er'?s|ers')|\bDLN?\b|f.{1,6}hrerschein|licen[cs]e",
        re.compile(
            r"(?i)(?:driv(?:er'?s?|ers'|ing)[ -]licen[cs]e|\bdln?(?= ?(?:no|num|#|:))|f[^ ]{1,2}hrerschein)[^0-9\n]{0,25}?"
            r"(?<![0-9a-z])(?P<number>[a-z]{0,5}[0-9][0-9a-z]{0,4}(?:[ -]?[0-9]{1,6}){1,4}[a-z]{0,3})(?![0-9a-z])"
        ),
        partial(_document, "DRIVER_LICENSE", "context"),
    ),
    Rule(
        ("DATE_OF_BIRTH",),
        r"born|birth|\bd\.?o\.?b\b|geb|\bn..?e? le\b|naci|nat[oa] il|naissance",
        re.compile(rf"(?i)(?<![a-z])(?:{_BIRTH})(?![a-z])[^0-9\n]{{0,30}}?\s?(?<![0-9a-z])(?P<date>{_DATE})(?![0-9])"),
        always("DATE_OF_BIRTH", "context", "date"),
    ),
)
