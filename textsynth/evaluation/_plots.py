"""Data to draw, as ``textsynth.evaluation`` describes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth.columns import Field
from textsynth.evaluation._data import Three
from textsynth.evaluation._evaluation import spoken
from textsynth.measure.measured import Measured
from textsynth.measure.table import Bin as TableBin
from textsynth.measure.table import Bins, Table
from textsynth.text import count_words, fold
from textsynth.vectors import VectorIndex

Vectors = NDArray[np.float32]

FIELDS = 40
"""Most fields in the marginals and the map of pairs."""
POINTS = 1000
"""Most points of one set on the map."""
EXAMPLES = 10
"""Nearest and typical examples shown, of each as many."""
_CUT = 120
_LONG = 600
_LENGTHS = 24
_COPIED = 0.95
_SEARCHED = 5000
_BLOCK = 256


def table_plots(tables: Three[Table], fields: Sequence[Field]) -> dict[str, Any]:
    """Return ``marginals`` and ``pairs`` of as many synthetic, real and held-out rows."""
    bins = list(Bins.fit(tables.real))[:FIELDS]
    dates = {each.name for each in fields if each.kind == "datetime"}
    codes = tables.map(lambda table: [each.codes(table.column(each.name)) for each in bins])
    marginals = [_marginal(each, codes, at, each.name in dates) for at, each in enumerate(bins)]
    excess = _excess(bins, codes)
    pairs = {"fields": [each.name for each in bins], "excess": excess.tolist()}
    return {"marginals": sorted(marginals, key=lambda each: each["accuracy"]), "pairs": pairs}


def _marginal(one: TableBin, codes: Three[list[Any]], at: int, is_date: bool) -> dict[str, Any]:
    shares = codes.map(lambda each: np.bincount(each[at], minlength=one.size) / max(1, len(each[at])))
    shown = np.flatnonzero(shares.synthetic + shares.real + shares.holdout > 0)
    labels = _labels(one, is_date)
    return {
        "field": one.name,
        "kind": one.kind,
        "bins": [labels[number] for number in shown],
        "accuracy": 1 - _distance(shares.synthetic, shares.real),
        **{name: getattr(shares, name)[shown].tolist() for name in ("real", "holdout", "synthetic")},
    }


def _labels(one: TableBin, is_date: bool) -> list[str]:
    labels = list(one.labels)
    if is_date:
        days = [f"{datetime.fromtimestamp(edge, UTC):%Y-%m-%d}" for edge in one.edges[:-1]]
        labels[: len(days)] = [f"≥ {day}" for day in days]
    return labels


def _distance(left: NDArray[Any], right: NDArray[Any]) -> float:
    return float(np.abs(left - right).sum() / 2)


def _excess(bins: Sequence[TableBin], codes: Three[list[Any]]) -> NDArray[np.float64]:
    """Return, per pair of fields, how much further synthetic lies from real than held-out rows do (total variation)."""
    found = np.zeros((len(bins), len(bins)))
    for i, one in enumerate(bins):
        for j, two in enumerate(bins[: i + 1]):
            size = one.size * two.size
            tables = codes.map(lambda each, i=i, j=j, two=two, size=size: _joint(each[i], each[j], two.size, size))  # type: ignore[misc]
            excess = _distance(tables.synthetic, tables.real) - _distance(tables.holdout, tables.real)
            found[i, j] = found[j, i] = max(0.0, excess)
    return found


def _joint(left: NDArray[Any], right: NDArray[Any], width: int, size: int) -> NDArray[np.float64]:
    return np.bincount(left * width + right, minlength=size) / max(1, len(left))


def text_plots(texts: Three[list[str]], vectors: Three[Vectors] | None) -> dict[str, Any]:
    """Return ``lengths`` and, with vectors, ``examples``."""
    counts = texts.map(lambda some: np.array([count_words(text) for text in some]))
    top = float(np.quantile(np.concatenate([counts.real, counts.synthetic]), 0.99))
    edges = np.unique(np.linspace(0, max(2.0, top), _LENGTHS + 1).round())
    lengths = {}
    for name in ("synthetic", "real"):
        held = np.clip(getattr(counts, name), edges[0], edges[-1])
        shares = np.histogram(held, edges)[0] / max(1, len(held))
        lengths[name] = {"edges": edges.tolist(), "share": shares.tolist()}
    return {"lengths": lengths} | ({"examples": examples(texts, vectors)} if vectors else {})


def examples(texts: Three[list[str]], vectors: Three[Vectors]) -> list[dict[str, Any]]:
    """Return some synthetic texts with their nearest real ones: the nearest of all, then some spread over the rest.

    At most 5,000 synthetic texts, evenly spread, are looked at.
    """
    index = VectorIndex(vectors.real.shape[1])
    index.add(vectors.real, range(len(vectors.real)))
    rows = np.unique(np.linspace(0, len(vectors.synthetic) - 1, min(_SEARCHED, len(vectors.synthetic))).astype(int))
    near = [index.search(vectors.synthetic[rows[at : at + _BLOCK]]) for at in range(0, len(rows), _BLOCK)]
    ids, scores = (np.concatenate([getattr(each, name) for each in near]) for name in ("ids", "scores"))
    order = np.argsort(-scores, kind="stable")
    spread = order[EXAMPLES:][np.linspace(0, len(order) - EXAMPLES - 1, EXAMPLES).round().astype(int)]
    chosen = [("nearest", at) for at in order[:EXAMPLES]] + [("typical", at) for at in spread]
    return [_example(why, texts.synthetic[rows[at]], texts.real[ids[at]], float(scores[at])) for why, at in chosen]


def _example(why: str, ours: str, real: str, similarity: float) -> dict[str, Any]:
    copied = similarity >= _COPIED or fold(ours) == fold(real)
    shown = {"why": why, "field": "", "synthetic": ours[:_LONG], "real": real[:_LONG]}
    return shown | {"similarity": similarity, "copied": copied}


def draw_map(sets: Mapping[str, tuple[Sequence[str], Vectors]]) -> dict[str, Any]:
    """Return the vectors of every set on the first two principal components of the real ones."""
    real = sets["real"][1]
    centre = real.mean(axis=0)
    values, axes = np.linalg.eigh(np.cov((real - centre).T))
    plane = axes[:, [-1, -2]]
    plane = plane * np.where(plane[np.abs(plane).argmax(axis=0), [0, 1]] < 0, -1, 1)  # the same signs everywhere
    explained = (values[[-1, -2]] / max(values.sum(), 1e-12)).tolist()
    shown = {name: _points(texts, (vectors - centre) @ plane) for name, (texts, vectors) in sets.items()}
    return {"explained": explained, "sets": shown}


def _points(texts: Sequence[str], points: NDArray[Any]) -> dict[str, Any]:
    chosen = np.unique(np.linspace(0, len(points) - 1, min(POINTS, len(points))).round().astype(int))
    at = points[chosen].round(4)
    return {"x": at[:, 0].tolist(), "y": at[:, 1].tolist(), "text": [texts[row][:_CUT] for row in chosen]}


def value_plots(values: Sequence[Measured]) -> dict[str, Any]:
    """Return ``privacy`` gauges, ``growth`` and ``vendi`` curves, classifier ``importances`` and the ``bias`` table."""
    by_name = {value.name: value for value in values}
    found: dict[str, Any] = {"privacy": [_gauge(value) for value in values if value.group == "privacy"]}
    for plot, name in (("growth", "diversity.distinct_4"), ("vendi", "diversity.vendi")):
        if name in by_name and any(by_name[name].detail["curves"].values()):
            found[plot] = by_name[name].detail["curves"]
    found["importances"] = [each for value in values for each in _importances(value)]
    found["bias"] = _bias(by_name)
    return {name: plot for name, plot in found.items() if plot}


def _gauge(value: Measured) -> dict[str, Any]:
    gate = {"low": value.gate.low if value.gate else None, "high": value.gate.high if value.gate else None}
    shown = {"name": value.name, "label": spoken(value.name), "value": value.value}
    return shown | {"real": value.real, "low": value.low, "high": value.high, "gate": gate, "passed": value.passed}


def _importances(value: Measured) -> list[dict[str, Any]]:
    shown = value.detail.get("importances", ()) if value.name.startswith("fidelity.detection.") else ()
    return [{"of": value.name, "feature": each["name"], "importance": each["fall"]} for each in shown]


def _bias(values: Mapping[str, Measured]) -> list[dict[str, Any]]:
    """Return the groups of each protected field, with the outcome that is rarest in real rows if there is a label."""
    found = []
    for name, value in values.items():
        if not name.startswith("bias.representation."):
            continue
        attribute = name.removeprefix("bias.representation.")
        parity = values.get(f"bias.parity.{attribute}")
        rates = {each["group"]: each for each in parity.detail["groups"]} if parity else {}
        outcomes = parity.detail["outcomes"] if parity else [""]
        at = int(np.argmin(np.mean([each["real"] for each in rates.values()], axis=0))) if rates else 0
        for each in value.detail["groups"]:
            shown = {
                "attribute": attribute,
                "group": each["group"],
                "real": each["real"],
                "synthetic": each["synthetic"],
            }
            both = rates.get(each["group"])
            outcome = {f"outcome_{side}": both[side][at] if both else None for side in ("real", "synthetic")}
            found.append(shown | {"outcome": outcomes[at]} | outcome)
    return found
