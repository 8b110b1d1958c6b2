"""Texts that do not fit their label, by a classifier that learnt from real or accepted records what each label's texts are."""

from __future__ import annotations

import importlib.util
import json
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth import embeddings, tables
from textsynth.errors import MissingPackageError
from textsynth.filters import Filter, Setting, drop
from textsynth.records import Candidate, Drop, Record
from textsynth.text import check_threshold, join_text, require_fields

Array = NDArray[np.float32]
FIRST = 100
"""Accepted records from which the first classifier learns; the next learns from twice as many, and so on."""
MOST = 12_800
"""Most rows a classifier learns from."""
_FOLDS = 5
_STRENGTH = 10.0  # inverse of the regularisation


@dataclass(kw_only=True)
class LabelAgreement(Filter):
    """Drops a record whose text a classifier finds much more like the texts of another label.

    Multinomial logistic regression on normalised embeddings. It learns from ``reference``, else from the seeds, else
    (there are none with label and text) from the records accepted so far: from the first 100, then again at 200, 400, ...
    Its probabilities are calibrated by cross-validation. A record is dropped if its label's probability is below
    ``threshold`` and another label is as probable as it is, on average, for texts that do have that label: the rule
    of confident learning (Northcutt et al. 2021, Confident Learning, section 3.1). The score is the label's probability.

    Measured: the accuracy on held-out real rows, which says how far to trust the rest, and given against predicted label
    over what was checked by this process. Memory: at most 12,800 rows of one embedding each (20 MB at 384 numbers).

    Cannot see: labels that the texts learnt from do not have, or have only once; several labels in one field; a label
    that follows from something else than the text; what the embedding does not see (word order, negation). A
    classifier that learnt from accepted records takes over their mistakes.

    Args:
        label: the field with the label; by default the profile's, or the only one with a closed set of values or drawn values.
        threshold: the least probability of the label that is always kept.
        text: the fields whose text is classified; by default all free-text fields.
        reference: a file with real rows (same field names), or the id of a dataset.
        model: the embedding.
    """

    label: str = ""
    threshold: float = 0.2
    text: tuple[str, ...] | None = None
    reference: str = ""
    model: str = "default"

    def __post_init__(self) -> None:
        """Refuse a threshold out of its range."""
        check_threshold(self.threshold)

    def prepare(self, setting: Setting) -> None:
        """Find label and text, read the real rows, and check that packages and model are there."""
        super().prepare(setting)
        self._label = self._choose_label(setting)
        require_fields(self.text, setting.schema.properties)
        self._fields = tuple(name for name in self.text or setting.text_fields if name != self._label)
        if not self._fields:
            raise ValueError("there is no free-text field whose fit could be judged; name fields with text")
        if importlib.util.find_spec("sklearn") is None:
            raise MissingPackageError("scikit-learn", extra="embeddings", needed_for="label_agreement")
        if missing := embeddings.missing_package():
            raise missing
        if problem := embeddings.problem(self.model):
            raise ValueError(f"model: {problem}")
        self._embedder = embeddings.load(self.model)
        self._real = self._read_real(setting)
        self._rows = list(self._real)
        self._vectors: dict[str, Array] = {}
        self._classifier: Classifier | None = None
        self._learnt = 0
        self._tally = Tally()

    def start(self) -> None:
        """Load the embedding and learn from the real rows."""
        self._embedder.start()
        self._learn()

    def begin(self, batch: Sequence[Candidate]) -> None:
        """Have the texts embedded."""
        self._embedder.submit([row.text for row in self._read_batch(batch)])

    def ready(self, batch: Sequence[Candidate]) -> bool:
        """Return whether the texts are embedded."""
        return self._embedder.ready([row.text for row in self._read_batch(batch)])

    def check(self, batch: Sequence[Candidate]) -> Sequence[Drop | None]:
        """Name the label that fits better, with both probabilities."""
        answers: list[Drop | None] = [None] * len(batch)
        self._tally.next_window(min((item.draw.index for item in batch), default=0))
        self._learn()
        found = self._classifier
        rows = [(at, row) for at, item in enumerate(batch) if (row := self._row(item.record)) is not None]
        if not rows:
            return answers
        vectors = self._embedder.take([row.text for _, row in rows])
        self._vectors = {row.text: vector for (_, row), vector in zip(rows, vectors, strict=True)}
        if found is None:
            return answers
        chances = found.chances(vectors)
        known = {label: at for at, label in enumerate(found.labels)}
        for (at, row), chance in zip(rows, chances, strict=True):
            self._tally.add(batch[at].draw.index, row.label, found.labels[int(chance.argmax())])
            if row.label in known:
                answers[at] = self._judge(found, known[row.label], chance)
        return answers

    def keep(self, batch: Sequence[Candidate]) -> None:
        """Learn later from what was kept, if there are no real rows."""
        if not self._real:
            fresh = self._read_batch(batch)[: MOST - len(self._rows)]
            self._rows += [row.with_vector(self._vectors.get(row.text)) for row in fresh]

    def measured(self) -> Mapping[str, Any]:
        """Return what the classifier learnt from, its accuracy on rows held out, and given against predicted labels."""
        found: dict[str, Any] = {"learnt_from": self._source, "rows": self._learnt}
        if self._classifier is not None:
            found |= {"labels": len(self._classifier.labels), "held_out_accuracy": round(self._classifier.accuracy, 4)}
        return found | self._tally.summary()

    def close(self) -> None:
        """End the embedder."""
        self._embedder.close()

    @property
    def _source(self) -> str:
        return "accepted records" if not self._real else self.reference or "seeds"

    def _choose_label(self, setting: Setting) -> str:
        if self.label:
            require_fields((self.label,), setting.schema.properties)
            return self.label
        if setting.profile is not None and setting.profile.label in setting.schema.properties:
            return setting.profile.label
        drawn = set(setting.schema.text_fields) - set(setting.text_fields)
        closed = [n for n in setting.schema.properties if len(setting.schema.choices(n) or ()) > 1 or n in drawn]
        if len(closed) != 1:
            many = (
                f"several fields could be it: {', '.join(closed)}" if closed else "no field has a closed set of values"
            )
            raise ValueError(f"label must name the field that holds the label: {many}")
        return closed[0]

    def _read_real(self, setting: Setting) -> list[Row]:
        if self.reference:
            given: Iterable[Record] = tables.read(self.reference, folder=setting.folder, place="reference")
        else:
            given = [seed.row for seed in setting.seeds]
        rows = [row for record in given if (row := self._row(record)) is not None]
        counts = Counter(row.label for row in rows)
        if sum(count > 1 for count in counts.values()) >= 2:
            return even(rows, MOST)
        if self.reference:
            raise ValueError(
                f"reference: {self.reference!r} must have rows with {self._label} and {', '.join(self._fields)}, "
                f"of at least two labels and two rows each; got {len(rows)} rows of {len(counts)} labels"
            )
        return []

    def _read_batch(self, batch: Sequence[Candidate]) -> list[Row]:
        return [row for item in batch if (row := self._row(item.record)) is not None]

    def _row(self, record: Record | None) -> Row | None:
        """Return label and text of a record that has both."""
        value = (record or {}).get(self._label)
        if record is None or not isinstance(value, str | int | float):
            return None
        text = join_text(record, self._fields)
        return Row(value if isinstance(value, str) else json.dumps(value), text) if text.strip() else None

    def _learn(self) -> None:
        """Learn from the rows there are, at fixed numbers of them, whatever batches they came in."""
        wanted = len(self._rows) if self._real else learning_point(len(self._rows))
        if wanted == self._learnt:
            return
        rows = self._rows[:wanted]
        missing = [at for at, row in enumerate(rows) if row.vector is None]
        if missing:
            for at, vector in zip(missing, self._embedder.take([rows[at].text for at in missing]), strict=True):
                rows[at] = self._rows[at] = rows[at].with_vector(vector)
        vectors = np.stack([row.vector for row in rows if row.vector is not None])
        self._classifier = learn(vectors, [row.label for row in rows])
        self._learnt = wanted

    def _judge(self, classifier: Classifier, given: int, chance: NDArray[np.float64]) -> Drop | None:
        others = chance >= classifier.usual
        others[given] = False
        if chance[given] >= self.threshold or not others.any():
            return None
        best = int(np.where(others, chance, -1).argmax())
        if chance[best] <= chance[given]:
            return None
        of, than = classifier.labels[given], classifier.labels[best]
        detail = f"{self._label} {of!r} has probability {chance[given]:.2f} (threshold {self.threshold:g}), {than!r} {chance[best]:.2f}"
        return drop(detail, score=float(chance[given]))


