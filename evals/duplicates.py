"""How good and how fast is the search for near-duplicates, beside rensa, gaoya and datasketch?

    python evals/duplicates.py --data ../shared/data            # 100,000 documents
    python evals/duplicates.py --million                        # and 1,000,000

Documents are bigram Markov text learnt from real English (complaints and PEPs), 50 to 300 words. A fifth are edited copies of
another one: words substituted, deleted or inserted until the Jaccard similarity of the two sets of word 3-grams is near one of
ten levels, .50 to .95; the true similarity of every planted pair is then computed exactly, on the strings. A document counts
as a duplicate if the original it was copied from is at least .8 similar.

Recall: planted duplicates that are flagged. Precision: flagged documents whose named culprit truly is at least .8 similar.
Everything runs on one thread. Figures go to ``results/duplicates.json``.
"""

from __future__ import annotations

import argparse
import csv
import ctypes
import json
import random
import resource
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from textsynth.filters import Setting
from textsynth.filters.near_duplicate import NearDuplicate
from textsynth.records import Candidate, Draw
from textsynth.schema import RecordSchema

LEVELS = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
SCHEMA = RecordSchema({"type": "object", "properties": {"text": {"type": "string"}}})


@dataclass
class Planted:
    """A document made from another: the numbers of both, and how similar they truly are."""

    copy: int
    original: int
    jaccard: float


@dataclass
class Row:
    """What one method did."""

    method: str
    documents: int
    docs_per_second: float
    recall: float
    recall_80_85: float
    precision: float
    megabytes: float
    worst_window_us: float = 0.0


def words_of(folder: Path) -> list[str]:
    """Return real English as one list of words."""
    with (folder / "cfpb_complaints" / "complaints_sample.csv").open(newline="", encoding="utf-8") as lines:
        for _ in range(2):
            next(lines)
        found = [row["Consumer complaint narrative"] for row in csv.DictReader(lines)]
    found += [path.read_text(encoding="utf-8") for path in sorted((folder / "peps").glob("*.rst"))]
    return " ".join(found).split()


