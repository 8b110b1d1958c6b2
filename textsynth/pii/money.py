"""Cards, accounts, routing numbers and wallets."""

from __future__ import annotations

import re

from textsynth.pii.checksums import (
    is_repeated,
    passes_aba,
    passes_base58check,
    passes_bech32,
    passes_luhn,
    passes_mod97,
)
from textsynth.pii.findings import Finding
from textsynth.pii.rule import Rule, digits_of, found, is_near

_ISSUERS = re.compile(
    r"""4[0-9]{12}(?:[0-9]{3}){0,2}$                                             # Visa 13, 16, 19
    |(?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}$  # Mastercard
    |3[47][0-9]{13}$                                                            # American Express
    |(?:6011|64[4-9][0-9]|65[0-9]{2}|62[0-9]{2}|60[0-9]{2}|81[0-9]{2}|82[0-9]{2})[0-9]{12,15}$  # Discover, UnionPay, RuPay
    |3(?:0[0-5]|095|[689][0-9])[0-9]{10,16}$                                    # Diners
    |35[0-9]{14,17}$|(?:2131|1800)[0-9]{11}$                                    # JCB
    |(?:5[0678][0-9]{2}|6[0-9]{3})[0-9]{8,15}$                                  # Maestro
    |220[0-4][0-9]{12,15}$|9792[0-9]{12}$""",  # Mir, Troy
    re.VERBOSE,
)
_CARD_WORDS = re.compile(
    r"(?i)\b(?:cards?|cc|visa|master ?card|amex|american express|maestro|discover|diners|jcb|debit|credit|carte|tarjeta|karte)\b"
)
_GROUPED = re.compile(r"[0-9]{4}(?:[ -][0-9]{4}){3}(?:[ -][0-9]{1,3})?$|[0-9]{4}[ -][0-9]{6}[ -][0-9]{4,5}$")


def _card(match: re.Match[str]) -> Finding | None:
    text = match.group()
    digits = digits_of(text)
    if not 12 <= len(digits) <= 19 or is_repeated(digits):
        return None
    spoken = is_near(match, _CARD_WORDS, before=64, after=24)
    grouped = _GROUPED.match(text) is not None
    usual = len(digits) in (15, 16) and (text.isdecimal() or grouped)
    if passes_luhn(digits) and _ISSUERS.match(digits) and (usual or spoken):
        return found("CREDIT_CARD", match, "valid")
    if (spoken and len(digits) >= 13) or (grouped and len(digits) in (15, 16) and digits[0] in "23456"):
        return found("CREDIT_CARD", match, "shaped")
    return None


def _masked_card(match: re.Match[str]) -> Finding:
    return found("CREDIT_CARD", match, "shaped", 0, 0.5)


_IBAN_LENGTHS = dict(
    pair.split(":")
    for pair in (
        "AD:24 AE:23 AL:28 AT:20 AZ:28 BA:20 BE:16 BG:22 BH:22 BR:29 BY:28 CH:21 CR:22 CY:28 CZ:24 DE:22 DK:18 DO:28 EE:20 "
        "EG:29 ES:24 FI:18 FO:18 FR:27 GB:22 GE:22 GI:23 GL:18 GR:27 GT:28 HR:21 HU:28 IE:22 IL:23 IQ:23 IS:26 IT:27 JO:30 "
        "KW:30 KZ:20 LB:28 LC:32 LI:21 LT:20 LU:20 LV:21 LY:25 MC:27 MD:24 ME:22 MK:19 MR:27 MT:31 MU:30 NL:18 NO:15 PK:24 "
        "PL:28 PS:29 PT:25 QA:29 RO:24 RS:22 SA:24 SC:31 SE:24 SI:19 SK:24 SM:27 SV:28 TL:23 TN:24 TR:26 UA:29 VA:22 VG:24 XK:20"
    ).split()
)
_IBAN_WORDS = re.compile(r"(?i)\b(?:iban|account|bank|konto|compte|transfer)\b")


