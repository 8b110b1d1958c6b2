"""Does `contamination` find benchmark items planted into other texts, and what does it cost at half a million n-grams?

Items of three public sets are planted into real text of others: word for word, in other case and punctuation, with one or
two words changed, in part, and (PAWS) as the paraphrase people wrote or approved. Beside it, the same rule as it is
usually written: a Python dict of tuples of words. The rules are those of the literature; nothing was tuned here.

    python evals/contamination.py                        # about 1 minute; writes evals/results/contamination.json
    python evals/contamination.py --embeddings default   # with the embedding rule as a further line, some minutes more
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import re
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from textsynth import registry
from textsynth.filters import Setting
from textsynth.records import Candidate, Draw
from textsynth.schema import RecordSchema

HERE = Path(__file__).resolve().parent
DATA = HERE.parent.parent / "shared" / "data"
RESULTS = HERE / "results" / "contamination.json"
WINDOW = 64
SCHEMA = RecordSchema({"type": "object", "properties": {"text": {"type": "string"}}})
METHODS: dict[str, dict[str, Any]] = {
    "default (n 13)": {},
    "n 8": {"n": 8},
    "n 3, threshold .6": {"n": 3, "threshold": 0.6},
}
SIZES = (("4-7 words", 4, 7), ("8-12 words", 8, 12), ("13+ words", 13, 10**6))


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--data", type=Path, default=DATA)
    asked.add_argument("--embeddings")
    asked.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    told = asked.parse_args()
    if told.child:
        print(json.dumps(cost(*told.child)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = {"quality": quality(told.data, folder, told.embeddings), "cost": costs(told.data, folder)}
    print(tables(found))
    if not told.embeddings:
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")


# Quality ------------------------------------------------------------------------------------------------------------


def quality(data: Path, folder: Path, embeddings: str | None) -> dict[str, Any]:
    """Return, by benchmark, kind and length of item, how many were planted, found, and named rightly."""
    rng = random.Random(5)
    sets = benchmarks(data)
    hosts = host_texts(data)
    found: dict[str, Any] = {}
    for name, items in sets.items():
        write_rows(folder / f"{name}.jsonl", [{"text": item} for item, _ in items])
        methods: dict[str, Callable[[Sequence[str]], list[str | None]]] = {
            **{method: checker(folder, name, **options) for method, options in METHODS.items()},
            "naive tuples": Naive([item for item, _ in items], name).check,
        }
        if embeddings:
            methods["with embeddings"] = checker(folder, name, embeddings=embeddings)
        planted = list(plant(rng, items, hosts))
        clean = hosts[:4000]
        kin = banking_train(data) if name == "banking77" else []
        found[name] = {
            method: score(check, planted, clean, kin, name, [item for item, _ in items])
            for method, check in methods.items()
        }
    return found


def benchmarks(data: Path) -> dict[str, list[tuple[str, str]]]:
    """Return items with a paraphrase each, where there is one."""
    with (data / "banking77" / "test.csv").open(newline="") as lines:
        banking = [(row["text"].strip(), "") for row in csv.DictReader(lines)]
    tasks = [json.loads(line) for line in (data / "self_instruct" / "seed_tasks.jsonl").open()]
    pairs = [line.split("\t") for line in (data / "pawsx_en" / "dev-en.tsv").read_text().splitlines()]
    sets = {
        "banking77": banking,
        "self_instruct": [(task["instruction"], "") for task in tasks],
        "paws": [(pair[0], pair[1]) for pair in pairs if pair[2].strip() == "1"],
    }
    return {name: list(dict(rows).items())[:1200] for name, rows in sets.items()}


def host_texts(data: Path) -> list[str]:
    """Return real texts of other sets, short and long: SMS and complaints (their first 150 words)."""
    sms = (data / "sms_spam" / "SMSSpamCollection").read_text().splitlines()
    texts = [line.split("\t", 1)[1] for line in sms] + [" ".join(text.split()[:150]) for text in complaints(data)]
    texts = list(dict.fromkeys(text for text in texts if len(text.split()) >= 4))
    random.Random(1).shuffle(texts)
    return texts


def banking_train(data: Path) -> list[str]:
    """Return texts that speak of the same as the benchmark and are, as a rule, other texts."""
    with (data / "banking77" / "train.csv").open(newline="") as lines:
        return [row["text"].strip() for row in csv.DictReader(lines)]


def complaints(data: Path) -> list[str]:
    """Return the narratives of the consumer complaints; before the header stand two lines of an archive program."""
    with (data / "cfpb_complaints" / "complaints_sample.csv").open(newline="") as lines:
        next(lines), next(lines)
        return [row["Consumer complaint narrative"] for row in csv.DictReader(lines)]


def plant(rng: random.Random, items: list[tuple[str, str]], hosts: list[str]) -> Iterator[tuple[str, int, str]]:
    """Yield (kind, row of the item, text): each item in each kind, inside a host text or (alone) as the whole text."""
    for row, (item, paraphrase) in enumerate(items):
        if len(tokens(item)) < 4:
            continue
        variants = {
            "verbatim": item,
            "case and punctuation": re.sub(r"[,.;:!?]", " -", item).upper(),
            "one word changed": edit(rng, item, 1),
            "two words changed": edit(rng, item, 2),
            "first half": " ".join(item.split()[: (len(item.split()) + 1) // 2]),
            **({"paraphrase": paraphrase} if paraphrase else {}),
        }
        yield "alone", row, item
        for kind, text in variants.items():
            host = rng.choice(hosts).split()
            at = rng.randrange(len(host) + 1)
            yield kind, row, " ".join([*host[:at], text, *host[at:]])


def edit(rng: random.Random, text: str, count: int) -> str:
    """Replace, delete or insert words at random places."""
    found = text.split()
    for _ in range(count):
        at = rng.randrange(len(found))
        found[at : at + 1] = rng.choice([["thing"], [], [found[at], "also"]])
    return " ".join(found)


def score(
    check: Callable[[Sequence[str]], list[str | None]],
    planted: list[tuple[str, int, str]],
    clean: list[str],
    kin: list[str],
    name: str,
    items: list[str],
) -> dict[str, Any]:
    """Return counts by kind and length, and the false alarms on texts with nothing planted."""
    rows: dict[str, dict[str, int]] = {}
    answers = check([text for _, _, text in planted])
    alarms = check(clean)
    for (kind, row, _), answer in zip(planted, answers, strict=True):
        words = len(tokens(items[row]))
        size = next(label for label, low, high in SIZES if low <= words <= high)
        cell = rows.setdefault(f"{kind} | {size}", {"planted": 0, "found": 0, "named": 0})
        cell["planted"] += 1
        cell["found"] += answer is not None
        cell["named"] += answer == f"{name}:{row}"
    shown = [(answer, text[:200]) for answer, text in zip(alarms, clean, strict=True) if answer]
    alike = [(answer, text) for answer, text in zip(check(kin), kin, strict=True) if answer]
    return {
        "rows": rows,
        "clean": len(clean),
        "alarms": len(shown),
        "alarm_examples": shown[:5],
        "kin": len(kin),
        "kin_found": len(alike),
        "kin_examples": [(text, items[int(answer.split(":")[1])]) for answer, text in alike[:12]],
    }


def checker(folder: Path, name: str, **options: Any) -> Callable[[Sequence[str]], list[str | None]]:
    """Return a function from texts to culprits, window by window."""
    made = prepared(folder, {name: f"{name}.jsonl"}, **options)
    made.start()

    def check(texts: Sequence[str]) -> list[str | None]:
        found: list[str | None] = []
        for batch in windows(texts):
            made.begin(batch)
            found += [answer and answer.culprit for answer in made.check(batch)]
        return found

    return check


def prepared(folder: Path, named: dict[str, str], **options: Any) -> Any:
    cls = registry.load("filters", "contamination", place="filters[0]")
    made = registry.build(cls, {"benchmarks": named, **options}, place="filters[0].contamination")
    made.prepare(replace(Setting(SCHEMA, (), ("text",)), folder=folder))
    return made


def windows(texts: Sequence[str]) -> list[list[Candidate]]:
    made = [Candidate(Draw(at, at // WINDOW, {}, (), at), {"text": text}) for at, text in enumerate(texts)]
    return [made[at : at + WINDOW] for at in range(0, len(made), WINDOW)]


# The usual way ------------------------------------------------------------------------------------------------------


def tokens(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


class Naive:
    """A dict from tuples of min(13, length) words to the first item that has them, lengths from 8 (Brown et al. 2020)."""

    def __init__(self, items: Sequence[str], name: str, *, n: int = 13, shortest: int = 8) -> None:
        self.name, self.grams = name, dict[tuple[str, ...], int]()
        self.orders = set[int]()
        for row, item in enumerate(items):
            found = tokens(item)
            order = min(n, len(found))
            if order >= shortest:
                self.orders.add(order)
                for at in range(len(found) - order + 1):
                    self.grams.setdefault(tuple(found[at : at + order]), row)

    def check(self, texts: Sequence[str]) -> list[str | None]:
        """Return the first item that each text shares a tuple with."""
        return [self.find(tokens(text)) for text in texts]

    def find(self, found: list[str]) -> str | None:
        """Look up every tuple of one text, in every length."""
        for order in self.orders:
            for at in range(len(found) - order + 1):
                row = self.grams.get(tuple(found[at : at + order]))
                if row is not None:
                    return f"{self.name}:{row}"
        return None


# Cost ---------------------------------------------------------------------------------------------------------------


def costs(data: Path, folder: Path) -> list[dict[str, Any]]:
    """Measure memory and time at a million reference n-grams, each method in a process of its own."""
    write_rows(folder / "million.jsonl", [{"text": text} for text in million_words(data)])
    hosts = host_texts(data)
    write_rows(folder / "short.jsonl", [{"text": text} for text in banking_train(data)[:4096]])
    write_rows(folder / "mixed.jsonl", [{"text": text} for text in hosts[:4096]])
    found = []
    for records in ("short", "mixed"):
        for method in (*METHODS, "naive tuples"):
            command = [sys.executable, __file__, "--child", method, str(folder), records]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found.append(json.loads(done.stdout.splitlines()[-1]))
    return found


def million_words(data: Path) -> list[str]:
    """Return pieces of 8 to 80 words of real text (PEPs, dialogues, PII sets, complaints beyond their 150th word)."""
    texts = [path.read_text() for path in sorted((data / "peps").glob("*.rst"))]
    for path in sorted((data / "casino").glob("*.json")):
        texts += [chat["text"] for talk in json.loads(path.read_text()) for chat in talk["chat_logs"]]
    for name in ("generated_large", "synth_dataset_v2"):
        texts += [row["full_text"] for row in json.loads((data / "presidio_research" / f"{name}.json").read_text())]
    for path in sorted((data / "multidogo").glob("*.tsv")):
        texts += [line.split("\t")[3] for line in path.read_text().splitlines() if line.count("\t") >= 3]
    texts += [" ".join(text.split()[150:]) for text in complaints(data)]
    found, rng, pieces, at = " ".join(texts).split(), random.Random(2), [], 0
    while at < len(found):
        size = rng.randint(8, 80)
        pieces.append(" ".join(found[at : at + size]))
        at += size
    return pieces


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def cost(method: str, folder: str, records: str) -> dict[str, Any]:
    """Build the index in this process and look the records up: CPU seconds, the best of 3; then build it traced."""
    texts = [json.loads(line)["text"] for line in (Path(folder) / f"{records}.jsonl").open()]
    batches = windows(texts)

    def build() -> tuple[Callable[[], Any], int]:
        if method == "naive tuples":
            items = [json.loads(line)["text"] for line in (Path(folder) / "million.jsonl").open()]
            naive = Naive(items, "million")
            return lambda: naive.check(texts), len(naive.grams)
        made = prepared(Path(folder), {"million": "million.jsonl"}, **METHODS[method])
        made.check(batches[0])  # the index is sorted when first asked
        return lambda: [made.check(batch) for batch in batches], len(made._passages)

    began = time.process_time()
    look_up, grams = build()
    built, spent = time.process_time() - began, []
    for _ in range(3):
        began = time.process_time()
        look_up()
        spent.append(time.process_time() - began)
    del look_up
    tracemalloc.start()
    kept = build()
    live, peak = tracemalloc.get_traced_memory()
    grams = kept[1]
    return {
        "method": method,
        "records": records,
        "mean_words": round(sum(len(text.split()) for text in texts) / len(texts), 1),
        "grams": grams,
        "build_s": round(built, 2),
        "bytes_a_gram": round(live / grams, 1),
        "peak_bytes_a_gram": round(peak / grams, 1),
        "us_a_record": round(min(spent) / len(texts) * 1e6, 1),
    }


# Report -------------------------------------------------------------------------------------------------------------


def tables(found: dict[str, Any]) -> str:
    lines = []
    for name, methods in found["quality"].items():
        heads = [f"{m}: found (named)" for m in methods]
        lines += ["", f"{name}", "", f"| planted | n | {' | '.join(heads)} |", "|" + "---|" * (len(heads) + 2)]
        for row, cell in next(iter(methods.values()))["rows"].items():
            cells = [method["rows"][row] for method in methods.values()]
            shares = " | ".join(f"{c['found'] / c['planted']:.3f} ({c['named'] / c['planted']:.3f})" for c in cells)
            lines.append(f"| {row.replace(' | ', ', ')} | {cell['planted']} | {shares} |")
        kin = next(iter(methods.values()))["kin"]
        if kin:
            shares = " | ".join(str(method["kin_found"]) for method in methods.values())
            lines.append(f"| nothing, but the train split of the same set (found) | {kin} | {shares} |")
        alarms = " | ".join(str(method["alarms"]) for method in methods.values())
        lines.append(f"| nothing (alarms) | {next(iter(methods.values()))['clean']} | {alarms} |")
    lines += ["", "| method | records, mean words | n-grams | build CPU s | bytes an n-gram (peak) | µs a record |"]
    lines.append("|---|---|---|---|---|---|")
    for c in found["cost"]:
        memory_used = f"{c['bytes_a_gram']} ({c['peak_bytes_a_gram']})"
        lines.append(
            f"| {c['method']} | {c['records']}, {c['mean_words']} | {c['grams']:,} | {c['build_s']} | {memory_used} "
            f"| {c['us_a_record']} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