@dataclass(frozen=True, slots=True)
class Row:
    """What is learnt from: a label, a text and, once it is known, its embedding."""

    label: str
    text: str
    vector: Array | None = None

    def with_vector(self, vector: Array | None) -> Row:
        """Return the row with its embedding; the text is not needed any more then."""
        return self if vector is None else Row(self.label, "", vector)


@dataclass(frozen=True, slots=True)
class Classifier:
    """A fitted model.

    ``usual`` is, by label, the mean probability that held-out rows with this label get for it; ``accuracy`` is that of
    the held-out rows.
    """

    labels: tuple[str, ...]
    weights: NDArray[np.float64]
    offsets: NDArray[np.float64]
    usual: NDArray[np.float64]
    accuracy: float

    def chances(self, vectors: Array) -> NDArray[np.float64]:
        """Return the probability of each label (columns) for each text."""
        return softmax(vectors.astype(np.float64) @ self.weights + self.offsets)


class Tally:
    """Given against predicted labels over everything checked; the members of one window count once."""

    def __init__(self) -> None:
        self._window: set[int] = set()
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, index: int, given: str, predicted: str) -> None:
        """Count one record; ``index`` is its draw's."""
        if index not in self._window:
            self._counts[given, predicted] += 1
            self._window.add(index)

    def next_window(self, first: int) -> None:
        """Forget which records were counted if a later window begins."""
        if self._window and first > max(self._window):
            self._window.clear()

    def summary(self) -> dict[str, Any]:
        """Return counts, the share that agrees, and the confusion by given label, as JSON values."""
        total = self._counts.total()
        if not total:
            return {}
        confusion: dict[str, dict[str, int]] = {}
        for (given, predicted), count in sorted(self._counts.items()):
            confusion.setdefault(given, {})[predicted] = count
        agreed = sum(count for (given, predicted), count in self._counts.items() if given == predicted)
        return {"checked": total, "agreed": round(agreed / total, 4), "confusion": confusion}


