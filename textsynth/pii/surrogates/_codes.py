"""Surrogates of what machines read and of dates: addresses of networks, secrets, wallets, coordinates, dates of birth.

Networks lie in the ranges set aside for documentation: IPv4 in RFC 5737, IPv6 in RFC 3849, MAC in RFC 7042, names in
RFC 2606.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from random import Random

from textsynth.pii.surrogates._numbers import DIGITS, alike

_NETWORKS = ("192.0.2", "198.51.100", "203.0.113")
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][\w+.-]*://)(?P<user>[^\s/:@]*)(?P<colon>:?)(?P<password>[^\s/@]*)@(?P<host>[^\s/:]*)"
)
_PREFIX = re.compile(r"AKIA|ASIA|AIza|eyJ|(?:[A-Za-z]{2,10}[-_]){1,3}|xox[abprs]-")
_MONTHS = "january february march april may june july august september october november december".split()
_MONTH = re.compile(rf"\b({'|'.join(_MONTHS)}|{'|'.join(name[:3] for name in _MONTHS)}|sept)\b", re.IGNORECASE)
_NUMBER = re.compile(r"\d+")
_ORDINAL = re.compile(r"(?<!\d)(\d{1,2})(st|nd|rd|th)\b", re.IGNORECASE)
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def ip_address(value: str, pick: Random) -> str:
    """Return an address in a network for documentation, of the same version; a prefix length or zone stays."""
    if ":" not in value:
        return re.sub(r"\d{1,3}(?:\.\d{1,3}){3}", f"{pick.choice(_NETWORKS)}.{pick.randint(1, 254)}", value, count=1)
    address, mark, rest = value.partition("/") if "/" in value else value.partition("%")
    groups = [f"{pick.randint(0x1000, 0xFFFF):x}" for _ in range(6 if "::" not in address else 2)]
    made = ":".join(["2001", "db8", *groups]) if len(groups) == 6 else f"2001:db8::{groups[0]}:{groups[1]}"
    return (made.upper() if address.isupper() else made) + mark + rest


def mac_address(value: str, pick: Random) -> str:
    """Return a hardware address in 00-00-5E-00-53, with the same separators and case."""
    made = iter(f"00005e0053{pick.randrange(256):02x}")
    letters = [c for c in value if c.isalpha()]
    upper = bool(letters) and all(c.isupper() for c in letters)
    plain = [c for c in value if c.isalnum()]
    if len(plain) != 12:
        return alike(value, pick)
    return "".join((next(made).upper() if upper else next(made)) if c.isalnum() else c for c in value)


def url(value: str, pick: Random) -> str:
    """Return a URL of the same scheme and path with another user, another password and the host example.com."""

    def swap(found: re.Match[str]) -> str:
        user, password = alike(found["user"], pick), alike(found["password"], pick)
        return f"{found['scheme']}{user}{found['colon']}{password}@example.com"

    return _URL.sub(swap, value, count=1) if _URL.search(value) else alike(value, pick)


def secret(value: str, pick: Random) -> str:
    """Return a secret of the same shape and known prefix; a long one ends in EXAMPLE, so that no scanner takes it for one."""
    lines = value.split("\n")
    if len(lines) > 1:
        return "\n".join(line if line.startswith("-----") else alike(line, pick) for line in lines)
    found = _PREFIX.match(value)
    start = found.end() if found and found.end() < len(value) // 2 + 1 else 0
    body = alike(value[start:], pick)
    if len(body) >= 16 and body.isalnum():
        body = body[:-7] + ("example" if value[start:].islower() else "EXAMPLE")
    return value[:start] + body


def wallet(value: str, pick: Random) -> str:
    """Return a wallet address of the same kind whose key nobody has: base58check and bech32 with a valid checksum."""
    if re.fullmatch(r"[13mn2][1-9A-HJ-NP-Za-km-z]{25,34}", value):
        return _base58check(value, pick)
    human, mark, data = value.lower().rpartition("1")
    if mark and human in {"bc", "tb", "ltc"} and set(data) <= set(_BECH32):
        made = _bech32(human, data, pick)
        return made.upper() if value.isupper() else made
    start = 2 if value.startswith("0x") else 1
    hexadecimal = value.startswith("0x")
    return value[:start] + "".join(
        pick.choice("0123456789abcdef" if hexadecimal else DIGITS + _BASE58[9:]) for _ in value[start:]
    )


def _base58check(value: str, pick: Random) -> str:
    version = {"1": 0, "3": 5, "m": 111, "n": 111, "2": 196}[value[0]]
    payload = bytes([version]) + bytes(pick.randrange(256) for _ in range(20))
    check = hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]
    number, made = int.from_bytes(payload + check), ""
    while number:
        number, place = divmod(number, 58)
        made = _BASE58[place] + made
    return "1" * (version == 0) + made


def _bech32(human: str, data: str, pick: Random) -> str:
    """Return an address of as many characters (BIP 173; of witness versions above 0, BIP 350)."""
    values = [_BECH32.index(data[0])] + [pick.randrange(32) for _ in data[1:-6]]
    if len(values) in {33, 53}:  # 20 bytes in 32, 32 bytes in 52 characters, the last padded with noughts
        values[-1] &= 0b10000 if len(values) == 53 else 0b11111
    state, constant = 1, 1 if values[0] == 0 else 0x2BC830A3
    spread = [ord(c) >> 5 for c in human] + [0] + [ord(c) & 31 for c in human]
    for item in spread + values + [0] * 6:
        top, state = state >> 25, (state & 0x1FFFFFF) << 5 ^ item
        for bit, generator in enumerate(_GENERATOR):
            state ^= generator if top >> bit & 1 else 0
    state ^= constant
    return human + "1" + "".join(_BECH32[v] for v in values + [state >> 5 * (5 - place) & 31 for place in range(6)])


def coordinates(value: str, pick: Random) -> str:
    """Return other coordinates with as many digits; degrees stay degrees, minutes and seconds stay below 60."""

    def swap(found: re.Match[str]) -> str:
        whole, point, decimals = found.group().partition(".")
        if len(whole) > 3:
            return alike(found.group(), pick)
        low = 10 ** (len(whole) - 1) if len(whole) > 1 else 0
        high = {1: 9, 2: 59, 3: 179}[len(whole)]
        return f"{pick.randint(low, high):0{len(whole)}d}{point}{''.join(pick.choice(DIGITS) for _ in decimals)}"

    return re.sub(r"\d+(?:\.\d+)?", swap, value)


def date_of_birth(value: str, pick: Random) -> str:
    """Return another date in the same format, at most four years away; it is a real day, in whatever order it stands."""
    numbers = list(_NUMBER.finditer(value))
    year = _year_of(numbers)
    parts, last = [], 0
    for found in numbers:
        text = found.group()
        new = _moved(int(text), len(text), pick) if found is year and len(text) <= 4 else _redrawn(text, pick)
        parts += [value[last : found.start()], new]
        last = found.end()
    made = "".join([*parts, value[last:]])
    made = _ORDINAL.sub(lambda found: found[1] + _suffix(int(found[1]), found[2]), made)
    return _MONTH.sub(lambda found: _month(found.group(), pick), made)


def _year_of(numbers: list[re.Match[str]]) -> re.Match[str] | None:
    """Return which number is the year: one of four digits, else of three numbers the one that can only be it, or the last."""
    long = next((found for found in numbers if len(found.group()) == 4), None)
    if long is not None or len(numbers) < 2:
        return long
    return next((found for found in numbers if len(found.group()) == 2 and int(found.group()) > 31), numbers[-1])


def _moved(year: int, width: int, pick: Random) -> str:
    moved = year + pick.choice((-4, -3, -2, -1, 1, 2, 3, 4))
    return f"{moved % 10**width:0{width}d}"


def _redrawn(text: str, pick: Random) -> str:
    if len(text) > 2:
        return "".join(pick.choice(DIGITS) for _ in text)
    number = int(text)
    one = len(text) == 1
    low, high = (13, 28) if number > 12 else (1, 9) if one else (10, 12) if number > 9 else (1, 9)
    return f"{pick.randint(low, high):0{len(text)}d}"


def _suffix(day: int, like: str) -> str:
    made = "th" if day // 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return made.upper() if like.isupper() else made


def _month(name: str, pick: Random) -> str:
    made = pick.choice(_MONTHS)
    made = made if len(name) > 4 or (name.lower() in _MONTHS[3:8] and len(name) == 4) else made[:3]
    return made.upper() if name.isupper() else made.title() if name[0].isupper() else made


CODES: dict[str, Callable[[str, Random], str]] = {
    "IP_ADDRESS": ip_address,
    "MAC_ADDRESS": mac_address,
    "URL_CREDENTIALS": url,
    "SECRET": secret,
    "CRYPTO": wallet,
    "GEO_COORDINATES": coordinates,
    "DATE_OF_BIRTH": date_of_birth,
}
