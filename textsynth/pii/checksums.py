"""Check digits: each function says whether a string that has the right shape also passes its sum.

Strings of digits come in without separators. Sources: ISO/IEC 7812 (Luhn), ISO 13616 and 7064 (IBAN),
and each country's published rule.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import cycle

_LUHN_TWICE = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_B58 = {char: i for i, char in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")}
_BECH32 = {char: i for i, char in enumerate("qpzry9x8gf2tvdw0s3jn54khce6mua7l")}
_VERHOEFF_P = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)
_IT_ODD = dict(
    zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", (1, 0, 5, 7, 9, 13, 15, 17, 19, 21) * 2 + (2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23), strict=True)
)  # fmt: skip


def passes_luhn(digits: str) -> bool:
    """Return whether the last digit is the Luhn digit of the others."""
    even = sum(map(int, digits[-1::-2]))
    return (even + sum(_LUHN_TWICE[int(d)] for d in digits[-2::-2])) % 10 == 0


def passes_mod97(iban: str) -> bool:
    """Return whether an IBAN without spaces, in capitals, is 1 modulo 97."""
    return int("".join(str(int(char, 36)) for char in iban[4:] + iban[:4])) % 97 == 1


def weighted(digits: str, weights: Sequence[int]) -> int:
    """Return the sum of the digits, each times its weight."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def passes_aba(digits: str) -> bool:
    """Return whether nine digits are a US routing number: Federal Reserve prefix and 3-7-1 sum."""
    prefix = int(digits[:2])
    known = prefix <= 12 or 21 <= prefix <= 32 or 61 <= prefix <= 72 or prefix == 80
    return known and digits != "0" * 9 and weighted(digits, (3, 7, 1) * 3) % 10 == 0


def passes_verhoeff(digits: str) -> bool:
    """Return whether the digits pass Verhoeff's dihedral check (Aadhaar)."""
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = _dihedral(check, int(_VERHOEFF_P[place % 8][int(digit)]))
    return check == 0


def _dihedral(a: int, b: int) -> int:
    """Multiply in the symmetry group of the pentagon; 5 to 9 are the reflections."""
    if a < 5:
        return (a + b) % 5 if b < 5 else 5 + (a + b) % 5
    return 5 + (a - b) % 5 if b < 5 else (a - b) % 5


def passes_cpf(digits: str) -> bool:
    """Return whether eleven digits are a Brazilian CPF; all digits the same never is."""
    first = weighted(digits[:9], range(10, 1, -1)) * 10 % 11 % 10
    second = weighted(digits[:10], range(11, 1, -1)) * 10 % 11 % 10
    return digits[9:] == f"{first}{second}" and len(set(digits)) > 1


def passes_cnpj(digits: str) -> bool:
    """Return whether fourteen digits are a Brazilian CNPJ."""
    weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    rests = (weighted(digits[:12], weights[1:]) % 11, weighted(digits[:13], weights) % 11)
    return digits[12:] == "".join(str(0 if rest < 2 else 11 - rest) for rest in rests) and len(set(digits)) > 1


def passes_steuer_id(digits: str) -> bool:
    """Return whether eleven digits are a German tax id (ISO 7064 mod 11, 10; one digit twice or thrice)."""
    counts = [digits[:10].count(d) for d in set(digits[:10])]
    if digits[0] == "0" or max(counts) not in (2, 3):
        return False
    product = 10
    for digit in digits[:10]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(digits[10])


def passes_nir(code: str) -> bool:
    """Return whether fifteen characters are a French NIR: 97 minus the number modulo 97; 2A and 2B are Corsica."""
    number = code[:13].replace("2A", "19").replace("2B", "18")
    return number.isdecimal() and 97 - int(number) % 97 == int(code[13:])


def passes_codice_fiscale(code: str) -> bool:
    """Return whether the sixteenth letter of an Italian fiscal code is right."""
    total = sum(_IT_ODD[c] for c in code[:15:2]) + sum(int(c, 36) - 10 if c.isalpha() else int(c) for c in code[1:15:2])
    return chr(65 + total % 26) == code[15]


def passes_nif(code: str) -> bool:
    """Return whether the letter of a Spanish NIF or NIE is right."""
    number = code[:-1].translate({ord("X"): "0", ord("Y"): "1", ord("Z"): "2"})
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == code[-1]


def passes_bsn(digits: str) -> bool:
    """Return whether nine digits pass the Dutch 11-test."""
    return digits != "0" * 9 and weighted(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def passes_pesel(digits: str) -> bool:
    """Return whether eleven digits are a PESEL."""
    return weighted(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def passes_nhs(digits: str) -> bool:
    """Return whether ten digits are an NHS number (mod 11)."""
    rest = 11 - weighted(digits[:9], range(10, 1, -1)) % 11
    return rest != 10 and rest % 11 == int(digits[9])


def passes_tfn(digits: str) -> bool:
    """Return whether nine digits are an Australian tax file number."""
    return weighted(digits, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def passes_hetu(code: str) -> bool:
    """Return whether a Finnish code (ddmmyy, sign, nnn, check) has its check letter."""
    return "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(code[:6] + code[7:10]) % 31] == code[10]


def passes_base58check(address: str) -> bool:
    """Return whether a base58 address carries the first four bytes of its double SHA-256."""
    number = 0
    for char in address:
        number = number * 58 + _B58[char]
    try:
        raw = number.to_bytes(25, "big")
    except OverflowError:
        return False
    return hashlib.sha256(hashlib.sha256(raw[:-4]).digest()).digest()[:4] == raw[-4:]


def passes_bech32(address: str) -> bool:
    """Return whether a bech32 or bech32m address (BIP 173, BIP 350) has its checksum."""
    prefix, _, data = address.lower().rpartition("1")
    values = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + [_BECH32.get(c, 0) for c in data]
    check = 1
    for value in values:
        top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> bit & 1 else 0
    return check in (1, 0x2BC830A3)


def is_repeated(digits: str) -> bool:
    """Return whether the digits are one short pattern again and again: 0000000, 12121212."""
    return any(all(a == b for a, b in zip(digits, cycle(digits[:n]), strict=False)) for n in (1, 2))
