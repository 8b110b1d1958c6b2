"""Numbers into sections of a page: panels with a picture, tables, examples side by side. The template only places them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from textsynth.report import plots
from textsynth.report.section import Example, Grid, Key, Panel, Section
from textsynth.report.wording import MINUS, NONE, bounds, cut, interval, number, sentence, share, title

MOST_PANELS = 18
MOST_NAMES = 14
MOST_ROWS = 30
MOST_EXAMPLES = 6
MOST_POINTS = 60


def sections(found: Mapping[str, Any]) -> list[Section]:
    """Return the sections of a page in reading order, from the ``sections`` of ``page.contents``."""
    made = []
    for name, (heading, build) in BUILDERS.items():
        data = found[name]
        missing = data.get("missing", "") if isinstance(data, Mapping) else ""
        made.append(Section(name, heading, missing=missing) if missing else build(name, heading, data))
    return made


def marginals(name: str, heading: str, data: Sequence[Mapping[str, Any]]) -> Section:
    """Draw each field's values: share of the real, held-out and synthetic records."""
    panels = []
    for row in data[:MOST_PANELS]:
        series = {role: row[role] for role in ("real", "holdout", "synthetic") if row.get(role)}
        label = f"Shares of the values of {row['field']} in " + ", ".join(series)
        note = f"accuracy {number(row['accuracy'])}" if row.get("accuracy") is not None else ""
        panels.append(Panel(row["field"], plots.dots(row["bins"], series, label), note))
    lead = "Share of the records per value, or per range of values; where the marks coincide, the data agree."
    lead += some(len(data), MOST_PANELS, "fields", "those that differ most")
    legend = keys(role for role in ("real", "holdout", "synthetic") if data[0].get(role))
    return Section(name, heading, lead, panels=tuple(panels), legend=legend)


def pairs(name: str, heading: str, data: Mapping[str, Any]) -> Section:
    """Draw how far each pair of fields is from what two real samples have, and list the worst."""
    names, excess = data["fields"], data["excess"]
    worst = sorted(range(len(names)), key=lambda at: -max((value or 0.0 for value in excess[at]), default=0.0))
    chosen = sorted(worst[:MOST_NAMES])
    table = [[excess[r][c] for c in chosen] for r in chosen]
    picture = plots.heat([names[at] for at in chosen], table, "How far each pair of fields is off, as a heat map")
    ranked = sorted(
        ((excess[r][c], names[r], names[c]) for r in range(len(names)) for c in range(r) if excess[r][c] is not None),
        key=lambda row: (-row[0], row[1:]),
    )
    rows = [(f"{cut(one, 60)} × {cut(two, 60)}", number(value)) for value, one, two in ranked[:10]]
    grid = Grid(("pair", "excess"), rows, frozenset(["excess"]), "The pairs that are off most")
    lead = (
        "How far the joint distribution of two fields is off, beyond what two real samples of this size differ by: "
        "0 is as good as real data. The stronger the colour, the worse; the diagonal is the field alone."
    )
    lead += some(len(names), MOST_NAMES, "fields", "those that are off most")
    worst_of_all = max((value for row in table for value in row if value is not None), default=None)
    panel = Panel(
        "Excess difference by pair", picture, f"the worst is {number(worst_of_all)}; shades grow with the root"
    )
    return Section(name, heading, lead, panels=(panel,), grids=(grid,) if rows else (), size="large")


def importances(name: str, heading: str, data: Sequence[Mapping[str, Any]]) -> Section:
    """Draw what classifiers told synthetic records by, one panel a classifier."""
    panels = []
    for which in dict.fromkeys(row.get("of", "") for row in data):
        rows = [row for row in data if row.get("of", "") == which][:MOST_PANELS]
        features, falls = [row["feature"] for row in rows], [max(0.0, row["importance"]) for row in rows]
        picture = plots.bars(features, falls, "Importance of each feature to the classifier", role="synthetic")
        panels.append(Panel(f"Importance by feature ({title(which)})" if which else "Importance by feature", picture))
    lead = (
        "What a classifier went by that was trained to tell synthetic records from real ones: the first thing to mend."
    )
    return Section(name, heading, lead, panels=tuple(panels), size="large")


def embedding_map(name: str, heading: str, data: Mapping[str, Any]) -> Section:
    """Draw the texts' embeddings on two components."""
    sets = {role: data["sets"][role] for role in plots.MARKERS if data["sets"].get(role, {}).get("x")}
    counts = ", ".join(f"{number(len(points['x']))} {role}" for role, points in sets.items())
    picture = plots.scatter(sets, f"Map of the embeddings of {counts} texts", explained=data.get("explained") or ())
    drawn = any(len(points["x"]) > plots.MOST_POINTS for points in sets.values())
    note = f"{counts}; at most {plots.MOST_POINTS} of each are drawn" if drawn else counts
    lead = (
        "Each point is a text; near points mean similar texts. Synthetic points should cover the real ones and lie "
        "nowhere else. Two components show only part of the variance."
    )
    return Section(name, heading, lead, panels=(Panel("Embeddings", picture, note),), legend=keys(sets), size="large")


