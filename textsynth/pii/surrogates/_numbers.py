"""Numbers that look real and belong to nobody: cards, accounts, telephones and national identity numbers.

Each function takes the value to replace and a source of random choices, and returns a value of the same format whose
checksum holds. Where an authority or vendor has set a range aside for tests, documentation or film, or has never issued
one, the number lies in it; for the others (``BR_CPF``, ``BR_CNPJ``, ``AU_TFN``, ``IN_PAN``, ``DE`` telephones that are not 10
digits, telephones of other countries) nothing is set aside, and a number may by chance be somebody's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random
from types import MappingProxyType

DIGITS = "0123456789"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

# The numbers that Stripe, PayPal and Adyen publish for tests begin like this; by what a number of the brand begins with.
_CARDS = (
    ("3[47]", "378282"),
    ("35", "353011"),
    ("(?:2131|1800)", "213100"),
    ("3", "305693"),
    ("5[1-5]", "555555"),
    ("2", "222300"),
    ("6(?:011|4|5)", "601111"),
    ("62", "620000"),
    ("[56]", "675964"),
    ("", "424242"),
)
_BANK_CODES = MappingProxyType(
    {"DE": 8, "AT": 5, "CH": 5, "FR": 5, "MC": 5, "IT": 6, "SM": 6, "PL": 8, "PT": 4, "BE": 3}
)
_AREAS = "201 202 212 213 305 310 312 404 415 503 512 602 617 646 702 713 718 773 805 818 904 917 919 972".split()
_EXTENSION = re.compile(r"\s*(?:x|ext\.?|extension|#)\s*\d+$", re.IGNORECASE)
_AU_MOBILES = ("491570006", "491570156", "491570157", "491570158", "491570159", "491570110")  # ACMA's list
_VERHOEFF_STEP = "1576283094"
_IT_ODD = dict(
    zip(
        DIGITS + LETTERS,
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21] * 2 + [2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23],
        strict=True,
    )
)
_FI_CHECKS = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_ES_CHECKS = "TRWAGMYFPDXBNJZSQVHLCKE"

Maker = Callable[[str, Random], str]


def digits_of(value: str) -> str:
    """Return the digits of a value, those of other scripts as ASCII."""
    return "".join(str(int(character)) for character in value if character.isdecimal())


def alike(value: str, pick: Random) -> str:
    """Return a value of the same shape: a letter for each letter in its case, a digit for each digit."""
    return "".join(_alike(character, pick) for character in value)


def fill(value: str, characters: Sequence[str]) -> str:
    """Put ``characters`` where ``value`` has letters and digits, in its case; they must be as many."""
    rest = iter(characters)
    lower = value.islower()
    return "".join((next(rest).lower() if lower else next(rest)) if c.isalnum() else c for c in value)


def luhn_digit(digits: str) -> str:
    """Return the digit that makes a number pass the Luhn test (ISO/IEC 7812-1, annex B)."""
    doubled = [int(d) * (2 - place % 2) for place, d in enumerate(reversed(digits))]
    return str(-sum(n - 9 if n > 9 else n for n in doubled) % 10)


def card(value: str, pick: Random) -> str:
    """Return a card number of the same brand and length that passes Luhn and begins like a published test number."""
    digits = digits_of(value)
    if not 12 <= len(digits) <= 19 or len(digits) != sum(c.isalnum() for c in value):
        return alike_digits(value, pick)
    prefix = next(prefix for pattern, prefix in _CARDS if re.match(pattern, digits))
    body = prefix + _random(pick, len(digits) - len(prefix) - 1)
    return fill(value, body + luhn_digit(body))


def iban(value: str, pick: Random) -> str:
    """Return an account number of the same country and length with valid check digits and a bank that does not exist.

    The bank code is noughts and X; check digits that some countries have inside the account number are not kept.
    """
    plain = "".join(c for c in value if c.isalnum()).upper()
    if not 15 <= len(plain) <= 34 or not plain.isascii() or not plain[:2].isalpha():
        return alike(value, pick)
    country, length = plain[:2], _BANK_CODES.get(plain[:2], 4)
    bank = "".join("X" if c.isalpha() else "0" for c in plain[4 : 4 + length])
    body = bank + alike(plain[4 + length :], pick)
    number = int("".join(str(int(c, 36)) for c in body + country + "00"))
    return fill(value, f"{country}{98 - number % 97:02d}{body}")


def phone(value: str, pick: Random, *, region: str = "US") -> str:
    """Return a telephone number in the same format, in its country's range for film and drama.

    North America 555-0100 to 555-0199 (NANPA), United Kingdom 07700 900, 020 7946 0 and 01632 960 (Ofcom), France 01 99 00
    and 06 39 98 (ARCEP), Australia 5550 and six mobiles (ACMA), Germany 030 23125 and 0171 39200 (BNetzA). Elsewhere the
    country code stays and the last seven digits are 555 01xx.
    """
    extension = _EXTENSION.search(value)
    end = extension.start() if extension else len(value)
    main, digits = value[:end], digits_of(value[:end])
    if len(digits) < 7:
        return alike_digits(value, pick)
    tail = _phone_tail(main, digits, pick, region)[-len(digits) :]
    return fill_digits(main, digits[: len(digits) - len(tail)] + tail) + alike_digits(value[end:], pick)


def _phone_tail(main: str, digits: str, pick: Random, region: str) -> str:
    """Return the digits that end the surrogate: the national number where a range for it exists."""
    country = next((c for c in ("1", "44", "33", "61", "49") if digits.startswith(c)), "") if "+" in main else region
    if country in {"1", "US", "CA"} and (digits[0] != "0" or country == "1"):
        return (pick.choice(_AREAS) if len(digits) > 9 else "") + "55501" + _random(pick, 2)
    if country in {"44", "GB"} and len(digits) >= 10:
        start = {"2": "2079460", "1": "1632960"}.get(digits[-10], "7700900")
        return start + _random(pick, 3)
    if country in {"33", "FR"} and len(digits) >= 9:
        return ("63998" if digits[-9] in "67" else "19900") + _random(pick, 4)
    if country in {"61", "AU"} and len(digits) >= 9:
        return pick.choice(_AU_MOBILES) if digits[-9] == "4" else digits[-9] + "5550" + _random(pick, 4)
    if country in {"49", "DE"}:
        national = digits[2:] if "+" in main else digits[1:]
        start = "17139200" if national.startswith("1") else "3023125"
        return (start + _random(pick, 12))[: len(national)]
    head = digits[:3] + _random(pick, len(digits) - 10) if len(digits) > 10 else digits[: len(digits) - 7]
    return head[: len(digits) - 7] + "55501" + _random(pick, 2)


def alike_digits(value: str, pick: Random) -> str:
    """Return the value with other digits."""
    return "".join(pick.choice(DIGITS) if c.isdecimal() else c for c in value)


def fill_digits(value: str, digits: Sequence[str]) -> str:
    """Put ``digits`` where ``value`` has digits; they must be as many."""
    rest = iter(digits)
    return "".join(next(rest) if c.isdecimal() else c for c in value)


def _random(pick: Random, count: int, characters: str = DIGITS) -> str:
    return "".join(pick.choice(characters) for _ in range(count))


def _alike(character: str, pick: Random) -> str:
    if character.isdecimal():
        return pick.choice(DIGITS)
    if character.isalpha():
        letter = pick.choice(LETTERS)
        return letter if character.isupper() else letter.lower()
    return character


def _weighted(digits: str, weights: Iterable[int]) -> int:
    return sum(int(d) * w for d, w in zip(digits, weights, strict=False))


# National numbers: each returns the letters and digits alone; what stands between them is the original's. An empty
# string means that this try has no valid check digit.


def _ssn(plain: str, pick: Random) -> str:
    return (
        f"9{_random(pick, 2)}{pick.randint(66, 69)}{pick.randint(1, 9999):04d}"  # neither an SSN, nor an ITIN or ATIN
    )


def _nino(plain: str, pick: Random) -> str:
    return "QQ" + _random(pick, 6) + pick.choice("ABCD")[: len(plain) - 8]  # the prefix of the forms' examples


def _routing(plain: str, pick: Random) -> str:
    body = "9" + _random(pick, 7)  # no Federal Reserve district begins with 9
    return body + str(-_weighted(body, (3, 7, 1, 3, 7, 1, 3, 7)) % 10)


def _nhs(plain: str, pick: Random) -> str:
    body = "999" + _random(pick, 6)  # NHS England: valid and never issued
    check = -_weighted(body, range(10, 1, -1)) % 11
    return body + str(check) if check < 10 else ""


def _de_tax(plain: str, pick: Random) -> str:
    others = pick.sample("123456789", 8)  # a 0 at the start marks a test number; one digit stands twice
    rest = [*others, pick.choice(others)]
    pick.shuffle(rest)
    body = "0" + "".join(rest)
    product = 10
    for digit in body:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return body + str((11 - product) % 10)


def _fr_nir(plain: str, pick: Random) -> str:
    sex = plain[0] if plain[0] in "12" else "1"  # born abroad (99) in a country that is none (000)
    body = f"{sex}{_random(pick, 2)}{pick.randint(1, 12):02d}99000{pick.randint(1, 999):03d}"
    return (body + f"{97 - int(body) % 97:02d}")[: len(plain)]


def _it_fiscal(plain: str, pick: Random) -> str:
    day = pick.randint(1, 28) + pick.choice((0, 40))
    body = _random(pick, 6, "BCDFGLMNPRSTV") + _random(pick, 2) + pick.choice("ABCDEHLMPRST") + f"{day:02d}Z999"
    total = sum(_IT_ODD[c] if place % 2 == 0 else int(c, 36) - 10 * c.isalpha() for place, c in enumerate(body))
    return body + LETTERS[total % 26]


def _es_nif(plain: str, pick: Random) -> str:
    if plain[0] in "XYZ":
        body = plain[0] + "99" + _random(pick, 5)
        return body + _ES_CHECKS[int(str("XYZ".index(body[0])) + body[1:]) % 23]
    body = "99" + _random(pick, 6)  # far beyond the numbers given out
    return body + _ES_CHECKS[int(body) % 23]


def _bsn(plain: str, pick: Random) -> str:
    body = "9999" + _random(pick, 4)  # where RvIG's test numbers lie
    check = _weighted(body, range(9, 1, -1)) % 11
    return body + str(check) if check < 10 else ""


def _pesel(plain: str, pick: Random) -> str:
    body = f"{_random(pick, 2)}{pick.randint(61, 72)}{pick.randint(1, 28):02d}{_random(pick, 4)}"  # born after 2200
    return body + str(-_weighted(body, (1, 3, 7, 9) * 3) % 10)


def _personnummer(plain: str, pick: Random) -> str:
    born = f"{_random(pick, 2)}{pick.randint(1, 12):02d}{pick.randint(1, 28):02d}"
    body = born + str(pick.randint(980, 999))  # Skatteverket's test numbers
    return plain[: len(plain) - 10] + body + luhn_digit(body)


def _fi_code(plain: str, pick: Random) -> str:
    born = f"{pick.randint(1, 28):02d}{pick.randint(1, 12):02d}{_random(pick, 2)}"
    body = born + str(pick.randint(900, 999))  # temporary numbers, never a person's own
    century = plain[6] if len(plain) == 11 else ""
    return born + century + body[6:] + _FI_CHECKS[int(body) % 31]


def _aadhaar(plain: str, pick: Random) -> str:
    body = "9999" + _random(pick, 7)  # where UIDAI's test numbers lie
    return body + verhoeff_digit(body)


def verhoeff_digit(digits: str) -> str:
    """Return the check digit of Verhoeff (1969), by the dihedral group of order ten."""
    check = 0
    for place, digit in enumerate(reversed(digits), 1):
        step = int(digit)
        for _ in range(place % 8):
            step = int(_VERHOEFF_STEP[step])
        check = _dihedral(check, step)
    return str(check if check > 4 else -check % 5)


def _dihedral(a: int, b: int) -> int:
    if a < 5:
        return (a + b) % 5 if b < 5 else 5 + (a + b - 5) % 5
    return 5 + (a - 5 - b) % 5 if b < 5 else (a - b) % 5


def _pan(plain: str, pick: Random) -> str:
    return "ZZZ" + plain[3] + _random(pick, 1, LETTERS) + _random(pick, 4) + _random(pick, 1, LETTERS)


def _cpf(plain: str, pick: Random) -> str:
    body = _random(pick, 9)
    for _ in range(2):
        rest = _weighted(body, range(len(body) + 1, 1, -1)) * 10 % 11
        body += str(rest % 10)
    return body


def _cnpj(plain: str, pick: Random) -> str:
    body = _random(pick, 8) + "0001"
    weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    for _ in range(2):
        rest = _weighted(body, weights[13 - len(body) :]) % 11
        body += str(0 if rest < 2 else 11 - rest)
    return body


def _sin(plain: str, pick: Random) -> str:
    body = "0" + _random(pick, 7)  # no province's
    return body + luhn_digit(body)


def _tfn(plain: str, pick: Random) -> str:
    body = _random(pick, len(plain) - 1)
    check = _weighted(body, (1, 4, 3, 7, 5, 8, 6, 9)) % 11  # the last weight is 10, that is -1
    return body + str(check) if check < 10 else ""


def _sort_code(plain: str, pick: Random) -> str:
    return "00" + _random(pick, 4)  # no bank's


_NATIONAL: Mapping[str, tuple[Callable[[str, Random], str], tuple[int, ...]]] = MappingProxyType(
    {
        "US_SSN": (_ssn, (9,)),
        "US_ITIN": (_ssn, (9,)),
        "UK_NINO": (_nino, (8, 9)),
        "US_ROUTING_NUMBER": (_routing, (9,)),
        "UK_SORT_CODE": (_sort_code, (6,)),
        "UK_NHS": (_nhs, (10,)),
        "DE_TAX_ID": (_de_tax, (11,)),
        "FR_NIR": (_fr_nir, (13, 15)),
        "IT_FISCAL_CODE": (_it_fiscal, (16,)),
        "ES_NIF": (_es_nif, (9,)),
        "NL_BSN": (_bsn, (9,)),
        "PL_PESEL": (_pesel, (11,)),
        "SE_PERSONNUMMER": (_personnummer, (10, 12)),
        "FI_PERSONAL_IDENTITY_CODE": (_fi_code, (10, 11)),
        "IN_AADHAAR": (_aadhaar, (12,)),
        "IN_PAN": (_pan, (10,)),
        "BR_CPF": (_cpf, (11,)),
        "BR_CNPJ": (_cnpj, (14,)),
        "CA_SIN": (_sin, (9,)),
        "AU_TFN": (_tfn, (9,)),
    }
)
"""How each national number is made, and how many letters and digits it has; another length is only made alike."""


def national(kind: str) -> Maker:
    """Return the maker of a national number's surrogates; of a type without rules, one that keeps the shape alone."""
    if kind not in _NATIONAL:
        return alike
    make, lengths = _NATIONAL[kind]

    def replace(value: str, pick: Random) -> str:
        plain = "".join(c for c in value if c.isalnum()).upper()
        if len(plain) not in lengths or not plain.isascii():
            return alike(value, pick)
        made = next(filter(None, (make(plain, pick) for _ in range(50))), "")
        return fill(value, made) if len(made) == len(plain) else alike(value, pick)

    return replace