def even(rows: Sequence[Row], most: int) -> list[Row]:
    """Return at most ``most`` rows, the first of each label, with as many of each as there are, in order."""
    if len(rows) <= most:
        return list(rows)
    seen: Counter[str] = Counter()
    rank = []
    for at, row in enumerate(rows):
        rank.append((seen[row.label], at))
        seen[row.label] += 1
    return [rows[at] for at in sorted(at for _, at in sorted(rank)[:most])]


def learning_point(count: int) -> int:
    """Return from how many of ``count`` accepted rows a classifier learns: 0, 100, 200, 400, ..., at most 12,800."""
    point = FIRST
    if count < point:
        return 0
    while 2 * point <= min(count, MOST):
        point *= 2
    return point


def learn(vectors: Array, labels: Sequence[str]) -> Classifier | None:
    """Fit and calibrate a classifier on the labels that at least two rows have; ``None`` if those are fewer than two."""
    counts = Counter(labels)
    names = tuple(sorted(label for label, count in counts.items() if count > 1))
    if len(names) < 2:
        return None
    at = np.flatnonzero([label in set(names) for label in labels])
    given = np.searchsorted(np.array(names), np.array(labels)[at])
    points = vectors[at]
    folds = fold_numbers(given)
    held_out = np.zeros((len(given), len(names)))
    for fold in range(int(folds.max()) + 1):
        inside, outside = folds != fold, folds == fold
        weights, offsets = fit(points[inside], given[inside])
        held_out[outside] = points[outside] @ weights + offsets
    sharpness = calibrate(held_out, given)
    chances = softmax(sharpness * held_out)
    usual = np.array([chances[given == k, k].mean() for k in range(len(names))])
    weights, offsets = fit(points, given)
    accuracy = float((held_out.argmax(axis=1) == given).mean())
    return Classifier(names, weights * sharpness, offsets * sharpness, usual, accuracy)


def fold_numbers(given: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the fold of each row: those of one label are dealt out in turn, so that none lacks in all folds but one."""
    folds = np.zeros(len(given), dtype=np.int64)
    for label in np.unique(given):
        rows = np.flatnonzero(given == label)
        folds[rows] = np.arange(len(rows)) % _FOLDS
    return folds


def fit(points: Array, given: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weights (numbers × labels) and offsets (labels) of a multinomial logistic regression."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=_STRENGTH, class_weight="balanced", max_iter=300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(points.astype(np.float64), given)
    weights, offsets = model.coef_.T, model.intercept_
    if weights.shape[1] == 1:  # of two labels it gives the second alone
        return np.hstack([np.zeros_like(weights), weights]), np.array([0.0, offsets[0]])
    return weights, offsets


def calibrate(scores: NDArray[np.float64], given: NDArray[np.int64]) -> float:
    """Return the factor on the scores that makes the given labels most probable (Guo et al. 2017, temperature scaling)."""
    factors = np.exp(np.linspace(-2, 3, 51))
    rows = np.arange(len(given))
    losses = [-np.log(softmax(factor * scores)[rows, given] + 1e-12).mean() for factor in factors]
    return float(factors[int(np.argmin(losses))])


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities along the last axis."""
    found: NDArray[np.float64] = np.exp(scores - scores.max(axis=-1, keepdims=True))
    found /= found.sum(axis=-1, keepdims=True)
    return found
