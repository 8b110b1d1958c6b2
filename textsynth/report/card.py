"""The dataset card: what a dataset was made from, what was dropped and why, what it is not, and how to make it again.

``facts`` collects from a run's ledger, ``card`` is a pure function of what it found: no clock, no disk, no network, so
the same run has the same card.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textsynth.export import Files, TokenCounts, data_files, license_metadata, size_category, split_sizes
from textsynth.markdown import cell, code, codes, duration, label, longest_fence, section, table
from textsynth.recipe import ExportSpec, Recipe
from textsynth.report.measures import card_lines
from textsynth.schema import Finding

HUB_NAME = re.compile(r"[\w-]+/[\w-]+(\.\d[\w.-]*)?")
"""A data set on the hub, ``owner/name``, unlike a file in a folder."""


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """Everything the card says, as plain values; what is unknown is left at its default and not claimed.

    Args:
        reasons: how many draws were dropped, by reason. With ``records`` and ``open`` they add up to ``draws``.
        open: draws without a verdict when the dataset was made.
        stopped_by: ``records``, or the limit that ended the run early; empty while it goes on.
        engine_notes: what the engine said of its own settings.
        seconds: wall time of all sessions of the run.
        quotas_wanted: field, value, number; ``quotas_got`` likewise, counted in the dataset.
        enforced: schema keywords that decoding enforced; ``checked`` those that only the check afterwards did.
        findings: what else the reader must know of the schema (bounds put in, keywords not enforced).
        filters: names of the filters that ran.
        measures: lines about quality, as Markdown.
        pii_unsought: kinds of personal data that the PII filter did not look for; ``None`` if there was no such filter.
        json_columns: paths of columns that hold JSON text, with the reason.
        created: the day, as ISO date.
        splits: rows by split.
        rows_per_record: how many rows the form makes of each record.
        form: name of the export form.
        tasks: the hub's task categories of that form.
        token_counts: tokens of the rows, and how many rows were left out as too long; ``None`` if not counted.
    """

    name: str
    model: str
    engine: str
    records: int
    draws: int
    reasons: Mapping[str, int] = field(default_factory=dict)
    open: int = 0
    stopped_by: str = ""
    model_source: str = ""
    engine_version: str = ""
    engine_notes: Sequence[str] = ()
    backend: str = ""
    method: str = ""
    recipe_yaml: str = ""
    recipe_name: str = ""
    prompt_name: str = ""
    prompt_sha256: str = ""
    seeds_source: str = ""
    seeds_rows: int = 0
    seeds_license: str = ""
    seeds_attribution: str = ""
    license: str = ""
    language: str = ""
    prompt_tokens: int = 0
    tokens: int = 0
    seconds: float = 0.0
    quotas_wanted: Mapping[str, Mapping[Any, int]] = field(default_factory=dict)
    quotas_got: Mapping[str, Mapping[Any, int]] = field(default_factory=dict)
    enforced: Sequence[str] = ()
    checked: Sequence[str] = ()
    findings: Sequence[str] = ()
    filters: Sequence[str] = ()
    measures: Sequence[str] = ()
    pii_unsought: Sequence[str] | None = None
    json_columns: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    textsynth_version: str = ""
    created: str = ""
    splits: Mapping[str, int] = field(default_factory=dict)
    rows_per_record: int = 1
    form: str = "records"
    tasks: Sequence[str] = ()
    token_counts: TokenCounts | None = None
    files: Files = "parquet"
    repo: str = ""

    def __post_init__(self) -> None:
        """Check that every draw is accounted for."""
        ended = self.records + self.open + sum(self.reasons.values())
        if ended != self.draws:
            raise ValueError(f"reasons: kept, dropped and open draws must add up to draws ({self.draws}), got {ended}")
        rows = self.records * self.rows_per_record - self.left_out
        if self.splits and sum(self.splits.values()) != rows:
            raise ValueError(f"splits: they must add up to the rows of all records ({rows}), got {dict(self.splits)}")

    @property
    def left_out(self) -> int:
        """How many rows were left out as too long."""
        return sum(self.token_counts.left_out.values()) if self.token_counts else 0


def facts(run: Any, spec: ExportSpec, splits: Mapping[str, int], token_counts: TokenCounts | None = None) -> RunFacts:
    """Collect what the card of one export says from the run's ledger.

    Args:
        run: a ``textsynth.runs.Run``; that module stands above this one and imports it.
        spec: the export that the card is for.
        splits: rows by split; if empty, what they will be. Records kept since they were counted (the run may still be
            going on in another process) count as open.
        token_counts: what ``export.count_tokens`` found; the rows that it left out are not in ``splits``.
    """
    recipe, parts, totals, fact = run.recipe, run.parts, run.totals, run.ledger.fact
    form = run.form(spec)
    each = form.layout(parts.schema).rows_per_record
    splits = splits or {name: size * each for name, size in split_sizes(spec.splits, totals.kept).items()}
    left_out = sum(token_counts.left_out.values()) if token_counts else 0
    records = (sum(splits.values()) + left_out) // each
    engine = fact("engine", {})
    return RunFacts(
        name=recipe.name,
        model=recipe.model,
        model_source=engine.get("model_source", ""),
        engine=engine.get("name", recipe.engine_name),
        engine_version=engine.get("version", ""),
        engine_notes=fact("engine_notes", []),
        backend=fact("backend", ""),
        method=", ".join(step.name for step in parts.steps),
        recipe_yaml=fact("recipe", ""),
        prompt_name=", ".join(step.prompt.name for step in parts.steps),
        prompt_sha256=", ".join(step.prompt.sha256 for step in parts.steps),
        records=records,
        draws=totals.draws,
        reasons=totals.reasons,
        open=totals.open + totals.kept - records,
        stopped_by=fact("stopped_by", ""),
        prompt_tokens=totals.prompt_tokens,
        tokens=totals.tokens,
        seconds=sum(session["seconds"] for session in fact("sessions", [])),
        quotas_wanted=parts.quotas,
        quotas_got=count_quotas(run),
        filters=list(parts.filters),
        **filter_facts(
            fact("filters", {}), parts.filters, [*figure_lines(run.figures), *evaluated(run.folder, records)]
        ),
        json_columns=form.json_columns(parts.schema),
        seed=recipe.seed,
        textsynth_version=importlib.metadata.version("textsynth"),
        created=fact("created", "")[:10],
        splits=splits,
        rows_per_record=each,
        form=spec.form.name,
        tasks=form.tasks,
        token_counts=token_counts,
        files=spec.files,
        repo=spec.hub,
        license=recipe.license,
        language=recipe.language,
        **schema_facts([Finding(*row) for row in fact("findings", [])]),
        **seed_facts(recipe, fact("seeds_rows", 0)),
    )


def count_quotas(run: Any) -> dict[str, Counter[Any]]:
    """Count, in one pass over the records, the values of every field that has a quota."""
    found: dict[str, Counter[Any]] = {name: Counter() for name in run.parts.quotas}
    for record in run.records() if found else ():
        for name, counts in found.items():
            counts[record.get(name)] += 1
    return found


def schema_facts(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return what the card says of the schema's keywords."""
    return {
        "enforced": sorted({f.keyword for f in findings if f.status == "enforced"}),
        "checked": sorted({f.keyword for f in findings if f.status == "checked"}),
        "findings": [f"{f.path} {f.keyword}: {f.note}" for f in findings if f.status != "enforced"],
    }


