"""What the report shows, as JSON values: one entry a section, or the reason why there is nothing to show.

A run is read from its ledger, an evaluation from ``Evaluation.as_data()``; nothing here draws.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from textsynth.errors import LedgerError
from textsynth.ledger import FILE
from textsynth.report.card import count_quotas
from textsynth.report.wording import cut, sentence

NO_RUN = "There is no run behind this report, so no ledger to read it from."
NO_EVALUATION = "Nothing was measured against real data. Give --real and --holdout, or --evaluation."
MOST_EXAMPLES = 6
EXCERPT = 600

WINDOWS = """
    SELECT d.window, count(*), total(v.reason = ''), total(v.draw IS NULL), total(c.tokens)
    FROM draws d LEFT JOIN verdicts v ON v.draw = d.idx
    LEFT JOIN (SELECT draw, sum(tokens) AS tokens FROM completions GROUP BY draw) c ON c.draw = d.idx
    GROUP BY d.window ORDER BY d.window"""
FIRST_DROPS = "SELECT reason, count(*), min(draw) FROM verdicts WHERE reason != '' GROUP BY reason"


def summary(run: Any) -> dict[str, Any]:
    """Return the key facts of a run: what it was to make, what it made, with what, and what it took."""
    totals, fact = run.totals, run.ledger.fact
    engine = fact("engine", {})
    return {
        "name": run.recipe.name,
        "model": run.recipe.model,
        "engine": engine.get("name", run.recipe.engine_name),
        "scripted": engine.get("name", run.recipe.engine_name) == "scripted",
        "wanted": run.recipe.records,
        "records": totals.kept,
        "draws": totals.draws,
        "open": totals.open,
        "prompt_tokens": totals.prompt_tokens,
        "tokens": totals.tokens,
        "seconds": sum(session["seconds"] for session in fact("sessions", [])),
        "stopped_by": fact("stopped_by", ""),
        "advice": run.advice(),
        "created": fact("created", "")[:10],
    }


def sections(run: Any, evaluation: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return every section's data, or ``{"missing": why}``, by the section's name."""
    found = {name: of_run(run, read) for name, read in OF_RUN.items()}
    plots = (evaluation or {}).get("plots", {})
    for name in ("marginals", "pairs", "importances", "map", "privacy", "bias", "examples"):
        found[name] = plots.get(name) or {"missing": why_not(name, evaluation)}
    drawn = {name: plots[name] for name in ("growth", "vendi", "lengths") if plots.get(name)}
    found["growth"] = drawn or (found["growth"] if run is not None else {"missing": "No texts were recorded."})
    return found


def of_run(run: Any, read: Callable[[Any], Any]) -> Any:
    """Return what ``read`` finds in a run, or why it finds nothing."""
    if run is None:
        return {"missing": NO_RUN}
    try:
        return read(run)
    except LedgerError as error:
        return {"missing": error.message}


def why_not(name: str, evaluation: Mapping[str, Any] | None) -> str:
    """Return why an evaluation has nothing to show in a section."""
    if evaluation is None:
        return NO_EVALUATION
    reasons = {
        "marginals": "There is no field whose values can be counted.",
        "pairs": "It takes two fields whose values can be counted.",
        "importances": "What a classifier told synthetic records by was not recorded.",
        "map": "No embedded texts were recorded.",
        "privacy": "No privacy measures were recorded.",
        "bias": "No shares of protected groups were recorded: name the fields with --protected.",
        "examples": "No texts with their nearest real ones were recorded.",
    }
    said = [
        sentence(f"{row['what']}: {row['why']}")
        for row in evaluation.get("not_measured", ())
        if name in row["what"].lower()
    ]
    return " ".join([reasons[name], *said])


def windows(run: Any) -> Any:
    """Return draws, kept and open draws and generated tokens per window."""
    names = ("window", "draws", "kept", "open", "tokens")
    rows = [dict(zip(names, map(int, row), strict=True)) for row in query(run.folder, WINDOWS)]
    return {"windows": rows} if rows else {"missing": "Nothing was drawn yet."}


def drops(run: Any) -> Any:
    """Return how many draws were dropped by reason, most first, with the first one of each."""
    rows = [drop(run, *row) for row in query(run.folder, FIRST_DROPS)]
    found = sorted(rows, key=lambda row: (-row["draws"], row["reason"]))
    return {"reasons": found, "all": run.totals.draws} if found else {"missing": "Nothing was dropped."}


def drop(run: Any, reason: str, draws: int, first: int) -> dict[str, Any]:
    """Return one reason with its count and the first draw that was dropped for it."""
    ended, record = run.ledger.verdict(first)
    answers = run.ledger.completions(first)
    text = excerpt(record) if record is not None else cut(answers[-1].text, EXCERPT) if answers else ""
    return {"reason": reason, "draws": draws, "first": first, "detail": cut(ended.detail, EXCERPT), "text": text}


def growth(run: Any) -> Any:
    """Return what the diversity filter measured: new word sequences per further record, and the Vendi score."""
    measured = run.ledger.fact("filters", {}).get("diversity", {}).get("measured", {})
    curve = measured.get("growth") or {}
    step = curve.get("records_a_point", 0)
    new = [{"texts": step * (at + 1), "new": share} for at, share in enumerate(curve.get("new_share", ()))]
    vendi = [{"texts": row["records"], "vendi": row["vendi"]} for row in measured.get("vendi_growth") or ()]
    found: dict[str, Any] = {name: {"synthetic": rows} for name, rows in (("growth", new), ("vendi", vendi)) if rows}
    if curve.get("says"):
        found["says"] = curve["says"]
    return found or {"missing": "Diversity was not measured: add the filter diversity to the recipe."}


def quotas(run: Any) -> Any:
    """Return what was wanted and what was got, per field and value."""
    got = count_quotas(run)
    rows = [
        {"field": name, "value": value, "wanted": wanted, "got": got[name][value]}
        for name, values in run.parts.quotas.items()
        for value, wanted in values.items()
    ]
    return {"quotas": rows} if rows else {"missing": "The recipe asks for no quotas."}


def steering(run: Any) -> Any:
    """Return what steering did, window by window."""
    return run.ledger.fact("steering") or {"missing": "The run was not steered by a profile."}


def kept(run: Any) -> Any:
    """Return the first kept records."""
    rows = [{"draw": index, "text": excerpt(record)} for index, record in islice(run.ledger.kept(), MOST_EXAMPLES)]
    return {"records": rows} if rows else {"missing": "No record was kept."}


def recipe(run: Any) -> Any:
    """Return the recipe as it was run."""
    text = run.ledger.fact("recipe", "")
    return {"yaml": text} if text else {"missing": "The ledger holds no recipe."}


def excerpt(record: Mapping[str, Any]) -> str:
    """Return a record as JSON on one line, cut."""
    return cut(json.dumps(record, ensure_ascii=False, default=str), EXCERPT)


def query(folder: Path, sql: str) -> list[Any]:
    """Return the rows of a query to a run's ledger, which another process may be writing."""
    link = sqlite3.connect(f"{(folder / FILE).resolve().as_uri()}?mode=ro", uri=True)
    try:
        return link.execute(sql).fetchall()
    except sqlite3.Error as error:
        raise LedgerError(f"the ledger in {str(folder)!r} cannot be read: {error}") from error
    finally:
        link.close()


OF_RUN: dict[str, Callable[[Any], Any]] = {
    "windows": windows,
    "drops": drops,
    "growth": growth,
    "quotas": quotas,
    "steering": steering,
    "kept": kept,
    "recipe": recipe,
}
"""How each section is read from a run."""
