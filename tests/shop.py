"""Made-up shop orders with a field of every kind, rare values and rules that always hold."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random
from typing import Any

CURRENCY = {"Germany": "EUR", "France": "EUR", "Sweden": "SEK", "Norway": "NOK"}
WORDS = (
    "the parcel came late and box was open but I like product very much so thanks for quick help with return".split()
)
RARE_NAME = "Zebulon Quarkmeister"
RARE_CITY = "Xyzzyburg"
RARE_TAG = "handwritten-dedication"


def orders(n: int, seed: int = 0, *, customers: int = 0) -> list[dict[str, Any]]:
    """Return ``n`` orders; those of one customer share ``customer``."""
    random = Random(seed)
    return [order(number, random, customers or n) for number in range(n)]


def order(number: int, random: Random, customers: int) -> dict[str, Any]:
    country = random.choices(list(CURRENCY), [6, 4, 2, 1])[0]
    placed = date(2024, 1, 1) + timedelta(random.randrange(300))
    row: dict[str, Any] = {
        "order": f"ORD-{number:06d}",
        "customer": f"c{random.randrange(customers):05d}",
        "version": "2.1",
        "country": country,
        "currency": CURRENCY[country],
        "city": random.choice(["Kiel", "Bonn"]) if country == "Germany" else random.choice(["Lyon", "Oslo", "Lund"]),
        "priority": random.choices(["low", "medium", "high"], [5, 3, 1])[0],
        "gift": random.random() < 0.2,
        "amount": 9.99 if random.random() < 0.3 else round(random.lognormvariate(3, 1), 2),
        "items": random.randint(1, 6),
        "placed": placed.isoformat(),
        "shipped": (placed + timedelta(random.choice([0, 1, 1, 2, 9]))).isoformat() if random.random() < 0.8 else None,
        "tags": sorted(random.sample(["new", "sale", "vip"], random.randrange(3))),
        "lines": [line(at, country, random) for at in range(random.randint(1, 3))],
        "address": {"zone": random.choice("ABC"), "floor": random.randrange(30)} if random.random() < 0.9 else None,
        "note": text(random) if random.random() < 0.7 else "",
        "income": random.choice(["high", "low"]) if country == "Germany" else "low",
    }
    if random.random() < 0.5:
        row["coupon"] = random.choice(["SPRING", "SUMMER"])
    return row


def line(at: int, country: str, random: Random) -> dict[str, Any]:
    """Return one line; the first is always a book, and Norway buys no fish."""
    kind = "book" if at == 0 else random.choice(["pen", "lamp"] if country == "Norway" else ["pen", "lamp", "fish"])
    return {"kind": kind, "quantity": random.randint(1, 4)}


def text(random: Random) -> str:
    return " ".join(random.choices(WORDS, k=random.randint(6, 40))).capitalize() + f" {random.randrange(10**6)}."


def with_rare_values(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Plant values that one or two people have into some rows."""
    rows[7] |= {"city": RARE_CITY, "amount": 98765.43}
    rows[8] |= {"city": RARE_CITY, "note": f"My name is {RARE_NAME} and I live at number 17 in the old mill."}
    rows[9] |= {"country": "Tuvalu", "currency": "AUD"}
    rows[10]["tags"] = [RARE_TAG]
    rows[11]["lines"] = [{"kind": "signed-first-edition", "quantity": 977}]
    rows[13]["heir-of-zebulon"] = 1
    rows[13]["lines"][0]["zebulon-only"] = True
    rows[12] |= {"placed": "1871-03-04", "coupon": "ONLY-FOR-ZEBULON"}
    return rows
