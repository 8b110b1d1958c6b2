"""A profile learns what real records are like, keeps its promises in every sample, and holds nobody's values."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.shop import CURRENCY, RARE_CITY, RARE_NAME, RARE_TAG, orders, with_rare_values
from textsynth.columns import ABSENT
from textsynth.errors import RecipeError
from textsynth.profile import Profile, fit
from textsynth.profile.text import count_sentences, role_pattern
from textsynth.records import Completion, Record, Request
from textsynth.schema import RecordSchema
from textsynth.text import strings, words

N = 3000


@pytest.fixture(scope="module")
def rows() -> list[Record]:
    return with_rare_values(orders(1500))


@pytest.fixture(scope="module")
def profile(rows: list[Record]) -> Profile:
    return fit(rows, key="customer", label="priority", embeddings=None, leaf=20)


@pytest.fixture(scope="module")
def drawn(profile: Profile) -> list[Record]:
    return profile.records(N, random=np.random.default_rng(1))


def test_kinds_of_all_fields(profile: Profile) -> None:
    kinds = {field.name: field.kind for field in profile.fields}
    assert kinds == {
        "order": "id",
        "customer": "id",
        "version": "constant",
        "country": "categorical",
        "currency": "categorical",
        "city": "categorical",
        "priority": "ordinal",
        "gift": "boolean",
        "amount": "float",
        "items": "ordinal",
        "placed": "datetime",
        "shipped": "datetime",
        "tags": "options",
        "lines": "list",
        "address#object": "constant",
        "address.zone": "categorical",
        "address.floor": "integer",
        "note": "text",
        "income": "categorical",
        "coupon": "categorical",
    }


def test_dependencies_and_orders_are_found_and_hold(profile: Profile, drawn: list[Record]) -> None:
    assert [(d.given, d.then) for d in profile.dependencies] == [("country", "currency")]
    assert [(o.low, o.high) for o in profile.orders] == [("placed", "shipped")]
    assert all(row["currency"] == CURRENCY[row["country"]] for row in drawn)
    assert all(row["shipped"] is None or row["placed"] <= row["shipped"] for row in drawn)


def test_values_look_like_the_source(drawn: list[Record]) -> None:
    assert all(re.fullmatch(r"ORD-\d{6}", row["order"]) and row["version"] == "2.1" for row in drawn)
    assert len({row["order"] for row in drawn}) == N
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", row["placed"]) for row in drawn)
    assert all(round(row["amount"], 2) == row["amount"] for row in drawn)
    spike = sum(row["amount"] == 9.99 for row in drawn) / N
    assert 0.25 < spike < 0.35
    gaps = Counter(row["lines"][0]["kind"] for row in drawn)
    assert gaps["book"] > 0.95 * N


def test_null_absent_and_empty_keep_their_shares(rows: list[Record], drawn: list[Record]) -> None:
    def shares(some: Sequence[Record]) -> list[float]:
        counts = [
            sum(row["shipped"] is None for row in some),
            sum("coupon" not in row for row in some),
            sum(row.get("note") == "" for row in some),
            sum(row["address"] is None for row in some),
            sum(row["tags"] == [] for row in some),
        ]
        return [count / len(some) for count in counts]

    assert shares(drawn) == pytest.approx(shares(rows), abs=0.06)
    assert all(row["address"] is None or set(row["address"]) == {"zone", "floor"} for row in drawn)


def test_the_text_itself_is_left_to_a_model(profile: Profile, drawn: list[Record]) -> None:
    assert [field.name for field in profile.text_fields] == ["note"]
    assert {row.get("note", "left out") for row in drawn} == {"", "left out"}
    sample = profile.sample(50)
    filled = [value for value in sample.columns["note#words"] if value != ""]
    assert min(filled) >= 7
    assert max(filled) <= 41


def test_lists_follow_their_record(drawn: list[Record]) -> None:
    norway = [line for row in drawn if row["country"] == "Norway" for line in row["lines"]]
    other = [line for row in drawn if row["country"] == "Germany" for line in row["lines"]]
    fish = [sum(line["kind"] == "fish" for line in lines) / len(lines) for lines in (norway, other)]
    assert fish[1] > 0.1
    assert fish[0] < fish[1] / 2


def test_a_saved_profile_has_no_rare_value_and_no_text(profile: Profile, rows: list[Record], tmp_path: Path) -> None:
    profile.save(tmp_path / "p")
    loaded = Profile.load(tmp_path / "p")
    held = json.dumps(everything(tmp_path / "p"), ensure_ascii=False)
    for planted in (
        RARE_NAME,
        RARE_CITY,
        RARE_TAG,
        "Tuvalu",
        "AUD",
        "signed-first-edition",
        "98765.43",
        "ZEBULON",
        "zebulon",
        "1871-03",
    ):
        assert planted not in held
    stored = " ".join(words(held))
    for row in rows:
        note = words(row["note"])
        assert not any(" ".join(note[at : at + 8]) in stored for at in range(len(note) - 7))
        assert row["order"] not in held
        assert row["customer"] not in held
    assert loaded.records(20) == profile.records(20)
    assert {rare.field for rare in profile.rare} >= {"amount"}


def everything(folder: Path) -> list[Any]:
    """Return all that a profile's files hold, arrays of letters as text."""
    found: list[Any] = [json.loads((folder / "profile.json").read_text())]
    with np.load(folder / "profile.npz", allow_pickle=False) as arrays:
        for name in arrays.files:
            array = arrays[name]
            text = array.tobytes().decode(errors="ignore") if array.dtype == np.uint8 else array.tolist()
            found.append([name, text])
    return found


