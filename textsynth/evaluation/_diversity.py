"""How varied the synthetic texts are, as ratios to as many real ones: 1 is as varied as real texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth.evaluation._data import Three
from textsynth.measure.diversity import Diversity
from textsynth.measure.measured import Gate, Measured
from textsynth.text import fold

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Kind:
    """One measure of diversity: its name in ``Diversity.report``, what its ratio says, and what is good enough."""

    name: str
    says: str
    gate: Gate | None = None


_MORE = "make draws differ more: more attributes, other templates, more seeds, a higher temperature"
KINDS = (
    Kind("vendi", "as many effectively different texts as real data has, by embedding", Gate(low=0.75, advice=_MORE)),
    Kind("mean_distance", "mean distance between two texts, by embedding"),
    Kind("distinct_1", "distinct words among all words"),
    Kind("distinct_2", "distinct word pairs among all"),
    Kind("distinct_4", "distinct runs of four words among all", Gate(low=0.85, advice=_MORE)),
    Kind("self_repetition", "texts that share a run of four words with another one"),
    Kind("self_bleu", "likeness of each text to the others"),
    Kind("compression", "how far all texts together can be compressed", Gate(high=1.3, advice=_MORE)),
)


def diversity(texts: Three[list[str]], vectors: Three[Vectors] | None) -> list[Measured]:
    """Return ``diversity.NAME`` for each kind (ratio to real) and ``diversity.duplicates``; equal numbers of texts.

    The curves of ``Diversity`` are in the detail of ``diversity.distinct_4`` and ``diversity.vendi``.
    """
    reports = Three(*(_report(each, some) for each, some in zip(texts, vectors or (None, None, None), strict=True)))
    size = len(texts.synthetic)
    found = [_ratio(kind, reports, size) for kind in KINDS if reports.real.get(kind.name) is not None]
    return [*found, _duplicates(texts)]


def _report(texts: Sequence[str], vectors: Vectors | None) -> Mapping[str, Any]:
    made = Diversity()
    made.add(texts, vectors)
    return made.report()


def _ratio(kind: Kind, reports: Three[Mapping[str, Any]], size: int) -> Measured:
    ours, real, held = (report[kind.name] for report in reports)
    low = kind.gate.low if kind.gate else None
    return Measured(
        name=f"diversity.{kind.name}",
        value=ours / real if real else None,
        real=held / real if real else None,
        size=size,
        meaning=f"Ratio to real texts of the same number: {kind.says}; 1 is as in real data, "
        + (
            "lower is more repetitive."
            if low is not None or kind.name.startswith(("dist", "mean"))
            else "higher is more repetitive."
        ),
        gate=kind.gate,
        detail={"synthetic": ours, "real": real, "holdout": held, "curves": _curves(kind.name, reports)},
    )


def _curves(name: str, reports: Three[Mapping[str, Any]]) -> dict[str, list[dict[str, float]]]:
    """Return points of a curve over the texts: new runs of four words, or the Vendi score."""
    sets = {"synthetic": reports.synthetic, "real": reports.real}
    if name == "vendi":
        return {
            key: [{"texts": each["records"], "vendi": each["vendi"]} for each in report["vendi_growth"]]
            for key, report in sets.items()
        }
    if name != "distinct_4":
        return {}
    found = {}
    for key, report in sets.items():
        step, shares = report["growth"]["records_a_point"], report["growth"]["new_share"]
        found[key] = [{"texts": step * (at + 1), "new": share} for at, share in enumerate(shares)]
    return found


def _duplicates(texts: Three[list[str]]) -> Measured:
    shares = texts.map(lambda some: 1 - len(set(map(fold, some))) / len(some))
    size = len(texts.synthetic)
    spread = 1.96 * float(np.sqrt(max(shares.synthetic * (1 - shares.synthetic), 1 / size) / size))
    bound = round(max(shares.real, shares.holdout) + 0.02, 4)
    return Measured(
        name="diversity.duplicates",
        value=shares.synthetic,
        real=shares.holdout,
        low=max(0.0, shares.synthetic - spread),
        high=min(1.0, shares.synthetic + spread),
        size=size,
        meaning="Share of the texts that say the same as an earlier one, but for case and white space.",
        gate=Gate(high=bound, advice="add the filter duplicate or near_duplicate to the recipe"),
    )
