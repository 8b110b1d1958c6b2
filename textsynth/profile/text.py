"""What is known of a text or dialogue without its words: length, sentences, topic cluster, turns and roles.

These columns are learned jointly with the record's other fields. A text's own state (null, absent, empty) is that of its
derived columns.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from textsynth.columns import ABSENT, Field, ordinary, to_numbers
from textsynth.errors import MissingPackageError, RecipeError
from textsynth.text import count_words

Vectors = NDArray[np.float32]
Embeddings = Literal["default"] | str | Mapping[str, Vectors] | Vectors | None
MOST_CLUSTERS = 64
MIXED = "mixed"
"""Role pattern of a dialogue whose roles follow no cycle."""
_SENTENCE = re.compile(r"[.!?…。！？]+[\"'”’)\]]*(?:\s+|$)|\n{2,}")


@dataclass(frozen=True, slots=True)
class Derived:
    """Columns derived from texts, their fields, and the centroids of the topic clusters by text field."""

    fields: tuple[Field, ...] = ()
    columns: dict[str, list[Any]] = field(default_factory=dict)
    centroids: dict[str, Vectors] = field(default_factory=dict)


def whole_text(value: Any, of: Field) -> str:
    """Return the text of a text field's value, or of all turns of a dialogue."""
    if of.kind == "dialogue":
        return "\n".join(str(turn.get(of.content_key, "")) for turn in value)
    return value if isinstance(value, str) else str(value)


def count_sentences(text: str) -> int:
    """Return the number of sentences, at least 1: runs of final punctuation before a space or the end, or blank lines."""
    ends = list(_SENTENCE.finditer(text.strip()))
    rest = bool(text.strip()[ends[-1].end() :].strip()) if ends else True
    return len(ends) + rest


def role_pattern(roles: Sequence[str]) -> str:
    """Return how roles follow each other: ``user assistant`` repeats in this order; ``system | user assistant`` has a
    first turn of its own; ``mixed`` is anything else.
    """
    for head in (0, 1):
        rest = roles[head:]
        for width in range(1, min(3, len(rest)) + 1):
            if all(role == rest[i % width] for i, role in enumerate(rest)) and len(set(rest[:width])) == width:
                cycle = " ".join(rest[:width])
                return f"{roles[0]} | {cycle}" if head else cycle
    return MIXED


def derive(columns: Mapping[str, Sequence[Any]], fields: Sequence[Field]) -> Derived:
    """Return the columns that need no model: of texts words and sentences, of dialogues turns, roles, words by role,
    of lists their length.
    """
    found: dict[str, list[Any]] = {}
    for each in fields:
        values = columns[each.name]
        if each.kind == "text":
            found[f"{each.name}#words"] = _map(values, lambda v, of=each: count_words(whole_text(v, of)))
            found[f"{each.name}#sentences"] = _map(values, lambda v, of=each: count_sentences(whole_text(v, of)))
        elif each.kind == "dialogue":
            found |= _dialogue(each, values)
        elif each.kind == "list":
            found[f"{each.name}#length"] = _map(values, len)
    return Derived(tuple(_count_field(name, values) for name, values in found.items()), found)


def _dialogue(each: Field, values: Sequence[Any]) -> dict[str, list[Any]]:
    found = {
        f"{each.name}#turns": _map(values, len),
        f"{each.name}#roles": _map(values, lambda v: role_pattern([turn[each.role_key] for turn in v])),
    }
    for role in each.roles:
        found[f"{each.name}#words:{role}"] = _map(values, lambda v, role=role: _median_words(v, each, role))
    return found


def _median_words(turns: Sequence[Mapping[str, Any]], each: Field, role: str) -> int:
    counts = [count_words(turn[each.content_key]) for turn in turns if turn[each.role_key] == role]
    return int(np.median(counts)) if counts else 0


def _map(values: Sequence[Any], count: Any) -> list[Any]:
    """Apply to ordinary values; null, absent and empty (as ``""``) stay."""
    return [count(v) if ordinary(v) else (v if v is None or v is ABSENT else "") for v in values]


def _count_field(name: str, values: Sequence[Any]) -> Field:
    plain = [value for value in values if ordinary(value)]
    states: dict[str, Any] = {
        "nullable": None in values,
        "optional": ABSENT in values,
        "empty": len(plain) < len(values) and "" in values,
    }
    states |= {"rows": len(values), "distinct": len(set(plain))}
    if plain and isinstance(plain[0], str):
        return Field(name=name, kind="categorical", values=tuple(sorted(set(plain))), **states)
    low, high = float(min(plain, default=0)), float(max(plain, default=0))
    return Field(name=name, kind="integer", type="integer", low=low, high=high, **states)


