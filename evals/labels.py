"""Does label_agreement find wrong labels? Beside kNN and TF-IDF with logistic regression, on the same rows in the same run.

Real texts with a tenth of their labels flipped: at random, or to the label a classifier confuses most with the right one.
The classifier learns from a few real rows per label (as seeds are), all others learn from the same rows. Choices
(threshold, strength) were made on the development halves (``--half dev``: the first half of the intents; every even SMS);
the reported halves (``--half report``) were not looked at before.

    python evals/labels.py                 # about 3 minutes; writes evals/results/labels.json
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from textsynth.filters import Setting
from textsynth.filters.label_agreement import LabelAgreement
from textsynth.records import Candidate, Draw, Seed
from textsynth.schema import RecordSchema

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "labels.json"
WRONG = 0.1


@dataclass
class Row:
    """A real text with its label."""

    text: str
    label: str


@dataclass
class Outcome:
    """How well one method finds the flipped labels; precision, recall and share dropped at its own threshold."""

    data: str
    flipped: str
    method: str
    learnt_rows: int
    checked: int
    auc: float
    precision: float
    recall: float
    dropped_right: float
    accuracy: float


Score = Callable[[Sequence[Row], Sequence[Row]], tuple[np.ndarray, np.ndarray, float]]
"""From rows to learn from and rows to check: suspicion (higher is worse), what is dropped, accuracy of the prediction."""


def banking(data: Path, half: str, shots: int) -> tuple[list[Row], list[Row]]:
    intents = sorted(json.loads((data / "banking77/categories.json").read_text()))
    wanted = set(intents[: len(intents) // 2] if half == "dev" else intents[len(intents) // 2 :])
    rows = {}
    for part in ("train", "test"):
        with (data / f"banking77/{part}.csv").open(newline="") as lines:
            rows[part] = [Row(r["text"], r["category"]) for r in csv.DictReader(lines) if r["category"] in wanted]
    return few(rows["train"], shots), rows["test"]


def sms(data: Path, half: str, shots: int) -> tuple[list[Row], list[Row]]:
    lines = (data / "sms_spam/SMSSpamCollection").read_text(encoding="utf-8").splitlines()
    found = [Row(text, label) for label, text in (line.split("\t", 1) for line in lines) if label in {"ham", "spam"}]
    found = found[0 if half == "dev" else 1 :: 2]
    learn = few(found, shots)
    chosen = {id(row) for row in learn}
    return learn, [row for row in found if id(row) not in chosen]


def few(rows: Sequence[Row], shots: int) -> list[Row]:
    """Take ``shots`` rows of each label at random."""
    mixed, taken, seen = list(rows), [], dict[str, int]()
    Random(1).shuffle(mixed)
    for row in mixed:
        seen[row.label] = seen.get(row.label, 0) + 1
        if seen[row.label] <= shots:
            taken.append(row)
    return taken


def flip(rows: Sequence[Row], confused: dict[str, str] | None) -> tuple[list[Row], np.ndarray]:
    """Return the rows with a tenth of the labels wrong, and which those are."""
    random, labels = Random(2), sorted({row.label for row in rows})
    wrong = np.zeros(len(rows), dtype=bool)
    wrong[random.sample(range(len(rows)), round(WRONG * len(rows)))] = True
    made = []
    for row, bad in zip(rows, wrong, strict=True):
        other = random.choice([label for label in labels if label != row.label])
        made.append(Row(row.text, (confused[row.label] if confused else other) if bad else row.label))
    return made, wrong


def most_confused(learn: Sequence[Row], rows: Sequence[Row]) -> dict[str, str]:
    """For each label the one that a TF-IDF classifier gives most of its texts' remaining probability to."""
    model, words = tfidf_model(learn)
    chances = model.predict_proba(words.transform([row.text for row in rows]))
    labels = list(model.classes_)
    found = {}
    for at, label in enumerate(labels):
        mean = chances[[row.label == label for row in rows]].mean(axis=0)
        mean[at] = -1
        found[label] = labels[int(mean.argmax())]
    return found


def tfidf_model(learn: Sequence[Row]) -> tuple[LogisticRegression, TfidfVectorizer]:
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    model = LogisticRegression(C=10, class_weight="balanced", max_iter=1000)
    model.fit(words.fit_transform([row.text for row in learn]), [row.label for row in learn])
    return model, words


def tfidf(learn: Sequence[Row], rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray, float]:
    """TF-IDF of one and two words, logistic regression; dropped where the prediction is another label."""
    model, words = tfidf_model(learn)
    return from_chances(model.predict_proba(words.transform([row.text for row in rows])), list(model.classes_), rows)