def test_no_sample_has_a_rare_value(drawn: list[Record]) -> None:
    seen = {text for row in drawn for text in strings(row)}
    assert not seen & {RARE_NAME, RARE_CITY, RARE_TAG, "Tuvalu", "AUD", "signed-first-edition", "ONLY-FOR-ZEBULON"}
    assert max(row["amount"] for row in drawn) < 98765
    assert min(row["placed"] for row in drawn) > "1900"


def test_fixed_values_are_exact(profile: Profile) -> None:
    fixed = {
        "country": "Norway",
        "amount": 12.34,
        "shipped": "2024-05-06",
        "gift": True,
        "tags": ["vip"],
        "note#words": 20,
    }
    sample = profile.sample(200, fixed=fixed)
    for name, value in fixed.items():
        assert set(map(repr, sample.columns[name])) == {repr(value)}
    assert set(sample.columns["currency"]) == {"NOK"}
    assert max(sample.columns["placed"]) <= "2024-05-06"


def test_a_looked_up_field_can_be_fixed(profile: Profile) -> None:
    sample = profile.sample(600, fixed={"currency": "EUR"})
    countries = Counter(sample.columns["country"])
    assert set(countries) == {"Germany", "France"}
    assert set(sample.columns["currency"]) == {"EUR"}
    assert 0.5 < countries["Germany"] / 600 < 0.7


def test_one_condition_per_row_and_states(profile: Profile) -> None:
    fixed = [{"coupon": ABSENT}, {"coupon": "SPRING"}, {"shipped": None}, {"note#words": ""}]
    records = profile.records(4, fixed=fixed)
    assert "coupon" not in records[0]
    assert records[1]["coupon"] == "SPRING"
    assert records[2]["shipped"] is None
    assert records[3]["note"] == ""


def test_weights_are_met_to_the_row(profile: Profile) -> None:
    sample = profile.sample(300, weights={"priority": {"high": 0.5, "low": 0.3, "medium": 0.2}})
    assert Counter(sample.columns["priority"]) == {"high": 150, "low": 90, "medium": 60}


