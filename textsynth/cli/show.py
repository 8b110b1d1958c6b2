"""What a person sees: tables of findings, runs, draws, prompts and models."""

from __future__ import annotations

import inspect
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from itertools import islice
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from textsynth.assemble import Parts
from textsynth.cli.progress import duration
from textsynth.errors import TextsynthError
from textsynth.models import Found
from textsynth.prompts import Prompt
from textsynth.report.card import figure_lines
from textsynth.runs import Explanation, Forecast, Run
from textsynth.text import strings
from textsynth.validate import Validation

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def note(text: str) -> None:
    """Say something in passing."""
    err.print(escape(text))


def error(problem: TextsynthError) -> None:
    """Show an error: what is wrong, then what to do."""
    for row in problem.message.splitlines():
        err.print(f"[bold red]error:[/] {escape(row)}")
    if problem.hint:
        err.print(f"  [cyan]{escape(problem.hint)}[/]")


def grid(title: str, *columns: str, right: Iterable[str] = ()) -> Table:
    """Return an empty table in the house look."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for name in columns:
        table.add_column(name, justify="right" if name in set(right) else "left", overflow="fold")
    return table


def checked(parts: Parts) -> None:
    """Show what ``check`` found out."""
    recipe = parts.recipe
    enforced = sum(f.status == "enforced" for f in parts.decoding.findings)
    out.print(
        f"[bold green]ok[/] {escape(recipe.name)}: {recipe.records} records from {escape(recipe.model)} ({recipe.engine_name})"
    )
    out.print(
        f"   method {' → '.join(step.name for step in parts.steps)}, "
        f"prompt {', '.join(step.prompt.name for step in parts.steps)}, {len(parts.seeds)} seeds, "
        f"filters {', '.join(parts.filters)}"
    )
    if joint := parts.plan.joint:
        drawn = ", ".join(name for name in joint.names if name not in joint.partial)
        out.print(f"   profile draws {escape(drawn)}; {'steered' if parts.goal else 'not steered'}")
        for sentence in joint.unseen:
            out.print(f"   [yellow]{escape(sentence)}[/]")
    local = recipe.engine_name == "vllm"
    by = (
        f"by {parts.decoding.backend}"
        if local
        else f"by {recipe.engine_name}, if it does as {parts.decoding.backend} does"
    )
    out.print(f"   decoding {by}: {enforced} of {len(parts.decoding.findings)} schema keywords enforced while decoding")
    rest = [*(f for f in parts.decoding.findings if f.status != "enforced"), *parts.decoding.bounds]
    if rest:
        table = grid("\nNot enforced while decoding, or added", "path", "keyword", "status", "note")
        for f in rest:
            table.add_row(escape(f.path), f.keyword, f.status, escape(f.note))
        out.print(table)


def records(run: Run, count: int) -> None:
    """Show some records."""
    for index, record in islice(run.ledger.kept(), count):
        out.print(f"[dim]{index:>5}[/]", end="  ")
        if isinstance(record.get("messages"), list):
            rest = {name: value for name, value in record.items() if name != "messages"}
            out.print(escape(json.dumps(rest, ensure_ascii=False)) if rest else "")
            for message in record["messages"]:
                said = message["content"] or json.dumps(message.get("tool_calls", ""), ensure_ascii=False)
                out.print(f"       [cyan]{message['role']:>9}[/]  {escape(said)}")
        else:
            out.print(escape(json.dumps(record, ensure_ascii=False)))


def summary(run: Run, places: list[str], *, title: str = "Run") -> None:
    """Show how a run ended: counts that add up, tokens, time, where the data is."""
    totals = run.totals
    table = grid(
        f"\n{title} {run.recipe.name}: {totals.kept} of {run.recipe.records} records",
        "ended as",
        "draws",
        "share",
        right=("draws", "share"),
    )
    rows = {"kept": totals.kept, **totals.reasons, **({"open": totals.open} if totals.open else {})}
    for reason, count in rows.items():
        table.add_row(
            f"[bold]{reason}[/]" if reason == "kept" else reason, str(count), f"{count / max(1, totals.draws):.1%}"
        )
    table.add_row("[dim]all draws[/]", str(totals.draws), "")
    out.print(table)
    sessions = run.ledger.fact("sessions", [])
    seconds = sum(s["seconds"] for s in sessions)
    spent = sum(s["tokens"] for s in sessions)
    busy = sum(s["busy"] * s["seconds"] for s in sessions) / seconds if seconds else 0.0
    out.print(
        f"{totals.requests} requests, {totals.prompt_tokens} prompt and {totals.tokens} generated tokens in "
        f"{duration(seconds)} ({spent / max(seconds, 1e-9):.0f} tokens/s, engine {busy:.0%} busy)"
    )
    for line in figure_lines(run.figures):
        out.print(escape(line))
    for remark in run.ledger.fact("engine_notes", []):
        out.print(f"[yellow]note:[/] {escape(remark)}")
    if run.stopped_by and not run.complete:
        out.print(
            f"[bold yellow]stopped by {escape(run.stopped_by)}[/]; the same command goes on after the limit is raised"
        )
        if advice := run.advice():
            out.print(f"what would help most: {escape(advice)}")
    if title == "Run":  # a preview's folder is gone afterwards
        out.print(f"[dim]why one was dropped: textsynth why {run.folder} INDEX[/]")
    exported(places)


def tokens(run: Run) -> None:
    """Say how many tokens the rows of the export have, if they were counted."""
    for line in run.token_counts.lines() if run.token_counts else ():
        out.print(escape(line))


def validation(found: Validation, examples: int) -> None:
    """Show what filters made of a dataset: counts that add up, and some rows for each reason."""
    rate = found.rows / max(found.seconds, 1e-9)
    table = grid(
        f"\n{found.kept.num_rows:,} of {found.rows:,} rows kept", "ended as", "rows", "share", right=("rows", "share")
    )
    for reason, count in {"kept": found.kept.num_rows, **found.reasons}.items():
        table.add_row(f"[bold]{reason}[/]" if reason == "kept" else reason, f"{count:,}", f"{count / found.rows:.2%}")
    table.add_row("[dim]all rows[/]", f"{found.rows:,}", "")
    out.print(table)
    for name, count in found.remarks.items():
        out.print(f"{name} changed or remarked on {count:,} kept rows")
    out.print(f"{duration(found.seconds)}, {rate:,.0f} rows/s")
    for remark in found.notes:
        out.print(f"[yellow]note:[/] {escape(remark)}")
    for reason in found.reasons if examples else ():
        out.print(f"\n[bold]{reason}[/]")
        for row in found.examples(reason, examples):
            drop = {name: row.pop(name) for name in list(row) if name.startswith("drop_")}
            out.print(f"  [dim]row {drop['drop_row']}:[/] {escape(drop['drop_detail'] or '')}")
            out.print(f"    {escape(shortened(row))}")
            if (drop["drop_culprit"] or "").isdigit():
                out.print(
                    f"    [dim]row {drop['drop_culprit']}:[/] {escape(shortened(found.row(int(drop['drop_culprit']))))}"
                )


def shortened(row: Mapping[str, Any], most: int = 400) -> str:
    """Return a row as JSON, cut in the middle of what is too long to read."""
    text = json.dumps(row, ensure_ascii=False, default=str)
    return text if len(text) <= most else f"{text[: most * 3 // 4]} [...] {text[-most // 4 :]}"


def profile(filters: Mapping[str, Mapping[str, Any]]) -> None:
    """Show what each filter cost: records checked, dropped and edited, and its own time."""
    right = ("checked", "dropped", "edited", "µs a record", "share")
    table = grid("\nCost of the filters", "filter", *right, right=right)
    total = sum(cost["seconds"] for cost in filters.values())
    most = max((cost["checked"] for cost in filters.values()), default=0)
    for name, cost in filters.items():
        each = f"{1e6 * cost['seconds'] / max(cost['checked'], 1):.1f}"
        share = f"{cost['seconds'] / max(total, 1e-12):.0%}"
        table.add_row(name, *(f"{cost[key]:,}" for key in right[:3]), each, share)
    table.add_row("[dim]all, by records judged[/]", f"{most:,}", "", "", f"{1e6 * total / max(most, 1):.1f}", "")
    out.print(table)


def exported(places: list[str]) -> None:
    """Say where a dataset was written."""
    for place in places:
        out.print(f"dataset: {escape(place)}")


def loaded(found: Any, place: str) -> None:
    """Show a dataset that was loaded back, with its columns and a few rows per split."""
    out.print(f"\n[bold]loaded back[/] with load_dataset({place!r})")
    for name, part in found.items():
        out.print(
            f"  {name}: {part.num_rows} rows, {escape(', '.join(f'{c}: {kind(f)}' for c, f in part.features.items()))}"
        )
    for row in next(iter(found.values())).select(range(3)):
        out.print(f"  {escape(json.dumps(row, ensure_ascii=False))}")


def kind(feature: Any) -> str:
    """Name a feature in a few characters."""
    name = type(feature).__name__
    return str(feature.dtype) if name == "Value" else f"{name}({len(feature.names)})" if name == "ClassLabel" else name


def forecast(scaled: Forecast, run: Run) -> None:
    """Show what the whole run should take."""
    table = grid(
        f"\nForecast for {scaled.records} records (95 % interval)",
        "",
        "least",
        "expected",
        "most",
        right=("least", "expected", "most"),
    )
    low, middle, high = scaled.acceptance
    table.add_row("acceptance", f"{low:.0%}", f"{middle:.0%}", f"{high:.0%}")
    table.add_row("draws", *map(str, scaled.draws))
    table.add_row("generated tokens", *map(str, scaled.tokens))
    table.add_row("time at this speed", *map(duration, scaled.seconds))
    out.print(table)
    out.print(
        f"disk: about {scaled.disk_bytes / 1e6:.1f} MB. A full run keeps more requests in flight and is usually faster."
    )
    if advice := run.advice():
        out.print(f"what would help most: {escape(advice)}")


def explanation(run: Run, found: Explanation) -> None:
    """Show one draw from plan to verdict."""
    draw = found.draw
    out.print(f"[bold]draw {draw.index}[/] of window {draw.window}: [bold]{found.state}[/]")
    if found.drop is not None and found.drop.reason:
        drop = found.drop
        out.print(f"  because   {escape(drop.detail)}")
        if drop.score is not None:
            out.print(f"  score     {drop.score:.4f}")
        if drop.culprit is not None:
            out.print(f"  culprit   {culprit(run, drop.culprit)}")
    out.print(f"  attributes {escape(json.dumps(dict(draw.attributes), ensure_ascii=False))}")
    for seed in draw.seeds:
        out.print(f"  seed {seed.id:<5} {escape(json.dumps(seed.row, ensure_ascii=False))}")
    out.print(f"  sampling seed {draw.sampling_seed}")
    answers = {c.step: c for c in found.completions}
    for request in found.requests:
        out.print(
            f"\n[bold]request {request.step}[/]"
            + ("" if request.schema is None else f" held to [dim]{escape(request.schema)}[/]")
        )
        for message in request.messages:
            out.print(f"[cyan]{message['role']}[/]: {escape(message['content'])}")
        if done := answers.get(request.step):
            out.print(
                f"[green]answer[/] ({done.finish_reason}, {done.tokens} tokens, {done.seconds:.1f} s): {escape(done.text or done.error)}"
            )
    if found.record is not None:
        out.print(f"\n[bold]record[/] {escape(json.dumps(found.record, ensure_ascii=False))}")


def culprit(run: Run, name: str) -> str:
    """Describe what a record is too close to."""
    if re.fullmatch(r"\d+", name):
        ended = run.ledger.verdict(int(name))
        record = json.dumps(ended[1], ensure_ascii=False) if ended and ended[1] else ""
        return f"draw {name}: {escape(record)}"
    return escape(name)


def library(found: Mapping[str, Prompt]) -> None:
    """List templates."""
    table = grid("Prompt library", "name", "what for")
    for name, item in found.items():
        table.add_row(name, escape(item.purpose))
    out.print(table)
    out.print("[dim]one in full: textsynth prompts NAME[/]")


def prompt(item: Prompt) -> None:
    """Show a template in full."""
    out.print(f"[bold]{item.name}[/]: {escape(item.purpose)}")
    for name, meaning in item.variables.items():
        out.print(f"  {name}: {escape(meaning)}")
    for part, text in item.texts().items():
        out.print(f"\n[cyan]{'user' if part == 'body' else part}[/]\n{escape(text.strip())}")
    if item.example:
        out.print(f"\n[cyan]example recipe[/]\n{escape(item.example.strip())}")


def filters(found: Mapping[str, type[Any]]) -> None:
    """List filters by what their documentation says first."""
    table = grid("Filters", "name", "what it does", "options")
    for name, cls in found.items():
        first = inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0]
        table.add_row(name, escape(" ".join(first.split())), escape(", ".join(f.name for f in fields(cls) if f.init)))
    out.print(table)
    out.print("[dim]one in full: textsynth filters NAME; your own: module:Class[/]")


def filter_options(name: str, cls: type[Any]) -> None:
    """Show a filter's documentation and its options with their defaults."""
    out.print(f"[bold]{name}[/]\n{escape(inspect.cleandoc(cls.__doc__ or ''))}\n")
    table = grid("Options", "name", "default")
    for option in (f for f in fields(cls) if f.init):
        has_none = option.default is MISSING and option.default_factory is MISSING
        made = option.default if option.default_factory is MISSING else option.default_factory()
        table.add_row(option.name, "must be given" if has_none else escape(repr(made)))
    out.print(table)


