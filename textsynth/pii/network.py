"""E-mail, addresses of machines, URLs with a password, keys and other secrets, coordinates."""

from __future__ import annotations

import ipaddress
import math
import re
from collections import Counter

from textsynth.pii.findings import Finding
from textsynth.pii.rule import Rule, always, found, is_near

_EMAIL = re.compile(r"(?<![\w.+%-])[\w+%'][\w.+%'-]{0,63}@(?:[^\W_](?:[\w-]{0,62})\.){1,6}[^\W\d_][\w-]{1,23}(?![\w@])")
_IP_WORDS = re.compile(
    r"(?i)\b(?:ip|ips|ipv4|address|host|server|client|client_ip|from|login|logged|ping|dns|subnet|gateway|network)\b"
)
_VERSION_WORDS = re.compile(
    r"(?i)(?:\b(?:version|release|ver|section|chapter|firmware|build|python|v)[ .:]{0,2}|[a-z]/)$"
)


def _email(match: re.Match[str]) -> Finding:
    return found("EMAIL_ADDRESS", match, "valid")


def _ipv4(match: re.Match[str]) -> Finding | None:
    parts = [int(part) for part in match.group().split(".")]
    if (
        max(parts) > 255
        or parts[0] in (0, 127, 255)
        or _VERSION_WORDS.search(match.string, max(0, match.start() - 12), match.start())
    ):
        return None
    if max(parts) < 20 and not is_near(match, _IP_WORDS, before=24):
        return None
    return found("IP_ADDRESS", match, "valid")


def _ipv6(match: re.Match[str]) -> Finding | None:
    text = match.group()
    if sum(map(bool, text.split(":"))) < 3:
        return None
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return None
    return found("IP_ADDRESS", match, "valid")


def _mac(match: re.Match[str]) -> Finding | None:
    return found("MAC_ADDRESS", match, "valid") if len(set(match.group().lower())) > 3 else None


_PLACEHOLDER = re.compile(r"(?i)your|example|changeme|xxx|\.\.\.|placeholder|none|null|true|false|[<>{}$()\[\]]")