def test_a_cell_that_never_occurred_is_drawn_and_reported(profile: Profile) -> None:
    sample = profile.sample(100, fixed={"country": "Norway", "city": "Kiel"})
    assert set(sample.columns["country"]) == {"Norway"}
    assert set(sample.columns["city"]) == {"Kiel"}
    assert len(sample.unseen) == 1
    assert "country='Norway'" in sample.unseen[0]
    assert not profile.sample(100, fixed={"country": "Norway"}).unseen


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        ({"contry": "Norway"}, "did you mean country"),
        ({"country": "Norwey"}, "did you mean Norway"),
        ({"amount": 1e9}, "did you mean"),
        ({"placed": "yesterday"}, "must be a date like"),
        ({"amount": "much"}, "must be a number"),
        ({"country": None}, "never null"),
        ({"note": "Hello there"}, "is text"),
        ({"order": "ORD-000001"}, "is id"),
        ({"country": "Norway", "currency": "EUR"}, "always has currency='NOK'"),
        ({"tags": ["old"]}, "not in its domain"),
    ],
)
def test_bad_conditions_are_named(profile: Profile, fixed: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(message)):
        profile.sample(5, fixed=fixed)


def test_bad_weights_and_lengths_are_named(profile: Profile) -> None:
    with pytest.raises(RecipeError, match="0 or more"):
        profile.sample(5, weights={"priority": {"high": -1}})
    with pytest.raises(RecipeError, match="one mapping per row"):
        profile.sample(5, fixed=[{"gift": True}])


def test_records_follow_the_schema(profile: Profile, drawn: list[Record]) -> None:
    schema = profile.schema()
    assert schema["properties"]["country"]["enum"][0] == "Germany"
    assert schema["properties"]["address"]["type"] == ["object", "null"]
    schema["required"].remove("note") if "note" in schema["required"] else None
    checked = RecordSchema(schema)
    assert not [problem for row in drawn[:300] for problem in checked.problems(row)]


def test_the_same_seed_gives_the_same_profile_and_sample() -> None:
    one, again, other = (fit(orders(300), key="customer", embeddings=None, leaf=20, seed=seed) for seed in (0, 0, 1))
    assert again.records(30, random=np.random.default_rng(5)) == one.records(30, random=np.random.default_rng(5))
    assert not np.array_equal(other.split("train"), one.split("train"))


def test_only_train_rows_are_learned_from() -> None:
    rows = orders(300)
    base = fit(rows, key="customer", embeddings=None, leaf=20)
    changed = [dict(row) for row in rows]
    for row in base.split("report").tolist():
        changed[row] |= {"country": "Atlantis", "amount": 1.0, "tags": ["zzz"]}
    again = fit(changed, key="customer", embeddings=None, leaf=20)
    assert again.fields == base.fields
    assert again.records(30) == base.records(30)


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([], {}, "no rows"),
        ([{"a": 1}] * 49, {}, "at least 50 rows, got 49"),
        ([{"a": 1, "b": "x"}] * 80, {}, "no field varies"),
        ([{"a": n} for n in range(80)], {"key": "b"}, "key: unknown name 'b'"),
        ([{"name": n} for n in range(80)], {"label": "nmae"}, "did you mean name"),
        ([{"a": n} for n in range(80)], {"sizes": (0.9, 0.2, 0.1)}, "three shares"),
        ([{"a": n} for n in range(79)] + [5], {}, "row 79 must be an object"),
        (
            [{"a": n, "who": n % 9} for n in range(80)],
            {"key": "who"},
            "20 different values of the key 'who' are needed, got 9",
        ),
    ],
)
def test_bad_data_is_named_at_once(rows: list[Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        fit(rows, embeddings=None, **options)


def test_foreign_and_damaged_folders_are_named(profile: Profile, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="is no profile"):
        Profile.load(tmp_path)
    (tmp_path / "other.txt").write_text("mine")
    with pytest.raises(RecipeError, match="holds other files"):
        profile.save(tmp_path)
    profile.save(tmp_path / "p")
    (tmp_path / "p" / "profile.npz").write_bytes((tmp_path / "p" / "profile.npz").read_bytes()[:900])
    with pytest.raises(RecipeError, match="damaged"):
        Profile.load(tmp_path / "p")
    (tmp_path / "p" / "profile.json").write_text("{")
    with pytest.raises(RecipeError, match="damaged"):
        Profile.load(tmp_path / "p")
    (tmp_path / "p" / "profile.json").write_text('{"textsynth_profile": 99}')
    with pytest.raises(RecipeError, match="version"):
        Profile.load(tmp_path / "p")


def texts(n: int) -> list[Record]:
    """Return texts of two topics with a label that follows the topic, and their vectors' topic."""
    return [{"label": "ab"[n % 2], "text": f"A text with the number {n} that says {n * n} things"} for n in range(n)]


def topic_vectors(rows: list[Record]) -> np.ndarray[Any, np.dtype[np.float32]]:
    random = np.random.default_rng(0)
    centres = {"a": np.eye(8)[0], "b": np.eye(8)[1]}
    made = np.stack([centres[row["label"]] + 0.05 * random.normal(size=8) for row in rows])
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), dtype=np.float32)


