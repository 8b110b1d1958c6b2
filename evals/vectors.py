"""Are nearest neighbours found, how fast, and what does embedding cost?

    python evals/vectors.py --data ../shared/data

12,000 real short texts (bank queries, SMS, customer turns) are embedded by MiniLM; pairs of them are mixed to make
100,000 and 200,000 vectors, as in natural data not spread evenly. "Near" queries have a cosine of about .93 to a stored
vector, "new" ones are fresh mixtures. Recall@1 is against brute force in float32. ``VectorIndex`` is exact up to 100,000, so
there it is asked twice: as it is, and with the approximate index forced. One BLAS thread would be set by OMP_NUM_THREADS.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import time
from pathlib import Path

import numpy as np

from textsynth import embeddings
from textsynth.vectors import VectorIndex

TEXTS = 12_000
"""Real texts embedded; more only take longer."""


def texts(folder: Path) -> list[str]:
    found = []
    for name in ("train.csv", "test.csv"):
        with (folder / "banking77" / name).open(newline="", encoding="utf-8") as lines:
            found += [row["text"] for row in csv.DictReader(lines)]
    sms = (folder / "sms_spam" / "SMSSpamCollection").read_text(encoding="utf-8").strip().split("\n")
    found += [line.partition("\t")[2] for line in sms]
    for file in sorted((folder / "multidogo").glob("*.tsv")):
        with file.open(newline="", encoding="utf-8") as lines:
            found += [row["utterance"] or "" for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)]
    distinct = list(dict.fromkeys(filter(None, found)))
    return random.Random(0).sample(distinct, min(TEXTS, len(distinct)))


def normalise(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def mix(real: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    one, other = (real[rng.integers(len(real), size=count)] for _ in range(2))
    return normalise(one + rng.uniform(0.2, 0.8, size=(count, 1)) * other)


def near(stored: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    rows = stored[rng.integers(len(stored), size=count)]
    noise = normalise(rng.normal(size=rows.shape))
    return normalise(rows + 0.39 * noise)


def recall(index: VectorIndex, stored: np.ndarray, queries: np.ndarray) -> dict[str, float]:
    truth = np.concatenate([(queries[at : at + 256] @ stored.T).argmax(axis=1) for at in range(0, len(queries), 256)])
    began, found = time.perf_counter(), []
    for at in range(0, len(queries), 64):
        found.append(index.search(queries[at : at + 64]).ids)
    took = time.perf_counter() - began
    return {"recall@1": float((np.concatenate(found) == truth).mean()), "query_us": 1e6 * took / len(queries)}


def rate(embedder: embeddings.Embedder, sample: list[str]) -> float:
    """Return texts a second; a letter in front makes them new to the embedder's memory."""
    began = time.perf_counter()
    embedder.take([f"a {text}" for text in sample])
    return len(sample) / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    given = parser.parse_args()
    rng, results = np.random.default_rng(0), {}
    real = texts(given.data)
    embedder = embeddings.Embedder("default", threads=1)
    embedder.start()
    vectors = embedder.take(real)
    results["embedding"] = {
        **embedder.facts,
        "texts": len(real),
        "mean_characters": float(np.mean([len(text) for text in real])),
        "texts_per_second_one_thread": rate(embedder, real[:1000]),
    }
    torch = embeddings.Embedder("default", backend="torch", threads=1)
    torch.start()
    results["embedding"]["torch_float32_per_second_one_thread"] = rate(torch, real[:1000])
    other = torch.take(real[:1000])
    results["embedding"]["cosine_to_float32_least"] = float((other * vectors[:1000]).sum(axis=1).min())
    torch.close()
    embedder.close()
    print(json.dumps(results["embedding"], indent=1), flush=True)
    for count, exact in ((100_000, 100_000), (100_000, 50_000), (200_000, 100_000)):
        stored, index = mix(vectors, count, rng), VectorIndex(vectors.shape[1], exact=exact)
        began = time.perf_counter()
        for at in range(0, count, 64):
            index.add(stored[at : at + 64], range(at, min(at + 64, count)))
        row = {"insert_us": 1e6 * (time.perf_counter() - began) / count}
        row |= {f"near {key}": value for key, value in recall(index, stored, near(stored, 2000, rng)).items()}
        row |= {f"new {key}": value for key, value in recall(index, stored, mix(vectors, 2000, rng)).items()}
        results[f"{count} vectors, {'exact' if count <= exact else f'approximate from {exact}'}"] = row
        print(count, exact, row, flush=True)
    (Path(__file__).parent / "results" / "vectors.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