def make_corpus(words: list[str], count: int, rng: random.Random) -> tuple[list[str], list[Planted]]:
    """Return documents in random order, and the planted pairs."""
    follow = defaultdict(list)
    for one, other in pairwise(words):
        follow[one].append(other)
    documents = [markov(words, follow, rng) for _ in range(count * 4 // 5)]
    pairs = []
    originals = rng.sample(
        range(len(documents)), count - len(documents)
    )  # one copy each: copies of copies blur the truth
    for number, original in enumerate(originals):
        copy = edit(documents[original], LEVELS[number % len(LEVELS)], words, rng)
        pairs.append((len(documents), original))
        documents.append(copy)
    order = list(range(count))
    rng.shuffle(order)
    place = {old: new for new, old in enumerate(order)}
    texts = [" ".join(documents[old]) for old in order]
    return texts, [Planted(place[c], place[o], jaccard(texts[place[c]], texts[place[o]])) for c, o in pairs]


def markov(words: list[str], follow: dict[str, list[str]], rng: random.Random) -> list[str]:
    found = [rng.choice(words)]
    for _ in range(rng.randint(50, 300) - 1):
        found.append(rng.choice(follow.get(found[-1]) or words))
    return found


def edit(original: list[str], level: float, words: list[str], rng: random.Random) -> list[str]:
    """Change as many words as bring the similarity near ``level``: each takes about three shingles."""
    found = list(original)
    for _ in range(max(1, round(len(found) * (1 - level) / (3 * (1 + level))))):
        at, kind = rng.randrange(len(found)), rng.random()
        if kind < 0.7:
            found[at] = rng.choice(words)
        elif kind < 0.85 and len(found) > 10:
            del found[at]
        else:
            found.insert(at, rng.choice(words))
    return found


def shingles(text: str) -> set[str]:
    """Return the word 3-grams of a text, as the filter reads words."""
    from textsynth.text import words

    parts = words(text)
    return {" ".join(parts[at : at + 3]) for at in range(len(parts) - 2)}


def jaccard(one: str, other: str) -> float:
    a, b = shingles(one), shingles(other)
    return len(a & b) / (len(a | b) or 1)


@dataclass
class Judged:
    """Whom each flagged document repeats, the seconds of each window, and the megabytes the process grew by."""

    found: dict[int, int]
    seconds: list[float]
    megabytes: float


def ours(texts: Sequence[str], window: int = 256) -> Judged:
    """Judge and remember the documents, window by window."""
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    before = resident()
    judging = NearDuplicate()
    judging.prepare(Setting(SCHEMA, (), ("text",)))
    found, seconds = {}, []
    for start in range(0, len(texts), window):
        chunk = texts[start : start + window]
        batch = [Candidate(Draw(start + at, 0, {}, (), 0), {"text": text}) for at, text in enumerate(chunk)]
        began = time.perf_counter()
        answers = judging.check(batch)
        judging.keep([item for item, answer in zip(batch, answers, strict=True) if answer is None])
        seconds.append(time.perf_counter() - began)
        found |= {c.draw.index: int(a.culprit) for c, a in zip(batch, answers, strict=True) if a is not None}
    return Judged(found, seconds, resident() - before)


def with_datasketch(texts: Sequence[str]) -> dict[int, int]:
    """datasketch with the bands that keep recall (21 x 6), candidates verified by its own estimate."""
    from datasketch import MinHash, MinHashLSH

    index, kept, found = MinHashLSH(params=(21, 6), num_perm=126), {}, {}
    for number, text in enumerate(texts):
        sketch = MinHash(num_perm=126)
        sketch.update_batch([s.encode() for s in shingles(text)])
        near = [(sketch.jaccard(kept[k]), -k) for k in index.query(sketch)]
        best = max(near, default=(0.0, 0))
        if best[0] >= 0.8:
            found[number] = -best[1]
        else:
            index.insert(number, sketch)
            kept[number] = sketch
    return found


def with_gaoya(texts: Sequence[str]) -> dict[int, int]:
    from gaoya.minhash import MinHashStringIndex

    index, found = MinHashStringIndex(32, 0.8, 21, 6, None, "word", True, (3, 3)), {}
    for number, text in enumerate(texts):
        near = index.query(text)
        if near:
            found[number] = int(min(near))
        else:
            index.insert_document(number, text)
    return found


def with_rensa(texts: Sequence[str]) -> dict[int, int]:
    from rensa import RMinHash, RMinHashDeduplicator

    index, found = RMinHashDeduplicator(0.8, 128, True, 16), {}
    for number, text in enumerate(texts):
        sketch = RMinHash(num_perm=128, seed=42)
        parts = text.lower().split()
        sketch.update([" ".join(parts[at : at + 3]) for at in range(len(parts) - 2)])
        near = index.get_duplicates(sketch)
        if near:
            found[number] = min(map(int, near))
        else:
            index.add(str(number), sketch)
    return found


PEERS: dict[str, Callable[[Sequence[str]], dict[int, int]]] = {
    "datasketch 21x6, sketch-verified": with_datasketch,
    "gaoya 21x6": with_gaoya,
    "rensa 16 bands, sketch-verified": with_rensa,
}


def score(
    method: str, texts: Sequence[str], pairs: Sequence[Planted], found: dict[int, int], seconds: float, mb: float
) -> Row:
    """Compare what was flagged with what was planted; of a pair the later one is to be flagged."""
    wanted = [(max(p.copy, p.original), p.jaccard) for p in pairs if p.jaccard >= 0.8]
    edge = [number for number, similarity in wanted if similarity < 0.85]
    right = sum(jaccard(texts[number], texts[culprit]) >= 0.8 for number, culprit in found.items())
    return Row(
        method,
        len(texts),
        len(texts) / seconds,
        sum(number in found for number, _ in wanted) / len(wanted),
        sum(number in found for number in edge) / max(1, len(edge)),
        right / max(1, len(found)),
        mb,
    )


def resident() -> float:
    """Return this process's resident memory in MB."""
    with Path("/proc/self/statm").open() as facts:
        return int(facts.read().split()[1]) * resource.getpagesize() / 1e6


def measure(texts: Sequence[str], pairs: Sequence[Planted]) -> Row:
    judged = ours(texts)
    row = score("textsynth near_duplicate", texts, pairs, judged.found, sum(judged.seconds), judged.megabytes)
    row.worst_window_us = max(judged.seconds) / 256 * 1e6
    return row


def streaming(words: list[str], rng: random.Random) -> dict[str, float]:
    """Insert and query short records (12 words), 64 at a time, into a growing index of 100,000."""
    texts = [" ".join(rng.choices(words, k=12)) for _ in range(100_000)]
    seconds = ours(texts, window=64).seconds
    each = sorted(s / 64 * 1e6 for s in seconds[len(seconds) // 2 :])
    return {"p50_us": each[len(each) // 2], "p99_us": each[len(each) * 99 // 100]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--peer-documents", type=int, default=10_000)
    parser.add_argument(
        "--million", action="store_true", help="also 1,000,000 documents, without peers (8 minutes, 6 GB)"
    )
    given = parser.parse_args()
    rng = random.Random(0)
    words = words_of(given.data)
    texts, pairs = make_corpus(words, given.documents, rng)
    print(
        f"{len(texts)} documents, {sum(map(len, texts)) / 1e6:.0f} MB, {sum(p.jaccard >= 0.8 for p in pairs)} pairs at .8 or more"
    )
    rows = [measure(texts, pairs)]
    small, few = make_corpus(words, given.peer_documents, rng)
    rows.append(measure(small, few))
    for name, run in PEERS.items():
        before, began = resident(), time.perf_counter()
        found = run(small)
        rows.append(score(name, small, few, found, time.perf_counter() - began, resident() - before))
    for row in rows:
        print(asdict(row))
    flow = streaming(words, rng)
    print(flow)
    results = {
        "words_mean": sum(len(t.split()) for t in texts) / len(texts),
        "rows": [asdict(r) for r in rows],
        "streaming": flow,
    }
    if given.million:
        texts, pairs = make_corpus(words, 1_000_000, rng)
        results["million"] = asdict(measure(texts, pairs))
        print(results["million"])
    (Path(__file__).parent / "results" / "duplicates.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