def seed_facts(recipe: Recipe, rows: int) -> dict[str, Any]:
    """Return what the card says of the seeds; of a path only the last part, as the rest may name a person's folders."""
    spec = recipe.seeds
    if spec is None:
        return {}
    source = spec.path if HUB_NAME.fullmatch(spec.path) else Path(spec.path).name
    named = {"seeds_license": spec.license, "seeds_attribution": spec.attribution}
    return {"seeds_source": source, "seeds_rows": rows, **named}


def evaluated(folder: Path, records: int) -> list[str]:
    """Return the short form of the evaluation in a run's folder, if there is one and it is of as many records."""
    file = folder / "evaluation.json"
    try:
        found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except ValueError:
        return []
    return card_lines(found) if found.get("sizes", {}).get("synthetic") == records else []


def filter_facts(reported: Mapping[str, Any], names: Iterable[str], more: Sequence[str]) -> dict[str, Any]:
    """Return what the card says of what was measured, one line each, and of what was not looked for."""
    lines = [
        f"{name}, {key.replace('_', ' ')}: {shown(value)}"
        for name, found in reported.items()
        for key, value in found["measured"].items()
        if value not in (None, [], {}, "")
    ]
    unsought = reported.get("pii", {}).get("measured", {}).get("not_looked_for", ())
    return {"measures": lines + list(more), "pii_unsought": unsought if "pii" in names else None}


def figure_lines(figures: Mapping[str, Any], place: str = "") -> list[str]:
    """Return what a method says of its records, one line a figure; those of a chain's steps under the step's name."""
    lines = []
    for name, value in figures.items():
        words = f"{place}{name.replace('_', ' ')}"
        if isinstance(value, Mapping) and any(isinstance(item, Mapping) for item in value.values()):
            lines += figure_lines(value, f"{words}, ")
        elif value not in (None, [], {}, ""):
            lines.append(f"{words}: {shown(value)}")
    return lines


