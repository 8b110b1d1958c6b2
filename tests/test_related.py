"""Related tables: keys that match, numbers of children, children that suit their parents, on real and on planted data."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import load_dataset, load_from_disk

from textsynth.cli import related as command
from textsynth.errors import ExportError, RecipeError
from textsynth.profile.related import (
    RelatedProfile,
    Relation,
    Source,
    fit_related,
    read_tables,
    to_dataset_dict,
    write_tables,
)

DATA = Path(__file__).parent / "data" / "related"
Rows = list[dict[str, Any]]


def variation(one: Iterable[Hashable], other: Iterable[Hashable]) -> float:
    """Return the total variation distance of two empirical distributions, 0 to 1."""
    a, b = Counter(one), Counter(other)
    return sum(abs(a[k] / a.total() - b[k] / b.total()) for k in a | b) / 2


def children(parents: Rows, key: str, rows: Rows, foreign: str) -> list[int]:
    """Return the number of children of each parent."""
    counts = Counter(row[foreign] for row in rows)
    return [counts[row[key]] for row in parents]


def shop(seed: int, customers: int = 400) -> dict[str, Rows]:
    """Return customers, their orders and the orders' items, with what a model must find planted in them."""
    random = np.random.default_rng(seed)
    made: dict[str, Rows] = {"customers": [], "orders": [], "items": []}
    for c in range(customers):
        country = str(random.choice(["CH", "US", "JP"], p=[0.5, 0.3, 0.2]))
        made["customers"].append({"id": 1000 + c, "country": country, "age": int(random.integers(18, 90))})
        for position in range(int(random.choice([0, 1, 2, 3, 5], p=[0.2, 0.3, 0.2, 0.2, 0.1]))):
            order = f"O-{len(made['orders']):05d}"
            kind = "first" if position == 0 else str(random.choice(["repeat", "gift"]))
            currency = {"CH": "CHF", "US": "USD", "JP": "JPY"}[country]
            made["orders"].append(
                {"order": order, "customer_id": 1000 + c, "currency": currency, "kind": kind, "note": words(random)}
            )
            for _ in range(1 if kind == "gift" else int(random.integers(1, 5))):
                price = float(np.round(random.gamma(3, 20 if country != "JP" else 2000), 2))
                made["items"].append({"order": order, "price": price, "colour": str(random.choice(["red", "blue"]))})
    return made


def words(random: np.random.Generator) -> str:
    """Return a running text of its own."""
    return " ".join(f"w{number}" for number in random.integers(0, 9999, size=12).tolist())


SHOP = [Relation("customers", "id", "orders", "customer_id"), Relation("orders", "order", "items", "order")]


@pytest.fixture(scope="module")
def real() -> dict[str, Rows]:
    return shop(1)


@pytest.fixture(scope="module")
def learned(real: dict[str, Rows]) -> RelatedProfile:
    return fit_related(real, SHOP, seed=3)


@pytest.fixture(scope="module")
def drawn(learned: RelatedProfile) -> dict[str, Rows]:
    return learned.sample(600, np.random.default_rng(5))


def test_every_key_is_fresh_unique_and_resolves(real: dict[str, Rows], drawn: dict[str, Rows]) -> None:
    assert len(drawn["customers"]) == 600
    for relation in SHOP:
        keys = [row[relation.parent_key] for row in drawn[relation.parent]]
        assert len(set(keys)) == len(keys)
        assert not set(keys) & {row[relation.parent_key] for row in real[relation.parent]}
        assert {row[relation.child_key] for row in drawn[relation.child]} <= set(keys)
    assert all(isinstance(row["id"], int) for row in drawn["customers"])
    assert all(re.fullmatch(r"O-\d{5}", row["order"]) for row in drawn["orders"])


def test_records_have_their_columns_in_order_without_texts(learned: RelatedProfile, drawn: dict[str, Rows]) -> None:
    assert list(drawn["orders"][0]) == ["order", "customer_id", "currency", "kind"]
    assert learned.text_fields == {"customers": (), "orders": ("note",), "items": ()}