def _entropy(text: str) -> float:
    """Return Shannon's entropy in bits a character."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def _assigned(match: re.Match[str]) -> Finding | None:
    """A value that is given to a name like password; a plain word after it is prose."""
    value = match["value"]
    if _PLACEHOLDER.search(value):
        return None
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    quoted = match["quote"] != "" and len(value) >= 8 and not value.isalpha()
    if not (mixed or quoted) or _entropy(value) < 2.2:
        return None
    return found("SECRET", match, "context", "value")


_PREFIXES = (
    r"(?:A3T[A-Z0-9]|AKIA|ASIA|AGPA|AIDA|AROA)[A-Z0-9]{16}|gh[pousr]_[0-9A-Za-z]{36,255}|github_pat_[0-9A-Za-z_]{22,255}"
    r"|glpat-[0-9A-Za-z_-]{20,64}|xox[abeoprs]-[0-9A-Za-z-]{10,100}|sk-(?:ant-|proj-|or-)?[0-9A-Za-z_-]{20,200}"
    r"|[sr]k_(?:live|test)_[0-9A-Za-z]{16,99}|pk_live_[0-9A-Za-z]{16,99}|whsec_[0-9A-Za-z+/=]{24,99}|AIza[0-9A-Za-z_-]{35}"
    r"|ya29\.[0-9A-Za-z_-]{20,250}|SG\.[0-9A-Za-z_-]{16,32}\.[0-9A-Za-z_-]{16,64}|hf_[A-Za-z]{30,40}|npm_[0-9A-Za-z]{36}"
    r"|pypi-AgE[0-9A-Za-z_-]{40,250}|do[opr]_v1_[0-9a-f]{64}|shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}|key-[0-9a-f]{32}"
    r"|[0-9]{8,10}:AA[0-9A-Za-z_-]{33}|eyJ[0-9A-Za-z_-]{8,2000}\.eyJ[0-9A-Za-z_-]{8,4000}\.[0-9A-Za-z_-]{10,1000}"
)
_PREFIX_GATE = (
    r"(AKIA|ASIA|AGPA|AIDA|AROA|A3T)[A-Z0-9]{13}|gh[pousr]_[0-9a-z]{20}|github_pat_|glpat-|xox[abeoprs]-|sk-[0-9a-z_-]{16}"
    r"|[sr]k_(live|test)_|pk_live_|whsec_|AIza[0-9a-z_-]{20}|ya29\.|SG\.[0-9a-z_-]{16}|hf_[a-z]{30}|npm_[0-9a-z]{36}|pypi-AgE"
    r"|do[opr]_v1_|shp(at|ca|pa|ss)_|key-[0-9a-f]{32}|[0-9]{8}:AA|eyJ[0-9a-z_-]{8}"
)
_COORDINATE = r"[-+]?[0-9]{1,3}\.[0-9]{3,15}"
_GEO_WORDS = re.compile(
    r"(?i)\b(?:lat|long?|latitude|longitude|gps|coordinates?|coords|located|location|geo|position|maps?)\b"
)


def _geo(match: re.Match[str]) -> Finding | None:
    if abs(float(match["lat"])) > 90 or abs(float(match["lon"])) > 180:
        return None
    if not is_near(match, _GEO_WORDS, before=40) and not match["lon_name"]:
        return None
    return Finding("GEO_COORDINATES", match.start("lat"), match.end("lon"), 0.8, "context")


RULES = (
    Rule(("EMAIL_ADDRESS",), r"@[^ @]{1,80}\.", _EMAIL, _email),
    Rule(
        ("EMAIL_ADDRESS",),
        r"(gmail|yahoo|hotmail|outlook)\.?com\b| at (gmail|yahoo|hotmail|outlook)",
        re.compile(
            r"(?i)(?<![\w.@])[a-z][\w.]{0,40}(?: [0-9]{1,6})?(?: at |(?<=[0-9]) )?(?:gmail|yahoo|hotmail|outlook)(?:\.| dot )?com\b"
        ),
        always("EMAIL_ADDRESS", "shaped"),
    ),
    Rule(
        ("URL_CREDENTIALS",),
        r"://[^ ]{1,140}@",
        re.compile(
            r"(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/:@\"'<>]{1,64}:[^\s/@\"'<>]{1,128}@[^\s\"'<>,;)]{1,300}"
        ),
        always("URL_CREDENTIALS", "valid"),
    ),
    Rule(
        ("IP_ADDRESS",),
        r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}",
        re.compile(r"(?<![\w.-])[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?![\w-]|\.[0-9])"),
        _ipv4,
    ),
    Rule(
        ("IP_ADDRESS",),
        r"[0-9a-f]{0,4}:[0-9a-f]{0,4}:[0-9a-f]{1,4}",
        re.compile(r"(?i)(?<![\w:.])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?:\.[0-9]{1,3}){0,3}(?![\w:])"),
        _ipv6,
    ),
    Rule(
        ("MAC_ADDRESS",),
        r"[0-9a-f]{2}[:-][0-9a-f]{2}[:-][0-9a-f]{2}[:-]|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}",
        re.compile(
            r"(?i)(?<![\w:-])(?:[0-9a-f]{2}([:-])[0-9a-f]{2}(?:\1[0-9a-f]{2}){4}|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4})(?![\w:-])"
        ),
        _mac,
    ),
    Rule(
        ("SECRET",),
        _PREFIX_GATE,
        re.compile(rf"(?<![0-9A-Za-z_-])(?:{_PREFIXES})(?![0-9A-Za-z_])"),
        always("SECRET", "valid"),
    ),
    Rule(
        ("SECRET",),
        r"BEGIN [A-Z ]{0,20}PRIVATE KEY",
        re.compile(
            r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY(?: BLOCK)?-----(?:[A-Za-z0-9+/=\s]{1,8000}-----END[A-Z ]{1,40}-----)?"
        ),
        always("SECRET", "valid"),
    ),
    Rule(
        ("SECRET",),
        r"password|passwd|passphrase|\bpwd\b|secret|api[ _-]?key|token|access[ _-]?key|bearer",
        re.compile(
            r"(?i)(?<![a-z])(?:[a-z]{1,20}[_-]){0,3}(?:password|passwd|passphrase|pwd|secret|api[ _-]?key|(?:access|secret|private|auth)[ _-]?(?:key|token)|token|bearer)"
            r"[\"']?(?:\s?(?:is|=|:|=>)\s{0,2}|\s)(?P<quote>[\"'`]?)(?P<value>[^\s\"'`,;]{6,256})"
        ),
        _assigned,
    ),
    Rule(
        ("GEO_COORDINATES",),
        r"[0-9]\.[0-9]{3,15}[^0-9]{1,20}[0-9]{1,3}\.[0-9]{3}",
        re.compile(
            rf"(?i)(?<![\w.])(?P<lat>{_COORDINATE})[^\S\n]{{0,2}}[,;/]?[^\S\n]{{0,2}}(?P<lon_name>(?:long?|longitude)[ :=]{{0,3}})?(?P<lon>{_COORDINATE})(?![\w]|\.[0-9])"
        ),
        _geo,
    ),
    Rule(
        ("GEO_COORDINATES",),
        r"\xc2[\xb0\xba]",
        re.compile(
            r"(?<![\w.])[0-9]{1,2}(?:\.[0-9]{1,8})? ?[\u00b0\u00ba] ?(?:[0-9]{1,2}(?:\.[0-9]{1,6})?['\u2032] ?(?:[0-9]{1,2}(?:\.[0-9]{1,6})?[\"\u2033] ?)?)?[NS][, ]{1,3}"
            r"[0-9]{1,3}(?:\.[0-9]{1,8})? ?[\u00b0\u00ba] ?(?:[0-9]{1,2}(?:\.[0-9]{1,6})?['\u2032] ?(?:[0-9]{1,2}(?:\.[0-9]{1,6})?[\"\u2033] ?)?)?[EW]"
        ),
        always("GEO_COORDINATES", "valid"),
    ),
)