def test_topic_clusters_are_learned_with_the_label() -> None:
    rows = texts(400)
    vectors = topic_vectors(rows)
    made = fit(rows, label="label", embeddings=vectors)
    found = made.clusters([row["text"] for row in rows], "text", vectors=vectors)
    topic = {int(c): {rows[i]["label"] for i in np.flatnonzero(found == c)} for c in set(found.tolist())}
    assert all(len(labels) == 1 for labels in topic.values())
    sample = made.sample(200)
    pairs = zip(sample.columns["label"], sample.columns["text#cluster"], strict=True)
    assert sum({label} == topic[cluster] for label, cluster in pairs) > 170
    with pytest.raises(RecipeError, match="fields with clusters: text"):
        made.clusters(["x"], "label")
    with pytest.raises(RecipeError, match="400 rows"):
        fit(rows, embeddings=vectors[:10])


def test_dialogues_keep_turns_and_roles() -> None:
    turn = [{"role": "user", "content": "I need some help"}, {"role": "bot", "content": "What is it about then"}]
    rows = [
        {"topic": "ab"[n % 2], "chat": [{**t, "content": f"{t['content']} {n}"} for t in turn * (1 + 2 * (n % 2))]}
        for n in range(200)
    ]
    made = fit(rows, embeddings=None)
    sample = made.sample(100)
    pairs = set(zip(sample.columns["topic"], sample.columns["chat#turns"], strict=True))
    assert pairs == {("a", 2), ("b", 6)}
    assert set(sample.columns["chat#roles"]) == {"user bot"}
    assert set(sample.columns["chat#words:user"]) <= {5}
    assert "chat" not in made.records(3)[0]


def test_role_patterns_and_sentences() -> None:
    assert role_pattern(["user", "bot", "user"]) == "user bot"
    assert role_pattern(["system", "user", "bot", "user", "bot"]) == "system | user bot"
    assert role_pattern(["a", "b", "b", "a"]) == "mixed"
    assert [count_sentences(text) for text in ("One", "One. Two!", "One... And two? Three", "e.g. 1.5 m")] == [
        1,
        2,
        3,
        2,
    ]


def test_traits_are_proposed_and_extracted_by_whoever_is_asked() -> None:
    rows = texts(200)
    asked: list[Request] = []

    def ask(requests: Sequence[Request]) -> list[Completion]:
        asked.extend(requests)
        return [Completion(r.draw, r.step, answer(r), "stop") for r in requests]

    def answer(request: Request) -> str:
        if "attributes" in str(request.schema):
            return json.dumps({"attributes": [{"name": "Parity", "options": ["even", "odd"]}]})
        number = int(re.findall(r"number (\d+)", request.messages[0]["content"])[0])
        return json.dumps({"parity": "odd" if number % 2 else "even"}) if number % 10 else "not json"

    made = fit(rows, label="label", embeddings=None, traits=ask)
    assert [(t.column, t.options) for t in made.traits] == [("text#trait:parity", ("even", "odd", "other"))]
    assert asked[0].messages[0]["content"].count("\n- ") == 50
    assert len(asked) == 1 + 160
    sample = made.sample(300)
    pairs = Counter(zip(sample.columns["label"], sample.columns["text#trait:parity"], strict=True))
    assert pairs["a", "even"] > 80
    assert pairs["b", "odd"] > 120
    assert pairs["a", "odd"] + pairs["b", "even"] < 10