def models(found: list[Found]) -> None:
    """List models."""
    if not found:
        out.print("no model on this machine yet; textsynth models default fetches the default one")
        return
    table = grid("Models on this machine", "name", "where", "from")
    for item in found:
        table.add_row(escape(item.name), escape(item.location), escape(item.source))
    out.print(table)


def difference(one: Run, other: Run) -> None:
    """Compare two runs."""
    from textsynth.ledger import differences

    changed = differences(one.ledger.fact("fingerprint", {}), other.ledger.fact("fingerprint", {}))
    out.print("[bold]recipe[/]: " + ("the same" if not changed else ""))
    for row in changed:
        out.print(f"  {escape(row)}")
    first, second = one.totals, other.totals
    table = grid("\nYield", "ended as", str(one.folder), str(other.folder), right=(str(one.folder), str(other.folder)))
    table.add_row("kept", str(first.kept), str(second.kept))
    for reason in dict.fromkeys([*first.reasons, *second.reasons]):
        table.add_row(reason, str(first.reasons.get(reason, 0)), str(second.reasons.get(reason, 0)))
    table.add_row("generated tokens", str(first.tokens), str(second.tokens))
    out.print(table)
    mine, theirs = list(one.records()), list(other.records())
    values(mine, theirs, one, other)
    same = Counter(map(canonical, mine)) & Counter(map(canonical, theirs))
    out.print(f"\nrecords that are the same in both: {sum(same.values())}")


