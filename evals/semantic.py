"""Does a semantic duplicate filter tell "the same in other words" from "nearly the same words, another meaning"?

    python evals/semantic.py --data ../shared/data

Two sets of pairs. PAWS (English, development set): pairs of high word overlap, labelled by people as paraphrases or not; the
order rule and its threshold were chosen on the even pairs, the figures are of the odd ones. Banking77 (test): the
nearest pair of every query within its intent against the nearest of another intent; a weak label (two customers who want
the same may say different things), nothing was chosen on it. ROC AUC of our score (cosine times the agreement of words, scaled to 0..1) beside the
cosine alone, the Jaccard similarity of word shingles (what MinHash estimates), and semhash's cosine of static vectors
(its default model needs a download; here model2vec distilled from the same MiniLM, 256 dimensions).
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import numpy as np

from textsynth import embeddings
from textsynth.filters.semantic_duplicate import agree
from textsynth.minhash import MinHashIndex, jaccard


def paws(folder: Path) -> list[tuple[str, str, int]]:
    """Return the odd pairs and whether each is a paraphrase."""
    lines = (folder / "pawsx_en" / "dev-en.tsv").read_text(encoding="utf-8").split("\n")
    rows = [line.split("\t") for line in lines]
    return [(a, b, int(label)) for a, b, label in (r for r in rows if len(r) == 3 and r[2] in "01")][1::2]


def banking77(folder: Path, embedder: embeddings.Embedder) -> list[tuple[str, str, int]]:
    """Return, for every fifth query, its nearest other of the same intent (1) and of another (0)."""
    with (folder / "banking77" / "test.csv").open(newline="", encoding="utf-8") as lines:
        rows = [(row["text"], row["category"]) for row in csv.DictReader(lines)]
    vectors, labels = embedder.take([text for text, _ in rows]), np.array([label for _, label in rows])
    pairs = []
    for at in range(0, len(rows), 5):
        cosines = vectors @ vectors[at]
        cosines[at] = -1
        for same in (1, 0):
            other = int(np.where((labels == labels[at]) == bool(same), cosines, -2).argmax())
            pairs.append((rows[at][0], rows[other][0], same))
    return pairs


def shingle_jaccard(one: str, other: str) -> float:
    sketches = MinHashIndex().sketch([one, other], [0, 1])
    first, second = sketches.shingle_set(0), sketches.shingle_set(1)
    return float(jaccard(first, [second])[0]) if len(first) and len(second) else 0.0


def static_cosine(pairs: list[tuple[str, str, int]], folder: str) -> np.ndarray | None:
    """Return semhash's score of the pairs, or nothing where it is not installed."""
    try:
        from model2vec.distill import distill
    except ImportError:
        return None
    model = distill(folder, pca_dims=256)
    a, b = (model.encode([pair[at] for pair in pairs]) for at in (0, 1))
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return (a * b).sum(axis=1) / np.maximum(norms, 1e-9)


def main() -> None:
    from sklearn.metrics import roc_auc_score

    from textsynth.models import find_embedding

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    given = parser.parse_args()
    embedder = embeddings.load()
    sets = {"PAWS, odd pairs": paws(given.data), "Banking77": banking77(given.data, embedder)}
    results = {}
    for name, pairs in sets.items():
        labels = [label for *_, label in pairs]
        cosine = (embedder.take([a for a, *_ in pairs]) * embedder.take([b for _, b, _ in pairs])).sum(axis=1)
        agreed = np.array([agree(a, b) for a, b, _ in pairs])
        scores = {
            "ours": cosine * (1 + agreed) / 2,
            "cosine alone": cosine,
            "MinHash (exact Jaccard)": np.array([shingle_jaccard(a, b) for a, b, _ in pairs]),
            "semhash, distilled static": static_cosine(pairs, find_embedding("default").location),
        }
        truth, kept = np.array(labels), (cosine >= 0.92) & (agreed >= 0.9)
        alone = cosine >= 0.92
        results[name] = {
            "pairs": len(pairs),
            "positive": float(truth.mean()),
            "auc": {key: float(roc_auc_score(labels, value)) for key, value in scores.items() if value is not None},
            "at default": {"precision": float(truth[kept].mean()), "recall": float(truth[kept].sum() / truth.sum())},
            "cosine .92 alone": {
                "precision": float(truth[alone].mean()),
                "recall": float(truth[alone].sum() / truth.sum()),
            },
        }
        print(name, json.dumps(results[name], indent=1), flush=True)
    results["embedder"] = dict(embedder.facts)
    (Path(__file__).parent / "results" / "semantic.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