def cluster(
    texts_of: Mapping[str, Sequence[Any]],
    fields: Sequence[Field],
    vectors: Mapping[str, Vectors],
    *,
    least: int,
    seed: int,
) -> Derived:
    """Return the topic cluster of each train text by k-means (K = min(64, √n)), and the centroids.

    A cluster of fewer than ``least`` texts is dissolved: its centroid would be the vector of somebody's text.
    """
    found, made, centroids = dict[str, list[Any]](), list[Field](), dict[str, Vectors]()
    for each in fields:
        if each.name not in vectors:
            continue
        filled = [i for i, value in enumerate(texts_of[each.name]) if ordinary(value)]
        centroids[each.name] = find_centroids(vectors[each.name][filled], least=least, seed=seed)
        column = assign(texts_of[each.name], vectors[each.name], centroids[each.name])
        name = f"{each.name}#cluster"
        found[name] = column
        base = _count_field(name, column)
        values = tuple(range(len(centroids[each.name])))
        made.append(
            Field(**{**_states(base), "name": name, "kind": "categorical", "type": "integer", "values": values})
        )
    return Derived(tuple(made), found, centroids)


def _states(base: Field) -> dict[str, Any]:
    return {key: getattr(base, key) for key in ("nullable", "optional", "empty", "rows", "distinct")}


def find_centroids(vectors: Vectors, *, least: int, seed: int) -> Vectors:
    """Return unit centroids, float32 (K, d), of clusters with at least ``least`` vectors."""
    try:
        from sklearn.cluster import MiniBatchKMeans
    except ImportError:
        raise MissingPackageError("scikit-learn", extra="fit", needed_for="topic clusters of texts") from None
    k = max(1, min(MOST_CLUSTERS, int(np.sqrt(len(vectors)))))
    model = MiniBatchKMeans(k, random_state=seed, n_init=3, batch_size=2048).fit(vectors)
    counts = np.bincount(model.labels_, minlength=k)
    kept = model.cluster_centers_[counts >= min(least, counts.max())].astype(np.float32)
    return np.asarray(kept / np.maximum(np.linalg.norm(kept, axis=1, keepdims=True), 1e-9), dtype=np.float32)


def assign(values: Sequence[Any], vectors: Vectors, centroids: Vectors) -> list[Any]:
    """Return the nearest cluster of each text; null, absent and empty stay."""
    nearest = nearest_centroid(vectors, centroids).tolist()
    return [n if ordinary(v) else (v if v is None or v is ABSENT else "") for v, n in zip(values, nearest, strict=True)]


def nearest_centroid(vectors: Vectors, centroids: Vectors) -> NDArray[np.int64]:
    """Return the number of the centroid with the greatest cosine, int64 (n,)."""
    return np.asarray((vectors @ centroids.T).argmax(axis=1), dtype=np.int64)


def embed(
    columns: Mapping[str, Sequence[Any]], fields: Sequence[Field], embeddings: Embeddings, rows: int
) -> dict[str, Vectors]:
    """Return unit vectors, float32 (n, d), of each text and dialogue field: computed, or those given.

    Raises:
        RecipeError: vectors that do not fit the rows, or one array where there are several texts.
    """
    wanted = [each for each in fields if each.kind in {"text", "dialogue"} and each.type != "object"]
    if embeddings is None or not wanted:
        return {}
    if not isinstance(embeddings, str):
        return _given(wanted, embeddings, rows)
    from textsynth.embeddings import load

    model = load(embeddings)
    texts = {f.name: [whole_text(v, f) if ordinary(v) else "" for v in columns[f.name]] for f in wanted}
    return {name: model.take(some) for name, some in texts.items()}


def _given(wanted: Sequence[Field], embeddings: Mapping[str, Vectors] | Vectors, rows: int) -> dict[str, Vectors]:
    names = [each.name for each in wanted]
    if not isinstance(embeddings, Mapping):
        if len(names) != 1:
            raise RecipeError([f"embeddings: there are {len(names)} text fields ({', '.join(names)})"])
        embeddings = {names[0]: embeddings}
    for name, vectors in embeddings.items():
        if name not in names or np.ndim(vectors) != 2 or len(vectors) != rows:
            shape = "x".join(map(str, np.shape(vectors)))
            raise RecipeError([f"embeddings of {name!r}: must be {rows} rows for one of {names}, got {shape}"])
    return {name: np.asarray(vectors, dtype=np.float32) for name, vectors in embeddings.items()}


def joins(fields: Sequence[Field]) -> dict[str, tuple[str, ...]]:
    """Return, for the first derived column of each text or dialogue, those that share its state."""
    found: dict[str, list[str]] = {}
    for each in fields:
        if each.derived:
            found.setdefault(each.name.partition("#")[0], []).append(each.name)
    return {names[0]: tuple(names[1:]) for names in found.values()}


def number_of(field_: Field, values: Sequence[Any]) -> NDArray[np.float64]:
    """Return a derived count column as numbers, NaN for null, absent and empty."""
    return to_numbers(values, field_)
