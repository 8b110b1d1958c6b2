"""What decoding writes for a ``format``: a pattern of which every text is valid, and that all decoders get right.

Their own notions of a format differ from the specification's (29 February of any year, ``a@b``) and have no bound on
length. A pattern here may know less than its format allows; it never knows more, which ``tests`` prove with the check.
"""

from __future__ import annotations

HOUR, MINUTE = r"(?:[01]\d|2[0-3])", r"[0-5]\d"
TIME = rf"{HOUR}:{MINUTE}:{MINUTE}(?:\.\d{{1,6}})?(?:Z|[+-](?:0\d|1[0-4]):(?:00|15|30|45))"
LEAP_YEAR = r"(?:[12]\d(?:0[48]|[2468][048]|[13579][26])|(?:1[26]|2[048])00)"
DATE = (
    r"(?:[12]\d{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)"
    rf"|02-(?:0[1-9]|1\d|2[0-8]))|{LEAP_YEAR}-02-29)"
)
LABEL = r"[A-Za-z0-9]{1,20}(?:-[A-Za-z0-9]{1,12})?"
HOST = rf"{LABEL}(?:\.{LABEL}){{0,2}}\.[a-z]{{2,8}}"
EMAIL = rf"[A-Za-z0-9]{{1,20}}(?:[._+-][A-Za-z0-9]{{1,20}}){{0,2}}@{HOST}"
SEGMENT = r"/[A-Za-z0-9._~-]{1,24}"
QUERY = r"[a-z]{1,12}=[A-Za-z0-9._~-]{1,16}"
URI = rf"https?://{HOST}(?:{SEGMENT}){{0,4}}/?(?:\?{QUERY}(?:&{QUERY}){{0,2}})?"
OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
CLOCK = r"(?:\d{1,2}H(?:\d{1,2}M(?:\d{1,2}S)?)?|\d{1,2}M(?:\d{1,2}S)?|\d{1,2}S)"
POINTER = r"(?:/[A-Za-z0-9_-]{1,20}){1,4}"

FORMATS: dict[str, str] = {
    "date": DATE,
    "time": TIME,
    "date-time": f"{DATE}T{TIME}",
    "duration": rf"P(?:\d{{1,2}}W|\d{{1,3}}D(?:T{CLOCK})?|T{CLOCK})",
    "email": EMAIL,
    "idn-email": EMAIL,
    "hostname": HOST,
    "idn-hostname": HOST,
    "ipv4": rf"{OCTET}(?:\.{OCTET}){{3}}",
    "ipv6": r"(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}",
    "uri": URI,
    "iri": URI,
    "uri-reference": URI,
    "iri-reference": URI,
    "uri-template": URI,
    "uuid": r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    "json-pointer": POINTER,
    "relative-json-pointer": rf"[0-9]{POINTER}",
}
PATTERNS = {name: f"^{pattern}$" for name, pattern in FORMATS.items()}
CHECKED_ONLY = frozenset({"regex"})
"""Formats that the check knows and that no pattern describes."""
