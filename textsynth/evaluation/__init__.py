"""Synthetic records measured against real ones that they were made from, and against real ones held out.

``evaluate`` gives an ``Evaluation``; ``Evaluation.as_data()`` (also the file that ``save`` writes) is this JSON object,
which reports and plots are drawn from::

    version       1
    passed        true if every gate that could be measured holds
    verdict       [sentence, ...]: what is good enough, what is not and what to do; the first sums up
    sizes         {"synthetic": n, "real": n, "holdout": n, "compared": n}: rows given; rows of each set compared
    fields        [{"name": str, "kind": str}, ...]: as inferred on the real rows (kinds of ``textsynth.columns``)
    notes         [sentence, ...]: what was subsampled, split or assumed
    not_measured  [{"what": str, "why": str}, ...]
    values        [Measured.as_data(), ...]: name, value, real, low, high, size, passed, gate, meaning, detail
    plots         an object; a key is absent if there is nothing to draw:
      marginals   [{"field": str, "kind": "number"|"category", "bins": [str, ...], "accuracy": float,
                    "real": [share, ...], "holdout": [share, ...], "synthetic": [share, ...]}, ...]; worst field first
      pairs       {"fields": [str, ...], "excess": [[float|null, ...], ...]}: per pair of fields, how far the accuracy lies
                  below what two real samples have (0 is perfect); on the diagonal the field alone
      map         {"explained": [float, float], "sets": {"real"|"holdout"|"synthetic"|"rejected":
                    {"x": [float, ...], "y": [float, ...], "text": [str, ...]}}}: embeddings on the first two principal
                  components of the real ones; texts cut to 120 characters
      growth      {"synthetic"|"real": [{"texts": n, "new": float}, ...]}: share of the 4-grams not seen in earlier texts
      vendi       {"synthetic"|"real": [{"texts": n, "vendi": float}, ...]}
      lengths     {"synthetic"|"real": {"edges": [words, ...], "share": [share, ...]}} (one entry fewer than edges)
      privacy     [{"name": str, "label": str, "value": float, "real": float|null, "low": float|null,
                    "high": float|null, "gate": {"low": float|null, "high": float|null}, "passed": bool|null}, ...]
      bias        [{"attribute": str, "group": str, "real": share, "synthetic": share, "outcome": str,
                    "outcome_real": rate|null, "outcome_synthetic": rate|null}, ...]: share of each group, and how often it
                  has the outcome ("" without a label)
      importances [{"of": str, "feature": str, "importance": float}, ...]: by what a classifier told synthetic from real;
                  ``of`` is the name of the value; the importance is the fall of its AUC without the feature
      examples    [{"why": "nearest"|"typical", "field": str, "synthetic": str, "real": str, "similarity": float,
                    "copied": bool}, ...]: with the nearest real text; nearest first

Plots and examples show real records: the file is as confidential as the real data.
"""

from __future__ import annotations

from textsynth.evaluation._evaluation import GROUPS, Evaluation, Missing, spoken
from textsynth.evaluation._run import Progress, evaluate

__all__ = ["GROUPS", "Evaluation", "Missing", "Progress", "evaluate", "spoken"]