def test_numbers_of_children_follow_the_real_ones(real: dict[str, Rows], drawn: dict[str, Rows]) -> None:
    fresh = shop(2)
    for relation in SHOP:
        arguments = (relation.parent_key, relation.child, relation.child_key)
        real_one, real_other, made = (
            children(tables[relation.parent], arguments[0], tables[arguments[1]], arguments[2])
            for tables in (real, fresh, drawn)
        )
        assert variation(made, real_other) <= variation(real_one, real_other) + 0.08
        assert min(real_one) <= min(made)
        assert max(made) <= max(real_one)


def test_children_suit_their_parents_over_two_levels(drawn: dict[str, Rows]) -> None:
    country = {row["id"]: row["country"] for row in drawn["customers"]}
    pairs = Counter((country[row["customer_id"]], row["currency"]) for row in drawn["orders"])
    right = pairs["CH", "CHF"] + pairs["US", "USD"] + pairs["JP", "JPY"]
    assert right / pairs.total() > 0.97
    of_order = {row["order"]: country[row["customer_id"]] for row in drawn["orders"]}
    prices: dict[str, list[float]] = defaultdict(list)
    for row in drawn["items"]:
        prices[of_order[row["order"]]].append(row["price"])
    assert np.median(prices["JP"]) > 20 * np.median(prices["CH"])


def test_position_and_number_of_children_belong_together(drawn: dict[str, Rows]) -> None:
    first: dict[int, str] = {}
    for row in drawn["orders"]:
        first.setdefault(row["customer_id"], row["kind"])
    assert sum(kind == "first" for kind in first.values()) / len(first) > 0.95
    later = [row["kind"] for row in drawn["orders"]]
    assert sum(kind == "first" for kind in later) < len(first) * 1.1
    items = Counter(row["order"] for row in drawn["items"])
    gifts = [items[row["order"]] for row in drawn["orders"] if row["kind"] == "gift"]
    assert sum(count == 1 for count in gifts) / len(gifts) > 0.9


def test_a_family_is_in_one_split(real: dict[str, Rows], learned: RelatedProfile) -> None:
    where: dict[str, dict[Any, str]] = {"customers": {}, "orders": {}}
    total = 0
    for part in ("train", "steer", "report"):
        rows = learned.split(part)
        where["customers"] |= {real["customers"][n]["id"]: part for n in rows["customers"].tolist()}
        where["orders"] |= {real["orders"][n]["order"]: part for n in rows["orders"].tolist()}
        assert all(where["customers"][real["orders"][n]["customer_id"]] == part for n in rows["orders"].tolist())
        assert all(where["orders"][real["items"][n]["order"]] == part for n in rows["items"].tolist())
        total += len(rows["items"])
    assert total == len(real["items"])
    with pytest.raises(RecipeError, match="did you mean train"):
        learned.split("trian")


def test_saved_and_loaded_it_draws_the_same(learned: RelatedProfile, tmp_path: Path) -> None:
    learned.save(tmp_path / "profile")
    again = RelatedProfile.load(tmp_path / "profile")
    one, other = (each.sample(50, np.random.default_rng(9)) for each in (learned, again))
    assert one == other
    assert again.facts == learned.facts
    assert again.split("train")["items"].tolist() == learned.split("train")["items"].tolist()
    with pytest.raises(RecipeError, match="related profile"):
        RelatedProfile.load(tmp_path / "nowhere")


def test_a_profile_holds_no_key_and_no_text_of_the_real_data(
    real: dict[str, Rows], learned: RelatedProfile, tmp_path: Path
) -> None:
    learned.save(tmp_path)
    text = "".join(file.read_text() for file in sorted(tmp_path.rglob("*.json")))
    assert not any(row["order"] in text for row in real["orders"])
    assert not any(row["note"] in text for row in real["orders"])


