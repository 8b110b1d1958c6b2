"""Measured values as a person reads them: the verdict over all of them, and lines for a dataset card.

Values come as JSON (``Evaluation.as_data()``), so a saved evaluation and one just made read the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from textsynth.markdown import cell
from textsynth.report.wording import bounds, interval, number, rows, sentence, title

GROUPS = ("fidelity", "utility", "diversity", "privacy", "bias")


def card_lines(evaluation: Mapping[str, Any]) -> list[str]:
    """Return the short form of an evaluation for a dataset card: the verdict, then one line a value that is judged.

    Args:
        evaluation: ``Evaluation.as_data()``.
    """
    judged = [row for row in evaluation.get("values", ()) if row.get("passed") is not None]
    first = next(iter(evaluation.get("verdict", ())), "")
    lines = [f"**{cell(first)}** {rows(evaluation.get('sizes', {}))}".rstrip()] if first else []
    return lines + [card_line(row) for row in judged]


def card_line(row: Mapping[str, Any]) -> str:
    """Return one judged value: beside real data's, with its interval, its bounds and whether they hold."""
    beside = f", real data {number(row['real'])}" if row.get("real") is not None else ""
    between = f", 95 % interval {interval(row['low'], row['high'])}" if row.get("low") is not None else ""
    held = "holds" if row["passed"] else "**fails**"
    return f"{heading(row)}: {number(row['value'])}{beside}{between}; {bounds(row['gate'])}: {held}"


def heading(row: Mapping[str, Any]) -> str:
    """Return the full name of a value as words: ``Fidelity, accuracy, pairs``."""
    return f"{row['name'].partition('.')[0].capitalize()}, {title(row['name'])}"


def verdict(evaluation: Mapping[str, Any] | None, run: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what is good enough, what is not, and what to do, as JSON values.

    Args:
        evaluation: ``Evaluation.as_data()``, or ``None`` if nothing was measured.
        run: what ``collect.summary`` says of the run, or ``None``.
    """
    values = (evaluation or {}).get("values", [])
    judged = [row for row in values if row.get("passed") is not None]
    lacking = [failure(row) for row in judged if not row["passed"]]
    return {
        "state": "open" if not judged else "bad" if lacking else "good",
        "headline": headline(evaluation, judged, len(lacking)),
        "groups": groups(judged),
        "lacking": lacking,
        "run": remarks(run) if run else [],
    }


def headline(evaluation: Mapping[str, Any] | None, judged: Sequence[Mapping[str, Any]], failed: int) -> str:
    """Return the verdict in one sentence."""
    if evaluation is None:
        return "Not judged yet: nothing was measured against real data."
    if not judged:
        return "Not judged: no value could be compared with what counts as good enough."
    if failed:
        return f"Not good enough: {failed} of {len(judged)} checks fail."
    return f"Good enough: all {len(judged)} checks hold."


def groups(judged: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return per group how many of its judged values are good enough."""
    found = []
    for group in GROUPS:
        mine = [row["passed"] for row in judged if row["name"].partition(".")[0] == group]
        found += [{"group": group, "held": sum(mine), "judged": len(mine)}] if mine else []
    return found


def failure(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the verdict says of a value that is not good enough."""
    return {
        "name": row["name"],
        "value": row["value"],
        "real": row.get("real"),
        "wanted": bounds(row["gate"]),
        "meaning": row["meaning"],
        "advice": sentence(row["gate"].get("advice", "")),
    }


def remarks(run: Mapping[str, Any]) -> list[str]:
    """Return what the reader must know of how the run ended."""
    found = []
    if run["scripted"]:
        found.append("A dry run: a script made these records up in place of a language model. They are not data.")
    kept = f"{number(run['records'])} of {number(run['wanted'])} records"
    if run["stopped_by"] == "records":
        found.append(f"The run kept all {number(run['records'])} records it was to make.")
    elif run["stopped_by"]:
        found.append(f"The run ended early, by its limit: {run['stopped_by']}. It kept {kept}.")
    else:
        found.append(f"The run had not ended when this was written. It had kept {kept}.")
    if run["advice"] and run["stopped_by"] != "records":
        found.append(f"What would help most: {run['advice']}.")
    return found