def windows(name: str, heading: str, data: Mapping[str, Any]) -> Section:
    """Draw the share of draws kept, and what a thousand tokens gave, over the run."""
    rows = merged(data["windows"])
    kept, tokens = sum(row["kept"] for row in rows), sum(row["tokens"] for row in rows)
    judged = sum(row["draws"] - row["open"] for row in rows)
    accepted = [
        (row["window"], row["kept"] / (row["draws"] - row["open"])) for row in rows if row["draws"] > row["open"]
    ]
    yields = [(row["window"], 1000 * row["kept"] / row["tokens"]) for row in rows if row["tokens"]]
    panels = []
    if accepted:
        picture = plots.lines(
            {"synthetic": accepted}, "Acceptance over windows", x="window", y="draws kept", form="share"
        )
        panels.append(Panel("Acceptance", picture, f"over all: {share(kept / judged)} of the judged draws"))
    if yields:
        picture = plots.lines({"synthetic": yields}, "Yield over windows", x="window", y="records per 1,000 tokens")
        panels.append(Panel("Yield", picture, f"over all: {number(1000 * kept / tokens)} records per 1,000 tokens"))
    lead = f"{number(len(data['windows']))} windows, judged in order: how many draws were kept, and at what cost."
    return Section(name, heading, lead, panels=tuple(panels))