def shown(value: Any) -> str:
    """Return a measurement in one line: numbers rounded, the first ten of many."""
    if isinstance(value, Mapping):
        value = [f"{key} {shown(item)}" for key, item in value.items() if item not in (None, [], {}, "")]
    if isinstance(value, list | tuple):
        parts = [shown(item) for item in value[:10]]
        return ", ".join([*parts, f"and {len(value) - 10} more"] if len(value) > 10 else parts)
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else cell(str(value))


def card(facts: RunFacts) -> str:
    """Return the card: YAML metadata that the hub accepts, then Markdown."""
    sections = [
        introduction(facts),
        section("How to load it", loading(facts)),
        section("What it was made from", provenance(facts)),
        section("What became of every draw", outcome(facts)),
        section("Quotas", quotas(facts)),
        section("Tokens", [f"- {line}" for line in facts.token_counts.lines()] if facts.token_counts else []),
        section("Schema", schema(facts)),
        section("Measures", [f"- {line}" for line in facts.measures]),
        section("Limits", limits(facts)),
        section("How to make it again", reproduction(facts)),
    ]
    return f"---\n{metadata(facts)}\n---\n\n" + "\n\n".join(filter(None, sections)) + "\n"


def metadata(facts: RunFacts) -> str:
    """Return the card's YAML."""
    from huggingface_hub import DatasetCardData

    known = re.fullmatch(r"[a-z]{2,3}", facts.language)
    splits = [name for name, rows in facts.splits.items() if rows] or list(facts.splits)
    data = DatasetCardData(
        pretty_name=facts.name,
        language=[facts.language] if known else None,
        annotations_creators=["machine-generated"],
        language_creators=["machine-generated"],
        size_categories=[size_category(facts.records * facts.rows_per_record - facts.left_out)],
        task_categories=list(facts.tasks) or None,
        tags=["synthetic", "textsynth"],
        **license_metadata(facts.license),
        **({"configs": data_files(splits, facts.files)} if splits and facts.files != "arrow" else {}),
    )
    return str(data.to_yaml())


def introduction(facts: RunFacts) -> str:
    """Return title and first paragraph."""
    sizes = ", ".join(f"{name} {rows:,}" for name, rows in facts.splits.items())
    return (
        f"# {facts.name}\n\n**Synthetic data.** {facts.records:,} records"
        + (
            f" in {sum(facts.splits.values()):,} rows"
            if facts.splits and (facts.rows_per_record > 1 or facts.left_out)
            else ""
        )
        + (f" ({sizes})" if len(facts.splits) > 1 else "")
        + (
            ", made up by a script in place of a language model (a dry run, not data)"
            if facts.engine == "scripted"
            else ""
        )
        + (f", written by the language model {code(facts.model)}" if facts.engine != "scripted" else "")
        + " with"
        + f" textsynth {facts.textsynth_version}".rstrip()
        + (f" on {facts.created}" if facts.created else "")
        + ". No person wrote or checked them one by one."
    )


def loading(facts: RunFacts) -> list[str]:
    """Return how to load it, and what comes as JSON text."""
    place = facts.repo or "path/to/this/folder"
    name = "load_from_disk" if facts.files == "arrow" and not facts.repo else "load_dataset"
    lines = ["```python", f"from datasets import {name}", "", f'dataset = {name}("{place}")', "```"]
    if facts.files == "jsonl":
        lines += [
            "",
            "`datasets` takes a column of JSON Lines whose every string looks like a date for timestamps and returns it "
            "in another spelling; where that matters, read the file line by line with `json.loads`.",
        ]
    if facts.json_columns:
        lines += ["", "Columns of JSON text (for `json.loads`), since no column type holds their values exactly:", ""]
        lines += table(["column", "why"], ((code(path), why) for path, why in facts.json_columns.items()))
    empty = [code(name) for name, rows in facts.splits.items() if not rows]
    if empty:
        lines += ["", f"Splits without rows: {', '.join(empty)}. `datasets` loads such a split from Arrow files only."]
    return lines