def values(mine: list[dict[str, Any]], theirs: list[dict[str, Any]], one: Run, other: Run) -> None:
    """Compare the fields: shares of values for closed sets, mean words for text."""
    table = grid(
        "\nFields", "field", "value", str(one.folder), str(other.folder), right=(str(one.folder), str(other.folder))
    )
    for name in one.parts.schema.properties:
        choices = one.parts.schema.choices(name)
        if choices is not None:
            for value in choices:
                table.add_row(name, escape(str(value)), *(share(rows, name, value) for rows in (mine, theirs)))
        else:
            table.add_row(name, "mean words", *(mean_words(rows, name) for rows in (mine, theirs)))
    out.print(table)


def share(rows: list[dict[str, Any]], name: str, value: Any) -> str:
    """Return how often a field has a value."""
    return f"{sum(r.get(name) == value for r in rows) / max(1, len(rows)):.1%}"


def mean_words(rows: list[dict[str, Any]], name: str) -> str:
    """Return the mean number of words in a field."""
    counts = [len(" ".join(strings(r.get(name))).split()) for r in rows]
    return f"{sum(counts) / max(1, len(counts)):.1f}"


def canonical(record: Mapping[str, Any]) -> str:
    """Return a record as text that is equal for equal records."""
    return json.dumps(record, sort_keys=True, ensure_ascii=False)