def _iban(match: re.Match[str]) -> Finding | None:
    """A match may run on into the next word, so the country's length decides where it ends."""
    text = match.group()
    length = int(_IBAN_LENGTHS.get(text[:2].upper(), 0))
    kept = [i for i, char in enumerate(text) if char.isalnum()]
    named = is_near(match, re.compile(r"(?i)\biban\b"))
    if length and len(kept) >= length:
        end = kept[length - 1] + 1
        code = "".join(text[i] for i in kept[:length]).upper()
        if end == len(text) or not text[end].isalnum():
            start = match.start()
            if passes_mod97(code):
                return Finding("IBAN_CODE", start, start + end, 1.0, "valid")
            if sum(map(str.isdigit, code)) >= 10 and (named or text[:2].isupper()):
                return Finding("IBAN_CODE", start, start + end, 0.6, "shaped")
    if named and len(kept) >= 10 and sum(char.isdigit() for char in text) >= 6:
        return found("IBAN_CODE", match, "shaped")
    return None


def _routing(match: re.Match[str]) -> Finding:
    good = passes_aba(match["number"])
    return found("US_ROUTING_NUMBER", match, "valid" if good else "shaped", "number")


def _account(match: re.Match[str]) -> Finding:
    return found("US_BANK_NUMBER", match, "context", "number", 0.7)


def _sort_code(match: re.Match[str]) -> Finding:
    return found("UK_SORT_CODE", match, "context", "number")


def _base58(match: re.Match[str]) -> Finding | None:
    return found("CRYPTO", match, "valid") if passes_base58check(match.group()) else None


def _bech32(match: re.Match[str]) -> Finding:
    return found("CRYPTO", match, "valid" if passes_bech32(match.group()) else "shaped")


def _ether(match: re.Match[str]) -> Finding:
    return found("CRYPTO", match, "valid", 0, 0.95)


RULES = (
    Rule(
        ("CREDIT_CARD",),
        r"[0-9]([ .-]{0,2}[0-9]){11}",
        re.compile(r"(?<![0-9A-Za-z.+=/_-])[0-9](?:[ .-]{0,2}[0-9]){11,18}(?![0-9A-Za-z]|[.,-][0-9])"),
        _card,
    ),
    Rule(
        ("CREDIT_CARD",),
        r"[x*]{4}[ -]?[0-9]{4}",
        re.compile(r"(?i)(?<![0-9a-z*])(?:[0-9]{4}[ -]?)?(?:[x*]{4}[ -]?){2,3}[0-9]{4}(?![0-9a-z])"),
        _masked_card,
    ),
    Rule(
        ("IBAN_CODE",),
        r"[a-z]{2}[0-9]{2}[ -]?[0-9a-z]{1,4}",
        re.compile(r"(?i)(?<![0-9a-z])[a-z]{2}[0-9]{2}(?:[ -]?[0-9a-z]){6,32}"),
        _iban,
    ),
    Rule(
        ("US_ROUTING_NUMBER",),
        r"\b(routing|aba|rtn|transit)\b",
        re.compile(r"(?i)\b(?:routing|aba|rtn|transit)\b[^0-9\n]{0,30}(?P<number>[0-9]{9})(?![0-9])"),
        _routing,
    ),
    Rule(
        ("US_BANK_NUMBER",),
        r"\b(accounts?|acct|a/c|ac no|acc no)\b",
        re.compile(
            r"(?i)\b(?:accounts?|acct|a/c|acc?(?= (?:no|num)))\b[^0-9\n]{0,30}?(?<![0-9.$-])(?P<number>[0-9]{8,17}|[0-9]{4}(?:[ -][0-9]{4}){1,3})(?![0-9]|[.-][0-9])"
        ),
        _account,
    ),
    Rule(
        ("UK_SORT_CODE",),
        r"sort[ -]?code",
        re.compile(r"(?i)sort[ -]?code[^0-9\n]{0,15}(?P<number>[0-9]{2}[ -]?[0-9]{2}[ -]?[0-9]{2})(?![0-9])"),
        _sort_code,
    ),
    Rule(
        ("CRYPTO",),
        r"\b[13LMDTA9][1-9A-HJ-NP-Za-km-z]{25}",
        re.compile(r"(?<![0-9A-Za-z])[13LMDTA9][1-9A-HJ-NP-Za-km-z]{25,34}(?![0-9A-Za-z])"),
        _base58,
    ),
    Rule(
        ("CRYPTO",),
        r"(bc|tb|ltc|addr)1[0-9a-z]{11}",
        re.compile(r"(?i)(?<![0-9a-z])(?:bc|tb|ltc|addr)1[02-9ac-hj-np-z]{25,100}(?![0-9a-z])"),
        _bech32,
    ),
    Rule(("CRYPTO",), r"0x[0-9a-f]{40}", re.compile(r"(?i)(?<![0-9a-z])0x[0-9a-f]{40}(?![0-9a-z])"), _ether),
)
