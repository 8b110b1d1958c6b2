"""The dataset card: what a dataset was made from, what was dropped and why, what it is not, and how to make it again.

``card`` is a pure function of ``RunFacts``: no clock, no disk, no network, so the same run has the same card.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from textsynth.export import Files, data_files

LICENSES = frozenset(
    """
    apache-2.0 mit cc0-1.0 cc-by-2.0 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-4.0 cc-by-nc-sa-4.0
    cc-by-nd-4.0 cc-by-nc-nd-4.0 odc-by odbl pddl cdla-permissive-2.0 cdla-sharing-1.0 bsd-2-clause bsd-3-clause
    gpl-3.0 lgpl-3.0 agpl-3.0 mpl-2.0 openrail llama3 llama3.1 llama3.2 llama3.3 llama4 gemma unlicense other unknown
    """.split()  # noqa: SIM905
)
"""Identifiers that the hub takes as they are; any other licence is ``other`` there, with its name beside it."""

SIZES = ("1K", "10K", "100K", "1M", "10M", "100M", "1B")
TASKS = {
    "messages": ["text-generation"],
    "prompt_completion": ["text-generation"],
    "classification": ["text-classification"],
}
"""Task categories of the hub by form; a plain record may be for anything."""


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """Everything the card says, as plain values; what is unknown is left at its default and not claimed.

    Args:
        reasons: how many draws were dropped, by reason. With ``records`` and ``open`` they add up to ``draws``.
        open: draws without a verdict, because the run stopped.
        seconds: wall time of all sessions of the run.
        quotas_wanted: field, value, number; ``quotas_got`` likewise, counted in the dataset.
        enforced: schema keywords that decoding enforced; ``checked`` those that only the check afterwards did.
        findings: what else the reader must know of the schema (bounds put in, keywords not enforced).
        filters: names of the filters that ran.
        measures: lines about quality, as Markdown.
        json_columns: paths of columns that hold JSON text, with the reason.
        created: the day, as ISO date.
        splits: rows by split.
        form: name of the export form.
    """

    name: str
    model: str
    engine: str
    records: int
    draws: int
    reasons: Mapping[str, int] = field(default_factory=dict)
    open: int = 0
    engine_version: str = ""
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
    json_columns: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    textsynth_version: str = ""
    created: str = ""
    splits: Mapping[str, int] = field(default_factory=dict)
    form: str = "records"
    files: Files = "parquet"
    repo: str = ""

    def __post_init__(self) -> None:
        """Check that every draw is accounted for."""
        ended = self.records + self.open + sum(self.reasons.values())
        if ended != self.draws:
            raise ValueError(f"reasons: kept, dropped and open draws must add up to draws ({self.draws}), got {ended}")
        if self.splits and sum(self.splits.values()) != self.records:
            raise ValueError(f"splits: they must add up to records ({self.records}), got {dict(self.splits)}")


def card(facts: RunFacts) -> str:
    """Return the card: YAML metadata that the hub accepts, then Markdown."""
    sections = [
        introduction(facts),
        section("How to load it", loading(facts)),
        section("What it was made from", provenance(facts)),
        section("What became of every draw", outcome(facts)),
        section("Quotas", quotas(facts)),
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
        size_categories=[size_category(facts.records)],
        task_categories=TASKS.get(facts.form),
        tags=["synthetic", "textsynth"],
        **license_metadata(facts.license),
        **({"configs": data_files(splits, facts.files)} if splits and facts.files != "arrow" else {}),
    )
    return str(data.to_yaml())


def license_metadata(name: str) -> dict[str, str]:
    """Return the licence as the hub wants it; nothing if none was stated."""
    if not name:
        return {}
    if name.lower() in LICENSES:
        return {"license": name.lower()}
    return {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-") or "other"}


def size_category(records: int) -> str:
    """Return the hub's category for a number of rows."""
    for power, upper in enumerate(SIZES):
        if records < 1000 * 10**power:
            return f"n<{upper}" if power == 0 else f"{SIZES[power - 1]}<n<{upper}"
    return "1B<n<10B"


def section(title: str, lines: Iterable[str]) -> str:
    """Return a section, or nothing if it has no lines."""
    body = "\n".join(lines)
    return f"## {title}\n\n{body}" if body else ""


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Return a Markdown table; numbers have thousands separated."""
    shown = [[f"{value:,}" if isinstance(value, int) else cell(value) for value in row] for row in rows]
    return [f"| {' | '.join(line)} |" for line in ([*head], ["---"] * len(head), *shown)] if shown else []


def cell(text: str) -> str:
    """Return text that stays within its cell."""
    return " ".join(text.split()).replace("|", "\\|")


def introduction(facts: RunFacts) -> str:
    """Return title and first paragraph."""
    sizes = ", ".join(f"{name} {rows:,}" for name, rows in facts.splits.items())
    return (
        f"# {facts.name}\n\n**Synthetic data.** {facts.records:,} records"
        + (f" ({sizes})" if len(facts.splits) > 1 else "")
        + f", written by the language model {code(facts.model)} with"
        + f" [textsynth](https://pypi.org/project/textsynth/) {facts.textsynth_version}".rstrip()
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
            "`datasets` takes a column of JSON Lines whose every string looks like a date for timestamps, and returns it "
            "in another spelling; read the file with `json.loads` line by line where that matters.",
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
    ]
    return table(["", ""], ((name, value) for name, value in rows if value))


def outcome(facts: RunFacts) -> list[str]:
    """Return the counts by verdict, which add up to the draws, and what it took."""
    dropped = sorted(facts.reasons.items(), key=lambda item: (-item[1], item[0]))
    rows = [("kept", facts.records), *((f"dropped: {reason}", count) for reason, count in dropped)]
    rows += [("no verdict: the run stopped", facts.open)] if facts.open else []
    share = [(name, count, f"{count / facts.draws:.1%}" if facts.draws else "") for name, count in rows]
    lines = table(["verdict", "draws", "share"], [*share, ("**all**", facts.draws, "")])
    took = f"{facts.prompt_tokens:,} prompt tokens and {facts.tokens:,} generated tokens in {duration(facts.seconds)}"
    speed = f", {facts.tokens / facts.seconds:,.0f} generated per second" if facts.seconds else ""
    return [*lines, "", f"{took}{speed}."]


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
    pii = (
        "- A filter looked for personal data; it finds patterns and names, not everything."
        if "pii" in facts.filters
        else "- Nobody looked for personal data: no PII filter ran. The model may repeat what it was trained on."
    )
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


def code(text: str) -> str:
    """Return text as inline code, in a fence longer than any inside."""
    fence = "`" * (1 + longest_fence(text))
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}" if text else ""


def longest_fence(text: str) -> int:
    """Return the length of the longest run of backticks in ``text``."""
    return max(map(len, re.findall(r"`+", text)), default=0)


def codes(names: Iterable[str]) -> str:
    """Return names as inline code, separated by commas."""
    return ", ".join(map(code, names))


def label(value: Any) -> str:
    """Return a quota's value as JSON would name it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def duration(seconds: float) -> str:
    """Return a time in at most two units."""
    whole = round(seconds)
    for size, unit, below in ((86400, "d", "h"), (3600, "h", "min"), (60, "min", "s")):
        if whole >= size:
            part = {"h": 3600, "min": 60, "s": 1}[below]
            return f"{whole // size} {unit} {whole % size // part} {below}"
    return f"{seconds:.1f} s"