def test_one_dataset_dict_written_and_loaded_back(drawn: dict[str, Rows], tmp_path: Path) -> None:
    made = write_tables(drawn, tmp_path / "arrow")
    back = load_from_disk(str(tmp_path / "arrow"))
    assert set(back) == {"customers", "orders", "items"}
    for name, rows in drawn.items():
        assert back[name].to_list() == made[name].to_list() == rows
    write_tables(drawn, tmp_path / "parquet", "parquet")
    orders = load_dataset(str(tmp_path / "parquet"), "orders", cache_dir=str(tmp_path / "cache"))
    assert orders["train"].to_list() == drawn["orders"]
    with pytest.raises(ExportError, match="not empty"):
        write_tables(drawn, tmp_path / "arrow")


def test_values_without_a_common_type_become_json_text() -> None:
    made = to_dataset_dict({"mixed": [{"a": 1}, {"a": "x"}, {"a": None}, {}, {"a": {"b": [1, "2"]}}]})
    assert made["mixed"]["a"] == ["1", '"x"', None, None, '{"b": [1, "2"]}']


def test_a_join_table_gets_both_keys_by_their_degrees() -> None:
    random = np.random.default_rng(4)
    students = [{"student": f"s{n}", "year": int(random.integers(1, 5))} for n in range(300)]
    courses = [{"course": f"c{n}", "topic": str(random.choice(["art", "law"]))} for n in range(60)]
    popular = random.dirichlet(np.full(60, 0.8))
    enrolled = []
    for student in students:
        size = int(random.integers(1, 5))
        for course in random.choice(60, size=size, replace=False, p=popular * 0.9 + 0.1 / 60).tolist():
            enrolled.append({"student": student["student"], "course": f"c{course}", "mark": int(random.integers(1, 7))})
    tables = {"students": students, "courses": courses, "enrolled": enrolled}
    relations = [
        Relation("students", "student", "enrolled", "student"),
        Relation("courses", "course", "enrolled", "course"),
    ]
    profile = fit_related(tables, relations, seed=0)
    assert all(facts.unique for facts in profile.facts)
    made = profile.sample(300, np.random.default_rng(1))
    assert len(made["courses"]) == 60
    pairs = {(row["student"], row["course"]) for row in made["enrolled"]}
    assert len(pairs) > 0.98 * len(made["enrolled"])
    assert {row["course"] for row in made["enrolled"]} <= {row["course"] for row in made["courses"]}
    real_degrees = sorted(children(courses, "course", enrolled, "course"))
    degrees = sorted(children(made["courses"], "course", made["enrolled"], "course"))
    assert np.corrcoef(real_degrees, degrees)[0, 1] > 0.85


def test_orphans_and_missing_keys_are_counted_and_left_out(real: dict[str, Rows]) -> None:
    tables = {**real, "orders": [dict(row) for row in real["orders"]]}
    for number in range(7):
        tables["orders"][number]["customer_id"] = 99_999
    for number in range(7, 12):
        tables["orders"][number]["customer_id"] = None
    profile = fit_related(tables, SHOP, seed=3)
    assert (profile.facts[0].orphans, profile.facts[0].missing) == (7, 5)
    used = sum(len(profile.split(part)["orders"]) for part in ("train", "steer", "report"))
    assert used == len(tables["orders"]) - 12
    made = profile.sample(50, np.random.default_rng(0))
    assert all(row["customer_id"] is not None for row in made["orders"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"relations": [Relation("customer", "id", "orders", "customer_id")]}, "did you mean customers"),
        ({"relations": [Relation("customers", "id", "orders", "customerid")]}, "did you mean customer_id"),
        ({"relations": [*SHOP, Relation("items", "price", "customers", "country")]}, "its own ancestor"),
        ({"customers": [{"id": 1, "country": "CH"}, {"id": 1, "country": "US"}]}, "1 rows repeat a key 'id'"),
        ({"customers": [{"id": 1}, {"id": None}]}, "1 of 2 rows have no key 'id'"),
        ({"customers": []}, "no rows"),
    ],
)
def test_mistakes_are_named_before_anything_is_learned(
    real: dict[str, Rows], change: dict[str, Any], message: str
) -> None:
    relations = change.pop("relations", SHOP)
    with pytest.raises(RecipeError, match=re.escape(message)):
        fit_related({**real, **change}, relations)