class Embedded:
    """The same embeddings for our filter and for kNN."""

    def __init__(self, model: str) -> None:
        self.model = model

    def ours(self, learn: Sequence[Row], rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray, float]:
        """label_agreement as a run uses it, in windows of 64."""
        labels = sorted({row.label for row in learn})
        schema = RecordSchema({"properties": {"text": {"type": "string"}, "label": {"enum": labels}}})
        made = LabelAgreement(model=self.model, **OPTIONS)
        made.prepare(Setting(schema, [Seed(i, asdict(row)) for i, row in enumerate(learn)], ("text",)))
        made.start()
        items = [Candidate(Draw(i, i // 64, {}, (), i), asdict(row)) for i, row in enumerate(rows)]
        answers = [answer for at in range(0, len(items), 64) for answer in made.check(items[at : at + 64])]
        assert made._classifier is not None
        chances = made._classifier.chances(made._embedder.take([row.text for row in rows]))
        score, _, accuracy = from_chances(chances, list(made._classifier.labels), rows)
        made.close()
        print(f"  held-out accuracy: {made.measured()['held_out_accuracy']}")
        return score, np.array([answer is not None for answer in answers]), accuracy

    def neighbours(self, learn: Sequence[Row], rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray, float]:
        """The 10 nearest rows vote, by cosine; dropped where another label has more."""
        from textsynth import embeddings

        embedder = embeddings.load(self.model)
        embedder.start()
        known = embedder.take([row.text for row in learn])
        found = embedder.take([row.text for row in rows])
        embedder.close()
        labels = sorted({row.label for row in learn})
        given = np.array([labels.index(row.label) for row in learn])
        near = found @ known.T
        votes = np.zeros((len(rows), len(labels)))
        for row, best in enumerate(np.argsort(-near, axis=1)[:, :10]):
            np.add.at(votes[row], given[best], near[row, best])
        return from_chances(votes / votes.sum(axis=1, keepdims=True), labels, rows)


OPTIONS: dict[str, float] = {}


def from_chances(chances: np.ndarray, labels: list[str], rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray, float]:
    """Suspicion is the best other label's probability less that of the given one; above 0 it is dropped."""
    given = np.array([labels.index(row.label) for row in rows])
    at = np.arange(len(rows))
    others = chances.copy()
    others[at, given] = -1
    score = others.max(axis=1) - chances[at, given]
    return score, score > 0, float((chances.argmax(axis=1) == given).mean())


def measure(
    data: str, flipped: str, method: str, score: Score, learn: list[Row], rows: list[Row], wrong: np.ndarray
) -> Outcome:
    suspicion, dropped, accuracy = score(learn, rows)
    hits = int((dropped & wrong).sum())
    return Outcome(
        data=data,
        flipped=flipped,
        method=method,
        learnt_rows=len(learn),
        checked=len(rows),
        auc=float(roc_auc_score(wrong, suspicion)),
        precision=hits / max(1, int(dropped.sum())),
        recall=hits / int(wrong.sum()),
        dropped_right=float(dropped[~wrong].mean()),
        accuracy=accuracy,
    )


def table(outcomes: Sequence[Outcome]) -> str:
    lines = [
        "| data | learnt from | flipped | method | ROC AUC | precision | recall | right ones dropped |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for o in outcomes:
        lines.append(
            f"| {o.data} | {o.learnt_rows} rows | {o.flipped} | {o.method} | {o.auc:.3f} | {o.precision:.2f} | {o.recall:.2f} | {o.dropped_right:.1%} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--half", choices=["dev", "report"], default="report")
    parser.add_argument("--model", default="default")
    parser.add_argument("--threshold", type=float, nargs="*", default=[])
    options = parser.parse_args()
    embedded = Embedded(options.model)
    outcomes = []
    for name, load, shots in [("banking77", banking, 10), ("banking77", banking, 40), ("sms_spam", sms, 50)]:
        learn, rows = load(options.data, options.half, shots)
        for flipped in ("random", "confusable") if name == "banking77" else ("random",):
            made, wrong = flip(rows, most_confused(learn, rows) if flipped == "confusable" else None)
            methods: dict[str, Score] = {"textsynth": embedded.ours}
            for method, score in methods.items():
                for threshold in options.threshold or [0.0]:
                    OPTIONS.clear()
                    OPTIONS.update({"threshold": threshold} if threshold else {})
                    called = f"{method} {threshold:g}" if threshold else method
                    outcomes.append(measure(name, flipped, called, score, learn, made, wrong))
            peers: dict[str, Score] = {"kNN, 10 nearest": embedded.neighbours, "TF-IDF": tfidf}
            for method, score in peers.items():
                outcomes.append(measure(name, flipped, method, score, learn, made, wrong))
            print(table(outcomes), flush=True)
    if options.half == "report" and not options.threshold:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps([asdict(o) for o in outcomes], indent=1) + "\n")


if __name__ == "__main__":
    main()
