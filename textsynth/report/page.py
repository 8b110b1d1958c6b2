"""The report: one self-contained HTML file on a run, an evaluation or both, and the same numbers as JSON beside it.

``contents`` collects the numbers and ``html`` draws them; neither asks a clock or a network, so the same run and
evaluation give the same bytes. What stands in the JSON is what ``contents`` returns.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textsynth.errors import ExportError
from textsynth.markdown import duration
from textsynth.report import collect, layout, wording
from textsynth.report.measures import GROUPS, verdict

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = Path(__file__).parent
LONGEST = 2000
"""Characters of any text in the numbers; the page shows fewer."""
LONGEST_RECIPE = 50_000


def contents(*, run: Any = None, evaluation: Mapping[str, Any] | None = None, title: str = "") -> dict[str, Any]:
    """Return everything the page shows, as JSON values: texts cut, numbers finite.

    Args:
        run: a ``textsynth.runs.Run``, or ``None``; that module stands above this one.
        evaluation: ``Evaluation.as_data()``, or ``None`` if nothing was measured.
        title: heading; by default the recipe's name.

    Raises:
        ValueError: there is neither a run nor an evaluation.
    """
    if run is None and evaluation is None:
        raise ValueError("a report needs a run or an evaluation, got neither")
    facts = collect.summary(run) if run is not None else None
    found = {
        "title": title or (facts["name"] if facts else "Evaluation"),
        "textsynth": importlib.metadata.version("textsynth"),
        "run": facts,
        "verdict": verdict(evaluation, facts),
        "values": (evaluation or {}).get("values", []),
        "not_measured": (evaluation or {}).get("not_measured", []),
        "notes": (evaluation or {}).get("notes", []),
        "sizes": (evaluation or {}).get("sizes", {}),
    }
    sections = {
        name: wording.plain(data, LONGEST_RECIPE if name == "recipe" else LONGEST)
        for name, data in collect.sections(run, evaluation).items()
    }
    return dict(wording.plain(found, LONGEST)) | {"sections": sections}


def html(found: Mapping[str, Any]) -> str:
    """Return the page for what ``contents`` found.

    Raises:
        MissingPackageError: matplotlib is not installed.
    """
    page = templates().get_template("page.html.j2")
    return page.render(
        found=found,
        groups=[(group, [row for row in found["values"] if row["name"].startswith(f"{group}.")]) for group in GROUPS],
        sections=layout.sections(found["sections"]),
        figures=figures(found["run"]) if found["run"] else [],
        style=(HERE / "style.css").read_text(encoding="utf-8"),
    )


def write(
    place: str | Path, *, run: Any = None, evaluation: Mapping[str, Any] | None = None, title: str = ""
) -> list[Path]:
    """Write the page to ``place``, whose folder is made, and its numbers beside it as ``.json``; return both paths.

    Raises:
        ExportError: a file cannot be written.
        MissingPackageError: matplotlib is not installed.
    """
    page = Path(place)
    numbers = page.with_suffix(".json")
    if numbers == page:
        raise ExportError(
            f"{str(place)!r} is the name of a JSON file", hint="name the page .html: its numbers go beside it"
        )
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        found = contents(run=run, evaluation=evaluation, title=title)
        page.write_text(html(found), encoding="utf-8")
        numbers.write_text(json.dumps(found, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise ExportError(
            f"{str(place)!r} cannot be written: {error.strerror}", hint="choose another place with --to"
        ) from error
    return [page, numbers]


def figures(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the key facts of a run as (name, value)."""
    judged = run["draws"] - run["open"]
    return [
        ("records kept", f"{wording.number(run['records'])} of {wording.number(run['wanted'])}"),
        ("draws kept", wording.share(run["records"] / judged) if judged else wording.NONE),
        ("generated tokens", wording.number(run["tokens"])),
        ("time", duration(run["seconds"])),
        ("model", run["model"] if not run["scripted"] else f"{run['model']} (dry run)"),
        ("made on", run["created"] or wording.NONE),
    ]


@cache
def templates() -> Environment:
    """Return the environment of the page's template: everything put in is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    names = ("number", "interval", "bounds", "cut", "title", "rows")
    made.filters |= {f"as_{name}": getattr(wording, name) for name in names}
    return made