@pytest.fixture(scope="module")
def casino() -> Source:
    return read_tables(DATA / "tables.yaml")


@pytest.fixture(scope="module")
def dialogues(casino: Source) -> RelatedProfile:
    return fit_related(casino.tables, casino.relations, keys=casino.keys, seed=1)


def test_real_dialogues_keep_their_numbers_of_participants_and_turns(casino: Source, dialogues: RelatedProfile) -> None:
    made = dialogues.sample(600, np.random.default_rng(2))
    for relation in casino.relations:
        counts = children(casino.tables["dialogues"], "dialogue", casino.tables[relation.child], "dialogue")
        train, holdout = ([counts[n] for n in dialogues.split(part)["dialogues"]] for part in ("train", "report"))
        ours = children(made["dialogues"], "dialogue", made[relation.child], "dialogue")
        assert variation(ours, holdout) <= variation(train, holdout) + 0.08
    assert set(children(made["dialogues"], "dialogue", made["participants"], "dialogue")) == {2}


def test_real_participants_and_turns_alternate_as_they_do(casino: Source, dialogues: RelatedProfile) -> None:
    made = dialogues.sample(600, np.random.default_rng(2))

    def agents(tables: dict[str, Rows], table: str) -> tuple[float, float]:
        families: dict[str, list[str]] = defaultdict(list)
        for row in tables[table]:
            families[row["dialogue"]].append(row["agent"])
        steps = [a != b for each in families.values() for a, b in pairwise(each)]
        return float(np.mean(steps)), float(np.mean([each[0] == "agent 1" for each in families.values()]))

    for table in ("participants", "turns"):
        assert agents(made, table) == pytest.approx(agents(casino.tables, table), abs=0.06)


class Parsers:
    """Takes the command as ``textsynth`` does."""

    def __init__(self) -> None:
        import argparse

        self.top = argparse.ArgumentParser()
        command.add(self.top.add_subparsers(dest="command"))

    def run(self, *arguments: object) -> int:
        """Run one command line."""
        return command.command(self.top.parse_args(["related", *map(str, arguments)]))


def test_the_command_fits_and_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = shop(6, customers=150)
    made["orders"][0]["customer_id"] = 5
    for name in ("customers", "orders"):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made[name]))
    (tmp_path / "tables.yaml").write_text(
        "tables:\n  customers: {path: customers.jsonl, key: id}\n"
        "  orders: {path: orders.jsonl, key: order, parents: {customer_id: customers}}\n"
    )
    assert Parsers().run("fit", tmp_path / "tables.yaml", "-o", tmp_path / "profile") == 0
    shown = capsys.readouterr()
    assert "orders.customer_id" in shown.out
    assert "1 of" in shown.err + shown.out
    assert "orders.note" in shown.err + shown.out
    assert Parsers().run("sample", tmp_path / "profile", "-n", 80, "--to", tmp_path / "data", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["rows"]["customers"] == 80
    assert load_from_disk(str(tmp_path / "data"))["customers"].num_rows == 80


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tables:\n  a: {path: a.csv, kye: id}\n", "did you mean key"),
        ("tables:\n  a: {path: a.csv, key: id}\n  b: {path: b.csv, parents: {x: aa}}\n", "did you mean a"),
        ("tables:\n  a: {path: a.csv}\n  b: {path: b.csv, parents: {x: a}}\n", "'a' has no key"),
        ("tables: [", "not valid YAML"),
        ("tables:\n  a: {path: a.csv, key: id}\n", "no such file"),
    ],
)
def test_mistakes_in_the_file_of_tables_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "tables.yaml").write_text(text)
    with pytest.raises(RecipeError, match=re.escape(message)):
        read_tables(tmp_path / "tables.yaml")