def test_traits_of_a_failing_model_are_an_error() -> None:
    def ask(requests: Sequence[Request]) -> list[Completion]:
        return [Completion(r.draw, r.step, "", "error", error="out of memory") for r in requests]

    with pytest.raises(RecipeError, match="out of memory"):
        fit(texts(100), embeddings=None, traits=ask)


def test_values_that_never_stand_together_are_never_drawn_together() -> None:
    random = np.random.default_rng(0)
    ranks = ["first", "second", "third"]
    rows = [dict(zip(ranks, random.permutation(["food", "water", "wood"]).tolist(), strict=True)) for _ in range(300)]
    made = fit(rows, embeddings=None, leaf=100)
    drawn = made.records(500)
    assert all(len(set(row.values())) == 3 for row in drawn)
    real = Counter(rows[row]["first"] for row in made.split("train").tolist())
    shares = Counter(row["first"] for row in drawn)
    assert all(abs(shares[rank] / 500 - real[rank] / real.total()) < 0.07 for rank in real)
    held = made.sample(50, fixed={"first": "food", "second": "food"})
    assert set(held.columns["first"]) == set(held.columns["second"]) == {"food"}


def test_rare_codes_become_fresh_codes_and_rare_names_are_for_a_model() -> None:
    random = np.random.default_rng(0)
    zips = [f"{random.integers(10000, 99999)}" if n % 3 else f"{random.integers(10, 14)}0XX" for n in range(900)]
    names = ["".join(random.choice(["an", "ber", "ka", "lo", "mi"], 4)) for _ in range(900)]
    rows = [{"zip": code, "name": name, "n": n % 7} for n, (code, name) in enumerate(zip(zips, names, strict=True))]
    made = fit(rows, embeddings=None, leaf=50)
    drawn = made.records(600)
    assert all(re.fullmatch(r"\d{5}|1\d0XX", row["zip"]) for row in drawn)
    assert 0.5 < sum(row["zip"].isdigit() for row in drawn) / 600 < 0.8
    assert [field.name for field in made.text_fields] == ["name"]
    assert "name" not in drawn[0]


def test_a_rare_value_goes_with_the_rest_of_its_record() -> None:
    towns = {"north": ["Aa", "Bb"], "south": ["Cc", "Dd"]}
    rows = [{"land": land, "town": towns[land][n // 2 % 2]} for n, land in enumerate(["north", "south"] * 300)]
    for n in range(0, 600, 9):
        rows[n]["town"] = f"Village {n}"
    drawn = fit(rows, embeddings=None, leaf=50).records(500)
    assert all(row["town"] in towns[row["land"]] for row in drawn)


def test_rules_hold_within_the_items_of_a_list() -> None:
    random = np.random.default_rng(0)
    spans = [
        [{"start": (at := int(random.integers(80))), "end": at + int(random.integers(20))}] * int(random.integers(3))
        for _ in range(300)
    ]
    made = fit([{"spans": some, "n": len(some)} for some in spans], embeddings=None)
    drawn = made.records(200)
    assert all(span["start"] <= span["end"] for row in drawn for span in row["spans"])
    assert all(len(row["spans"]) == row["n"] for row in drawn)


def test_a_taxonomy_is_kept_whole() -> None:
    random = np.random.default_rng(0)
    kinds = random.integers(8, size=1200)
    rows = [
        {"kind": f"k{kind}", "sub": f"k{kind}-{random.integers(4)}", "free": f"f{random.integers(3)}"} for kind in kinds
    ]
    for row in rows[::40]:
        row["sub"] = "shared"
    drawn = fit(rows, embeddings=None, leaf=400).records(400)
    assert all(row["sub"] == "shared" or row["sub"].startswith(row["kind"]) for row in drawn)
