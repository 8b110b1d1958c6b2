"""Which measure of texts sees which failure? Real texts are spoilt in twelve known ways and every measure looks at each.

Complaints to the CFPB (public domain) of at least 60 words, near-duplicates kept together, in three equal parts: train,
holdout, and fresh ones. The fresh ones stand for a perfect generator and must pass every gate; each of the others
must fail at least one. Gates were set on split 0; what is reported comes from other splits.

    python evals/text_measures.py                 # splits 1 to 3, about 8 minutes; writes evals/results/text_measures.json
    python evals/text_measures.py --splits 0      # the split the gates were set on; writes nothing
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from textsynth import embeddings
from textsynth.measure.copying import identical, text_copying
from textsynth.measure.frechet import frechet
from textsynth.measure.mauve import mauve
from textsynth.measure.measured import Measured
from textsynth.measure.membership import text_membership, vector_membership
from textsynth.measure.memory import memorised, replayed
from textsynth.measure.neighbourhood import neighbourhood
from textsynth.measure.structure import structure, vocabulary, word_order
from textsynth.minhash import MinHashIndex

HERE = Path(__file__).resolve().parent
DATA = HERE.parent.parent / "shared" / "data" / "cfpb_complaints" / "complaints_sample.csv"
RESULTS = HERE / "results" / "text_measures.json"
WORDS = 60
COLUMNS = {
    "fidelity.text.precision": "prec",
    "fidelity.text.recall": "recall",
    "fidelity.text.density": "density",
    "fidelity.text.coverage": "cover",
    "fidelity.text.frechet": "Frechet",
    "fidelity.text.mauve": "MAUVE",
    "fidelity.text.word_order": "order",
    "privacy.closest_share": "closer",
    "privacy.authenticity": "authent",
    "privacy.nearer": "nearer",
    "privacy.ngrams": "8-grams",
    "privacy.passages": "13-grams",
    "privacy.membership.nearest": "MIA near",
    "privacy.membership.language_model": "MIA LM",
}
NEAR = 0.3


@dataclass(frozen=True)
class Text:
    """A narrative and its product."""

    text: str
    category: str


@dataclass(frozen=True)
class Split:
    """Three equal parts of the real texts."""

    train: list[Text]
    holdout: list[Text]
    fresh: list[Text]


def read(path: Path) -> list[Text]:
    with path.open(newline="", encoding="utf-8") as file:
        for _ in range(2):  # what unzip printed
            next(file)
        rows = list(csv.DictReader(file))
    texts = [Text(row["Consumer complaint narrative"], row["Product"]) for row in rows]
    return [text for text in texts if len(text.text.split()) >= WORDS]


def group(texts: Sequence[Text]) -> list[list[Text]]:
    """Return the texts in groups of near-duplicates."""
    index, leader, groups = MinHashIndex(threshold=NEAR), {}, defaultdict(list)
    for at, item in enumerate(texts):
        sketches = index.sketch([item.text], [at])
        match = index.query(sketches)[0]
        leader[at] = leader[match.id] if match else at
        index.add(sketches)
        groups[leader[at]].append(item)
    return list(groups.values())


def split(groups: list[list[Text]], seed: int) -> Split:
    order = np.random.default_rng(seed).permutation(len(groups))
    parts: list[list[Text]] = [[], [], []]
    for at in order:
        min(parts, key=len).extend(groups[at])
    size = min(len(part) for part in parts)
    return Split(*(part[:size] for part in parts))


def change_character(text: str, random: np.random.Generator) -> str:
    at = int(random.integers(len(text)))
    return text[:at] + ("!" if text[at] != "!" else ".") + text[at + 1 :]


def drop_words(text: str, share: float, random: np.random.Generator) -> str:
    words = text.split()
    return " ".join(word for word, keep in zip(words, random.random(len(words)) >= share, strict=True) if keep)


def shuffle_words(text: str, random: np.random.Generator) -> str:
    return " ".join(random.permutation(text.split()))


def markov(texts: Sequence[str], order: int, random: np.random.Generator) -> list[str]:
    """Return as many texts, each word drawn from those that follow the last ``order`` words somewhere."""
    follow, starts = defaultdict(list), []
    for text in texts:
        words = text.split()
        starts.append(tuple(words[:order]))
        for at in range(len(words) - order):
            follow[tuple(words[at : at + order])].append(words[at + order])
    found = []
    for text in texts:
        words = list(starts[random.integers(len(starts))])
        for _ in range(len(text.split()) - order):
            choices = follow.get(tuple(words[-order:]))
            if not choices:
                words += starts[random.integers(len(starts))]
                continue
            words.append(choices[random.integers(len(choices))])
        found.append(" ".join(words))
    return found


def recombine(texts: Sequence[str], random: np.random.Generator) -> list[str]:
    """Return texts of the same numbers of sentences, each sentence from anywhere."""
    sentences = [text.split(". ") for text in texts]
    pool = [sentence for some in sentences for sentence in some]
    return [". ".join(pool[at] for at in random.integers(len(pool), size=len(some))) for some in sentences]


def failures(parts: Split, seed: int) -> dict[str, list[str]]:
    """Return the fresh texts, and the train texts spoilt in every way."""
    random = np.random.default_rng([seed, 1])
    train, fresh = [item.text for item in parts.train], [item.text for item in parts.fresh]
    commonest = Counter(item.category for item in parts.fresh).most_common(1)[0][0]
    few = [fresh[at] for at in random.choice(len(fresh), 100, replace=False)]
    return {
        "fresh real": fresh,
        "copy": train,
        "one character": [change_character(text, random) for text in train],
        "10 % of words dropped": [drop_words(text, 0.1, random) for text in train],
        "30 % of words dropped": [drop_words(text, 0.3, random) for text in train],
        "words shuffled": [shuffle_words(text, random) for text in train],
        "fresh, shuffled": [shuffle_words(text, random) for text in fresh],
        "Markov 1": markov(train, 1, random),
        "Markov 2": markov(train, 2, random),
        "sentences recombined": recombine(train, random),
        "half copied": [*train[: len(train) // 2], *fresh[len(train) // 2 :]],
        "100 texts again": (few * (len(fresh) // len(few) + 1))[: len(fresh)],
        "one category": [item.text for item in parts.fresh if item.category == commonest],
    }


class Vectors:
    """Embeddings of texts, each computed once; kept in a file between runs if there is a folder for it."""

    def __init__(self, folder: str) -> None:
        self._path = Path(folder) / "text_measures.npz" if folder else None
        self._known: dict[str, np.ndarray] = {}
        if self._path and self._path.is_file():
            stored = np.load(self._path, allow_pickle=True)
            self._known = dict(zip(stored["texts"].tolist(), stored["vectors"], strict=True))

    def of(self, texts: Sequence[str]) -> np.ndarray:
        """Return one row per text."""
        missing = sorted({text for text in texts if text not in self._known})
        if missing:
            self._known.update(zip(missing, embeddings.load().take(missing), strict=True))
            if self._path:
                texts_known = np.array(list(self._known), dtype=object)
                np.savez(self._path, texts=texts_known, vectors=np.stack(list(self._known.values())))
        return np.stack([self._known[text] for text in texts])


def measure(synthetic: list[str], train: list[str], holdout: list[str], vectors: Vectors) -> list[Measured]:
    s, t, h = vectors.of(synthetic), vectors.of(train), vectors.of(holdout)
    return [
        *neighbourhood(s, t, h),
        *frechet(s, t, h),
        *mauve(s, t, h),
        *structure(synthetic, train, holdout),
        *word_order(synthetic, train, holdout),
        *vocabulary(synthetic, train, holdout),
        *text_copying(s, t, h),
        *identical(synthetic, train, holdout),
        *memorised(synthetic, train, holdout),
        *replayed(synthetic, train, holdout),
        *vector_membership(s, t, h),
        *text_membership(synthetic, train, holdout),
    ]


def run(groups: list[list[Text]], seed: int, vectors: Vectors) -> list[dict]:
    parts = split(groups, seed)
    train, holdout = [item.text for item in parts.train], [item.text for item in parts.holdout]
    found = []
    for name, texts in failures(parts, seed).items():
        started = time.perf_counter()
        values = measure(texts, train, holdout, vectors)
        row = {
            "split": seed,
            "set": name,
            "texts": len(texts),
            "seconds": round(time.perf_counter() - started, 1),
            "values": {v.name: v.value for v in values},
            "real": {v.name: v.real for v in values},
            "flagged": [v.name for v in values if v.passed is False],
        }
        found.append(row)
        show(row, values)
    return found


def show(row: dict, values: Sequence[Measured]) -> None:
    print(f"\n{row['set']} (split {row['split']}, {row['texts']} texts, {row['seconds']} s)")
    for v in values:
        gate = v.gate and f"[{_short(v.gate.low)}, {_short(v.gate.high)}]"
        mark = "!!" if v.passed is False else "  "
        print(f"  {mark} {v.name:38} {_short(v.value):>8} real {_short(v.real):>8} {gate or ''}")


def show_table(rows: Sequence[dict], names: Sequence[str]) -> None:
    """Print the main measures of every set, mean of the splits; first what the holdout scores in its place."""
    print(f"\n{'':24}" + "".join(f"{short:>9}" for short in COLUMNS.values()))
    fresh = [row for row in rows if row["set"] == "fresh real"]
    print(f"{'(holdout)':24}" + "".join(_mean(fresh, "real", name) for name in COLUMNS))
    for name in names:
        mine = [row for row in rows if row["set"] == name]
        print(f"{name:24}" + "".join(_mean(mine, "values", column) for column in COLUMNS))


def _mean(rows: Sequence[dict], part: str, name: str) -> str:
    values = [row[part][name] for row in rows]
    return f"{'' if None in values else format(np.mean(values), '.3f'):>9}"


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splits", default="1,2,3")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--keep", default="", help="a folder for embeddings, so that the next run is faster")
    options = parser.parse_args()
    groups = group(read(options.data))
    print(f"{sum(map(len, groups))} texts in {len(groups)} groups of near-duplicates")
    vectors, rows = Vectors(options.keep), []
    for seed in map(int, options.splits.split(",")):
        rows += run(groups, seed, vectors)
    names = list(dict.fromkeys(row["set"] for row in rows))
    show_table(rows, names)
    print("\nset: splits in which it was flagged, and by what at least once")
    for name in names:
        mine = [row for row in rows if row["set"] == name]
        by = Counter(flag for row in mine for flag in row["flagged"])
        print(f"  {name:24} {sum(bool(row['flagged']) for row in mine)}/{len(mine)}  {', '.join(by)}")
    if options.splits == "1,2,3":
        RESULTS.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
