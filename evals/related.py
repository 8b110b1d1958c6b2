"""Related tables learned from real ones: do the keys match, the numbers of children, and children with their parents?

    python evals/related.py            # casino, sgd and cfpb of ../shared/data as tables; about a minute
    python evals/related.py casino     # only that one; writes nothing

There is no relational data among them, so tables are made of nested records: dialogues with participants and turns
(casino); dialogues, turns and slots (sgd); companies and their complaints (cfpb, a company's sector being the product
most complained about). Distances are total variation (0 to 1) to the report split, which is not learned from; "real" is
the train split's, cut to the report's number of parents, and the synthetic tables have as many; means of five draws.
For pairs it is the distance of the child's column given the parent's value, weighted as the real rows are.
"shuffled" is the synthetic children dealt out to parents at random: what a model scores that ignores the parent.
Exit code 1 if a foreign key does not resolve or a key is a real one.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from textsynth.profile.related import RelatedProfile, Relation, fit_related

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
RESULTS = ROOT / "evals" / "results" / "related.json"
SEED, DRAWS = 1, 5
Tables = dict[str, list[dict[str, Any]]]
Pair = tuple[Relation, str, str]


def casino() -> tuple[Tables, list[Relation], list[Pair]]:
    """Return negotiation dialogues with their two participants and their turns."""
    made: Tables = {"dialogues": [], "participants": [], "turns": []}
    for part in ("train", "valid", "test"):
        for row in json.loads((DATA / "casino" / f"casino_{part}.json").read_text()):
            key, chat = f"D{row['dialogue_id']:05d}", row["chat_logs"]
            deal = any(turn["text"] == "Accept-Deal" for turn in chat)
            points = [person["outcomes"]["points_scored"] for person in row["participant_info"].values()]
            made["dialogues"].append({"dialogue": key, "deal": deal, "points": sum(points)})
            for agent, person in sorted(row["participant_info"].items()):
                made["participants"].append({"dialogue": key, "agent": agent, **traits(person)})
            for turn in chat:
                chatter = "-Deal" not in turn["text"] and turn["text"] != "Walk-Away"
                action = "Chat" if chatter else turn["text"]
                words = len(turn["text"].split())
                made["turns"].append(
                    {"dialogue": key, "agent": turn["id"], "words": words, "action": action, "text": turn["text"]}
                )
    relations = [Relation("dialogues", "dialogue", child, "dialogue") for child in ("participants", "turns")]
    return made, relations, [(relations[0], "points", "points"), (relations[1], "deal", "action")]


def traits(person: dict[str, Any]) -> dict[str, Any]:
    """Return what is said of a participant."""
    about, outcome = person["demographics"], person["outcomes"]
    wanted = {issue: level for level, issue in person["value2issue"].items()}
    return {
        "age": about["age"],
        "gender": about["gender"],
        "education": about["education"],
        "svo": person["personality"]["svo"],
        "food": wanted["Food"],
        "points": outcome["points_scored"],
        "satisfaction": outcome["satisfaction"],
    }


def sgd() -> tuple[Tables, list[Relation], list[Pair]]:
    """Return service dialogues, their turns, and the slots of the turns."""
    made: Tables = {"dialogues": [], "turns": [], "slots": []}
    for file in sorted((DATA / "sgd").glob("*_dialogues_*.json")):
        for row in json.loads(file.read_text()):
            key = f"{file.stem}/{row['dialogue_id']}"
            made["dialogues"].append({"dialogue": key, "services": len(row["services"]), "first": row["services"][0]})
            for number, turn in enumerate(row["turns"]):
                name, frame = f"{key}#{number:03d}", turn["frames"][0]
                act = frame["actions"][0]["act"] if frame.get("actions") else None
                made["turns"].append(
                    {"turn": name, "dialogue": key, "speaker": turn["speaker"], "act": act, "service": frame["service"]}
                    | {"utterance": turn["utterance"]}
                )
                made["slots"] += [
                    {"turn": name, "slot": slot["slot"], "length": slot["exclusive_end"] - slot["start"]}
                    for each in turn["frames"]
                    for slot in each.get("slots", ())
                    if "start" in slot
                ]
    relations = [Relation("dialogues", "dialogue", "turns", "dialogue"), Relation("turns", "turn", "slots", "turn")]
    pairs = [(relations[0], "first", "service"), (relations[1], "act", "slot"), (relations[1], "service", "slot")]
    return made, relations, pairs


def cfpb() -> tuple[Tables, list[Relation], list[Pair]]:
    """Return companies and the complaints about them."""
    with (DATA / "cfpb_complaints" / "complaints_sample.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file.readlines()[2:]))
    groups: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        groups[row["Company"]].append(row)
    companies = [
        {"company": name, "sector": Counter(row["Product"] for row in some).most_common(1)[0][0]}
        for name, some in groups.items()
    ]
    columns = ("Complaint ID", "Date received", "Product", "Issue", "State", "Submitted via")
    columns += ("Company response to consumer", "Timely response?", "Company", "Consumer complaint narrative")
    complaints = [{name: row[name] or None for name in columns} for row in rows]
    relation = Relation("companies", "company", "complaints", "Company")
    return {"companies": companies, "complaints": complaints}, [relation], [(relation, "sector", "Product")]


SETS: dict[str, Callable[[], tuple[Tables, list[Relation], list[Pair]]]] = {"casino": casino, "sgd": sgd, "cfpb": cfpb}


def variation(one: Iterable[Hashable], other: Iterable[Hashable]) -> float:
    """Return the total variation distance of two empirical distributions."""
    a, b = Counter(one), Counter(other)
    return sum(abs(a[key] / a.total() - b[key] / b.total()) for key in a | b) / 2


def counts(tables: Tables, relation: Relation) -> list[int]:
    """Return the number of children of each parent."""
    found = Counter(row[relation.child_key] for row in tables[relation.child])
    return [found[row[relation.parent_key]] for row in tables[relation.parent]]


def pairs(tables: Tables, pair: Pair) -> list[tuple[Hashable, Hashable]]:
    """Return a parent's value with each child's."""
    relation, above, below = pair
    values = {row[relation.parent_key]: row.get(above) for row in tables[relation.parent]}
    return [(values[row[relation.child_key]], row.get(below)) for row in tables[relation.child]]


def conditional(made: list[tuple[Hashable, Hashable]], real: list[tuple[Hashable, Hashable]]) -> tuple[float, float]:
    """Return how far a child's column given its parent's lies from the real one, and the share of real rows not compared.

    The first is the mean of the distances over the real rows whose parent's value was made at all.
    """
    ours, theirs = defaultdict[Hashable, list[Hashable]](list), defaultdict[Hashable, list[Hashable]](list)
    for some, group in ((made, ours), (real, theirs)):
        for above, below in some:
            group[above].append(below)
    known = {above: some for above, some in theirs.items() if ours[above]}
    weight = sum(map(len, known.values()))
    far = sum(variation(ours[above], some) * len(some) for above, some in known.items())
    return far / max(1, weight), 1 - weight / len(real)


def shuffled(found: list[tuple[Hashable, Hashable]], random: np.random.Generator) -> list[tuple[Hashable, Hashable]]:
    """Return the pairs with their second parts exchanged at random."""
    order = random.permutation(len(found)).tolist()
    return [(one, found[place][1]) for (one, _), place in zip(found, order, strict=True)]


def part(tables: Tables, learned: RelatedProfile, name: str, most: int) -> Tables:
    """Return one split as tables, cut to so many rows of the first one, chosen at random, with all that belongs to them."""
    rows = {table: [tables[table][n] for n in numbers.tolist()] for table, numbers in learned.split(name).items()}
    for number, table in enumerate(learned.tables):
        above = [relation for relation in learned.relations if relation.child == table]
        if above:
            keys = {row[above[0].parent_key] for row in rows[above[0].parent]}
            rows[table] = [row for row in rows[table] if row[above[0].child_key] in keys]
        elif number == 0:
            order = np.random.default_rng(SEED).permutation(len(rows[table]))[:most]
            rows[table] = [rows[table][n] for n in order.tolist()]
    return rows


def measure(name: str) -> dict[str, Any]:
    """Learn one set of tables, sample it and compare."""
    tables, relations, wanted = SETS[name]()
    start = time.perf_counter()
    learned = fit_related(tables, relations, seed=SEED)
    fitted = time.perf_counter() - start
    size = len(learned.split("report")[relations[0].parent])
    report = part(tables, learned, "report", size)
    train = part(tables, learned, "train", size)
    start = time.perf_counter()
    draws = [learned.sample(size, np.random.default_rng(seed)) for seed in range(DRAWS)]
    sampled = time.perf_counter() - start
    random = np.random.default_rng(SEED)
    result: dict[str, Any] = {"rows": {table: len(rows) for table, rows in tables.items()}, "parents compared": size}
    result |= {"fit seconds": round(fitted, 1), "seconds per sample": round(sampled / DRAWS, 2), "relations": []}
    for facts in learned.facts:
        relation, real = facts.relation, counts(report, facts.relation)
        made = [counts(draw, relation) for draw in draws]
        result["relations"].append(
            {
                "relation": str(relation),
                "resolved": mean(resolved(draw, relation) for draw in draws),
                "fresh": mean(fresh(draw, tables, relation) for draw in draws),
                "children TVD": round(mean(variation(each, real) for each in made), 3),
                "children TVD real": round(variation(counts(train, relation), real), 3),
                "children mean": round(mean(mean(each) for each in made), 2),
                "children mean real": round(mean(real), 2),
                "children range": [min(map(min, made)), max(map(max, made))],
                "children range real": [min(real), max(real)],
            }
        )
    result["pairs"] = [compare(draws, train, report, pair, random) for pair in wanted]
    return result


def compare(
    draws: list[Tables], train: Tables, report: Tables, pair: Pair, random: np.random.Generator
) -> dict[str, Any]:
    """Return the distances of a child's column given one of its parent's."""
    real, made = pairs(report, pair), [pairs(draw, pair) for draw in draws]
    found = {
        "": [conditional(each, real) for each in made],
        " real": [conditional(pairs(train, pair), real)],
        " shuffled": [conditional(shuffled(each, random), real) for each in made],
    }
    result: dict[str, Any] = {"pair": f"{pair[0].parent}.{pair[1]} → {pair[0].child}.{pair[2]}"}
    result |= {f"TVD{name}": round(mean(far for far, _ in some), 3) for name, some in found.items()}
    return result | {"not made": round(mean(lost for _, lost in found[""]), 3)}


def resolved(draw: Tables, relation: Relation) -> float:
    """Return the share of foreign keys that name exactly one parent row."""
    keys = Counter(row[relation.parent_key] for row in draw[relation.parent])
    return mean(keys[row[relation.child_key]] == 1 for row in draw[relation.child])


def fresh(draw: Tables, tables: Tables, relation: Relation) -> float:
    """Return the share of parent keys that no real row has."""
    real = {row[relation.parent_key] for row in tables[relation.parent]}
    return mean(row[relation.parent_key] not in real for row in draw[relation.parent])


def main() -> int:
    """Measure the sets, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", choices=[*SETS, []], help="which; all by default")
    chosen = parser.parse_args().sets or list(SETS)
    found = {name: measure(name) for name in chosen}
    good = True
    for name, result in found.items():
        rows = ", ".join(f"{count:,} {table}" for table, count in result["rows"].items())
        print(f"{name}: {rows}; fit {result['fit seconds']} s, a sample {result['seconds per sample']} s")
        for each in result["relations"]:
            good &= each["resolved"] == each["fresh"] == 1
            print(f"  {each['relation']}: resolved {each['resolved']:.1%}, fresh {each['fresh']:.1%}")
            print(f"    children TVD {each['children TVD']} (real {each['children TVD real']})", end=", ")
            print(f"mean {each['children mean']} (real {each['children mean real']})", end=", ")
            print(f"range {each['children range']} (real {each['children range real']})")
        for each in result["pairs"]:
            print(
                f"  {each['pair']}: TVD {each['TVD']} (real {each['TVD real']}, shuffled {each['TVD shuffled']})",
                end="",
            )
            print(f", {each['not made']:.1%} of real rows have a parent's value that is too rare to be made")
    if len(chosen) == len(SETS):
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