def merged(rows: Sequence[Mapping[str, int]]) -> list[dict[str, int]]:
    """Return at most ``MOST_POINTS`` rows, neighbours added up under the last one's window."""
    every = max(1, -(-len(rows) // MOST_POINTS))
    found = []
    for start in range(0, len(rows), every):
        some_rows = rows[start : start + every]
        sums = {name: sum(row[name] for row in some_rows) for name in ("draws", "kept", "open", "tokens")}
        found.append({"window": some_rows[-1]["window"]} | sums)
    return found


def steering(name: str, heading: str, data: Mapping[str, Any]) -> Section:
    """Draw how far the kept records were from real data over the windows, what they lack, and the ways of asking."""
    windows = [row for row in data.get("windows") or () if "window" in row]
    names = dict.fromkeys(reading for row in windows for reading in row.get("readings") or ())
    panels = [panel for reading in names for panel in reading_panel(windows, reading)]
    if not panels:
        panels = reading_panel(
            [row | {"readings": {"distance": {"value": row.get("distance")}}} for row in windows], "distance"
        )
    said = [sentence(f"It stopped by: {data['stop']}")] if data.get("stop") else []
    if data.get("pool", 0) > data.get("records", 0):
        said.append(
            f"Of {number(data['pool'])} accepted records the best {number(data['records'])} together were selected."
        )
    if data.get("effective_sample_size") is not None:
        said.append(f"Effective sample size of the final selection: {number(data['effective_sample_size'])}.")
    lead = "After each window, what is lacking decides what is drawn next."
    legend = (Key("synthetic", "records kept so far"), Key("limit", "good enough, up to here")) if names else ()
    grids = [grid for grid in (deficits(data), arms(data)) if grid.rows]
    return Section(name, heading, " ".join([lead, *said]), panels=tuple(panels), grids=tuple(grids), legend=legend)


def reading_panel(windows: Sequence[Mapping[str, Any]], reading: str) -> list[Panel]:
    """Draw one measure after each window beside what is good enough, if it was measured twice or more."""
    known = [(row["window"], row["readings"][reading]) for row in windows if reading in (row.get("readings") or ())]
    values = [(at, one["value"]) for at, one in known if one.get("value") is not None]
    limits = [(at, one["limit"]) for at, one in known if one.get("limit") is not None]
    if len(values) < 2:
        return []
    series = {"synthetic": values} | ({"wanted": limits} if limits else {})
    heading = f"Distance: {reading}" if reading != "distance" else "Distance to real data"
    note = f"from {number(values[0][1])} to {number(values[-1][1])}"
    return [Panel(heading, plots.lines(series, f"{heading} over windows", x="window", y="distance"), note)]


def deficits(data: Mapping[str, Any]) -> Grid:
    """List the cells that lack most at the end."""
    last: Sequence[Any] = next(
        (row["deficits"] for row in reversed(data.get("windows") or ()) if row.get("deficits")), []
    )
    gaps = [(row["cell"], row["wanted"], row["got"]) for row in data.get("gaps") or ()] or last
    ranked = sorted(gaps, key=lambda row: row[2] - row[1])[:10]
    cells = [(cut(cell, 80), f"{wanted:,.1f}", number(got)) for cell, wanted, got in ranked if got < wanted]
    return Grid(("cell", "wanted", "got"), cells, frozenset(["wanted", "got"]), "Cells that lack most at the end")


def arms(data: Mapping[str, Any]) -> Grid:
    """List what each way of asking was used for and what it gave."""
    head = ("arm", "draws", "kept", "tokens", "kept per 1,000")
    cells = []
    for arm, one in (data.get("arms") or {}).items():
        draws, kept, tokens = (one.get(key, 0) for key in head[1:4])
        rate = 1000 * kept / tokens if tokens else None
        cells.append((cut(arm, 80), number(draws), number(kept), number(tokens), number(rate)))
    caption = "Ways of asking, and what each gave (kept: also per 1,000 tokens)"
    return Grid(head, cells, frozenset(head[1:]), caption)


def drops(name: str, heading: str, data: Mapping[str, Any]) -> Section:
    """Draw the draws dropped by reason, with the first of each."""
    rows = data["reasons"]
    picture = plots.bars([row["reason"] for row in rows], [row["draws"] for row in rows], "Draws dropped by reason")
    dropped = sum(row["draws"] for row in rows)
    lead = f"{number(dropped)} of {number(data['all'])} draws ({share(dropped / data['all'])}) were dropped."
    examples = [dropped_first(row) for row in rows[:MOST_EXAMPLES]]
    return Section(name, heading, lead, panels=(Panel("Draws by reason", picture),), examples=tuple(examples))


def dropped_first(row: Mapping[str, Any]) -> Example:
    """Show the first draw that was dropped for a reason."""
    note = f"draw {number(row['first'])}, the first of {number(row['draws'])}"
    note += f": {row['detail']}" if row["detail"] else ""
    return Example(note, (("rejected", row["text"]),) if row["text"] else (), row["reason"])


def growth(name: str, heading: str, data: Mapping[str, Any]) -> Section:
    """Draw what further texts add: new word sequences, the Vendi score, and how long the texts are."""
    panels = [
        *curve(data.get("growth") or {}, "new", "New information", "share of new word sequences"),
        *curve(data.get("vendi") or {}, "vendi", "Effective number of different texts", "Vendi score"),
    ]
    if data.get("lengths"):
        panels.append(
            Panel("Length of the texts", plots.steps(data["lengths"], "Lengths of texts in words", x="words"))
        )
    lead = "What each further text adds. A curve that falls to 0 says that more of the same adds nothing."
    lead += f" Here: {data['says']}." if data.get("says") else ""
    drawn = {role for key in ("growth", "vendi", "lengths") for role in data.get(key) or () if panels}
    legend = keys(role for role in ("real", "synthetic") if role in drawn)
    return Section(name, heading, lead, panels=tuple(panels), legend=legend)


def curve(data: Mapping[str, Sequence[Mapping[str, float]]], value: str, heading: str, y: str) -> list[Panel]:
    """Draw one value over the number of texts, if there are two points to join."""
    series = {role: [(row["texts"], row[value]) for row in rows] for role, rows in data.items() if len(rows) > 1}
    form: plots.Form = "share" if value == "new" else "number"
    return [Panel(heading, plots.lines(series, f"{y} over texts", x="texts", y=y, form=form))] if series else []


def quotas(name: str, heading: str, data: Mapping[str, Any]) -> Section:
    """Draw wanted and got per value, one panel a field."""
    fields: dict[str, list[Mapping[str, Any]]] = {}
    for row in data["quotas"]:
        fields.setdefault(str(row["field"]), []).append(row)
    panels = []
    for field_name, rows in list(fields.items())[:MOST_PANELS]:
        shown = sorted(rows, key=lambda row: row["got"] - row["wanted"])[:MOST_ROWS] if len(rows) > MOST_ROWS else rows
        series = {"wanted": [row["wanted"] for row in shown], "synthetic": [row["got"] for row in shown]}
        picture = plots.dots(
            [str(row["value"]) for row in shown],
            series,
            f"Wanted and got by {field_name}",
            axis="records",
            form="number",
        )
        lacking = sum(max(0, row["wanted"] - row["got"]) for row in rows)
        panels.append(Panel(field_name, picture, f"{number(lacking)} lacking" if lacking else "all met"))
    return Section(
        name,
        heading,
        "Records wanted (the bar) and got (the mark).",
        panels=tuple(panels),
        legend=keys(["wanted", "synthetic"]),
    )


def privacy(name: str, heading: str, data: Sequence[Mapping[str, Any]]) -> Section:
    """Draw each privacy measure with its null, its interval and the range that is good enough."""
    panels = []
    for row in data:
        if row.get("value") is None:
            continue
        held = {True: "holds", False: "\u2717 fails", None: ""}[row.get("passed")]
        parts = [
            number(row["value"]),
            f"95 % {interval(row['low'], row['high'])}" if row.get("low") is not None else "",
            f"real data {number(row['real'])}" if row.get("real") is not None else "",
            f"{held}: {bounds(row['gate'])}" if held else "",
        ]
        panels.append(Panel(title(row["name"]), plots.gauge(row), facts(filter(None, parts))))
    lead = "These find memorisation; none of them proves privacy."
    legend = (
        Key("synthetic", "value, with its 95 % interval"),
        Key("bar", "what real records held out score"),
        Key("range", "good enough"),
    )
    return Section(name, heading, lead, panels=tuple(panels), legend=legend, size="wide")


def facts(parts: Iterable[str]) -> str:
    """Return facts in one line that breaks only between them."""
    return " · ".join(part.replace(" ", "\u00a0") for part in parts)


def bias(name: str, heading: str, data: Sequence[Mapping[str, Any]]) -> Section:
    """List the shares of protected groups, and how often each has the outcome."""
    outcomes = ", ".join(dict.fromkeys(cut(row["outcome"], 60) for row in data if row.get("outcome")))
    grids = [groups("Share of the records", data, "real", "synthetic")]
    if any(row.get("outcome_real") is not None for row in data):
        caption = f"Share of the group with the outcome{f' {outcomes}' if outcomes else ''}"
        grids.append(groups(caption, data, "outcome_real", "outcome_synthetic"))
    lead = "Protected groups in real and in synthetic records, with the differences in percentage points."
    return Section(name, heading, lead, grids=tuple(grids), size="large")


def groups(caption: str, data: Sequence[Mapping[str, Any]], real: str, synthetic: str) -> Grid:
    """List two shares of each group with their difference."""
    head = ("group", "real", "synthetic", "points")
    rows = [
        (f"{cut(row['attribute'], 40)} = {cut(row['group'], 60)}", *compared(row.get(real), row.get(synthetic)))
        for row in data
    ]
    return Grid(head, rows, frozenset(head[1:]), caption)


def compared(real: float | None, synthetic: float | None) -> tuple[str, str, str]:
    """Return two shares and their difference in percentage points, as shown."""
    if real is None or synthetic is None:
        return share(real), share(synthetic), NONE
    points = 100 * (synthetic - real)
    return share(real), share(synthetic), f"{points:+.1f}".replace("-", MINUS)


def examples(name: str, heading: str, data: Sequence[Mapping[str, Any]]) -> Section:
    """Put synthetic texts beside their nearest real ones."""
    made = [
        Example(
            f"{row['why']}, similarity {number(row['similarity'])}"
            + (f", field {cut(row['field'], 60)}" if row.get("field") else ""),
            (("synthetic", cut(row["synthetic"], 600)), ("real", cut(row["real"], 600))),
            flag="copied" if row.get("copied") else "",
        )
        for why in dict.fromkeys(row["why"] for row in data)
        for row in [row for row in data if row["why"] == why][:MOST_EXAMPLES]
    ]
    lead = "Synthetic texts beside the real text that each is nearest to; the nearest first, then typical ones."
    return Section(name, heading, lead, examples=tuple(made), legend=keys(["synthetic", "real"]))


def kept(name: str, heading: str, data: Mapping[str, Any]) -> Section:
    """Show the first records."""
    made = [Example(f"draw {number(row['draw'])}", (("synthetic", row["text"]),)) for row in data["records"]]
    return Section(name, heading, "The first records that were kept.", examples=tuple(made))


def recipe(name: str, heading: str, data: Mapping[str, Any]) -> Section:
    """Show the recipe."""
    return Section(name, heading, "What makes this run again.", code=data["yaml"])


def keys(roles: Iterable[str]) -> tuple[Key, ...]:
    """Return the legend of sets of records."""
    return tuple(Key(role, role) for role in roles)


def some(all_of_them: int, most: int, what: str, which: str) -> str:
    """Say that only some are shown, if so."""
    return f" Shown: {most} of {number(all_of_them)} {what}, {which}." if all_of_them > most else ""


BUILDERS: dict[str, tuple[str, Callable[[str, str, Any], Section]]] = {
    "marginals": ("Fields one by one", marginals),
    "pairs": ("Fields in pairs", pairs),
    "importances": ("What gives them away", importances),
    "map": ("Map of the texts", embedding_map),
    "windows": ("Acceptance and yield", windows),
    "steering": ("Steering", steering),
    "drops": ("What was dropped, and why", drops),
    "growth": ("Diversity and new information", growth),
    "quotas": ("Quotas", quotas),
    "privacy": ("Privacy", privacy),
    "bias": ("Bias", bias),
    "examples": ("Examples and their nearest real texts", examples),
    "kept": ("Records", kept),
    "recipe": ("The recipe", recipe),
}
"""Heading and builder of each section, in reading order."""