def provenance(facts: RunFacts) -> list[str]:
    """Return what went in."""
    seeds = f"{facts.seeds_rows:,} rows of {code(facts.seeds_source)}" if facts.seeds_source else "none"
    engine = " ".join(filter(None, (facts.engine, facts.engine_version)))
    prompt = code(facts.prompt_name)
    prompt += f" (SHA-256 of its text {code(facts.prompt_sha256)})" if facts.prompt_sha256 else ""
    rows = [
        ("model", code(facts.model)),
        ("weights from", facts.model_source),
        ("engine", engine + (f", structured output by {facts.backend}" if facts.backend else "")),
        ("method", facts.method),
        ("recipe", code(facts.recipe_name or facts.name)),
        ("prompt", prompt if facts.prompt_name else ""),
        ("seed examples", seeds),
        ("licence of the seeds", (facts.seeds_license or "not stated") if facts.seeds_source else ""),
        ("attribution", facts.seeds_attribution),
        ("licence of this dataset", facts.license or "not stated"),
        ("language", facts.language),
        ("form", facts.form),
        ("notes of the engine", "; ".join(facts.engine_notes)),
    ]
    return table(["", ""], ((name, value) for name, value in rows if value))


def outcome(facts: RunFacts) -> list[str]:
    """Return the counts by verdict, which add up to the draws, and what it took."""
    dropped = sorted(facts.reasons.items(), key=lambda item: (-item[1], item[0]))
    rows = [("kept", facts.records), *((f"dropped: {reason}", count) for reason, count in dropped)]
    rows += [("no verdict when this was made", facts.open)] if facts.open else []
    share = [(name, count, f"{count / facts.draws:.1%}" if facts.draws else "") for name, count in rows]
    lines = table(["verdict", "draws", "share"], [*share, ("**all**", facts.draws, "")])
    took = f"{facts.prompt_tokens:,} prompt tokens and {facts.tokens:,} generated tokens in {duration(facts.seconds)}"
    speed = f", {facts.tokens / facts.seconds:,.0f} generated per second" if facts.seconds else ""
    ended = {"records": "", "": " The run had not ended when this was made."}
    limit = ended.get(facts.stopped_by, f" The run ended early, by its limit: {cell(facts.stopped_by)}.")
    return [*lines, "", f"{took}{speed}.{limit}"]


def quotas(facts: RunFacts) -> list[str]:
    """Return what was wanted and what was got, per value."""
    rows = [
        (field_name, label(value), wanted, facts.quotas_got.get(field_name, {}).get(value, 0))
        for field_name, values in facts.quotas_wanted.items()
        for value, wanted in values.items()
    ]
    return table(["field", "value", "wanted", "got"], rows)


def schema(facts: RunFacts) -> list[str]:
    """Return which keywords were enforced when, and what else was found."""
    lines = []
    if facts.enforced:
        lines.append(f"- Enforced while decoding, and checked again afterwards: {codes(facts.enforced)}.")
    if facts.checked:
        lines.append(f"- Only checked afterwards, records that fail being dropped: {codes(facts.checked)}.")
    return lines + [f"- {cell(finding)}" for finding in facts.findings]


def limits(facts: RunFacts) -> list[str]:
    """Return what a user of the data must not assume."""
    pii = "- Nobody looked for personal data: no PII filter ran. The model may repeat what it was trained on."
    if facts.pii_unsought is not None:
        left = f" It did not look for {', '.join(facts.pii_unsought)}." if facts.pii_unsought else ""
        pii = f"- A filter looked for personal data; it does not find everything.{left}"
    ran = codes(facts.filters) if facts.filters else "none"
    lines = [
        "- The records are synthetic. What they state as fact may be wrong, and no share or correlation in them holds "
        "of the real world unless the recipe or a measure says so.",
        "- The model's own biases and blind spots are in them: its favourite names, places, phrases and opinions. "
        "A small model shows them more strongly, repeats itself more and reasons less.",
        pii,
        f"- Filters that ran: {ran}. Whatever no filter looks for is still there.",
    ]
    if facts.seeds_source:
        lines.append("- Seed examples were shown to the model: style, content and mistakes of theirs can come through.")
    return [*lines, "- Terms of the model's own licence may apply to what it generates."]


def reproduction(facts: RunFacts) -> list[str]:
    """Return how to make the dataset again, with the recipe."""
    version = f"=={facts.textsynth_version}" if facts.textsynth_version else ""
    file = f"{facts.recipe_name or facts.name}.yaml"
    lines = [
        f"```\npip install 'textsynth{version}'\ntextsynth run {file}\n```",
        "",
        f"The plan (what each draw asks for) follows from the recipe and its seed, {facts.seed}, alone. The texts "
        "repeat exactly only where the engine gives the same text for the same request: same weights, same hardware.",
    ]
    if facts.recipe_yaml:
        fence = "`" * max(3, 1 + longest_fence(facts.recipe_yaml))
        lines += ["", "<details><summary>The recipe</summary>", ""]
        lines += [f"{fence}yaml", facts.recipe_yaml.rstrip(), fence, "", "</details>"]
    return lines
