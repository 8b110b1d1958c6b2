"""A run as it stands on disk: its records, its rejects, why each ended as it did, and its export.

Everything is read from the ledger, so a run can be looked at while another process still writes it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textsynth import edges, export, report
from textsynth.assemble import Parts, assemble, pick, real_rows
from textsynth.errors import ExportError, LedgerError, TextsynthError
from textsynth.export import TokenCounts
from textsynth.ledger import Ledger, Totals
from textsynth.recipe import ExportSpec, Recipe, from_yaml
from textsynth.records import Completion, Draw, Drop, Record, Request

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

ADVICE = {
    "truncated": "raise sampling.max_tokens, or give strings and arrays smaller bounds",
    "invalid_json": "check engine.structured: the server does not hold the model to the schema",
    "schema": "simplify the fields that fail, or raise repairs",
    "refusal": "say in the prompt what the records are for, or use another model",
    "length": "ask for the length in the prompt, or loosen the filter's bounds",
    "duplicate": "draw more attributes, show more or other seeds, or raise sampling.temperature",
    "near_duplicate": "draw more attributes, show more or other seeds, or raise sampling.temperature",
    "copied": "show more different seeds per draw, or raise sampling.temperature",
    "quota": "nothing: these were draws beyond a filled quota",
    "unselected": "nothing: these are good records of the pool; the dataset is closer to real data without them",
    "adherence": "use a larger model, or lower the filter's least",
    "surplus": "nothing: these were under way when the last record was accepted",
    "engine_error": "look at one with textsynth why: the engine or server refused it",
    "filter_error": "correct the filter: textsynth why shows what it raised",
    "method_error": "correct the method or template: textsynth why shows what it raised",
}
"""The cheapest change that helps, by reason; methods add those of their own."""


@dataclass(frozen=True)
class Explanation:
    """Why one draw ended as it did: everything from its plan to its verdict. ``drop`` is ``None`` while it is open."""

    draw: Draw
    requests: tuple[Request, ...]
    completions: tuple[Completion, ...]
    drop: Drop | None
    record: Record | None

    @property
    def state(self) -> str:
        """``kept``, ``open`` or the reason of the drop."""
        return "open" if self.drop is None else self.drop.reason or "kept"


class Run:
    """A run folder, opened for reading.

    Args:
        folder: what ``textsynth run`` made.
        parts: the run's parts, if the caller has them; else they are built again from the recipe in the ledger.

    Raises:
        LedgerError: not a run folder, or a damaged one.
    """

    def __init__(self, folder: str | Path, *, parts: Parts | None = None) -> None:
        self.folder = Path(folder)
        self.ledger = Ledger(self.folder)
        self._given = parts
        self.token_counts: TokenCounts | None = None
        """Of the dataset that was last built; ``None`` if its export does not ask for them."""

    @cached_property
    def parts(self) -> Parts:
        """The run's parts: schema, method, prompt, export form."""
        if self._given is not None:
            return self._given
        try:
            return assemble(self.recipe, dry_run=True, purpose="read")  # the ledger holds every seed that was shown
        except TextsynthError as error:
            raise LedgerError(
                f"the run in {str(self.folder)!r} cannot be read with its recipe: {error.message}",
                hint="a file or module that it names was changed or moved since",
            ) from error

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe the run was last made with."""
        data = self.ledger.fact("recipe")
        if data is None:
            raise LedgerError(
                f"{str(self.folder)!r} holds no recipe: the run stopped before it began", hint="run it again"
            )
        return from_yaml(data, Path(self.ledger.fact("folder")))

    @property
    def totals(self) -> Totals:
        """Sums over the run; kept, dropped by reason and open draws add up to all draws."""
        return self.ledger.totals()

    @property
    def accepted(self) -> int:
        """How many records were kept."""
        return self.totals.kept

    @property
    def reasons(self) -> dict[str, int]:
        """How many draws were dropped, by reason."""
        return self.totals.reasons

    @property
    def stopped_by(self) -> str:
        """``records`` when all wanted were kept, else the limit that was met; empty while unfinished."""
        return str(self.ledger.fact("stopped_by", ""))

    @property
    def complete(self) -> bool:
        """Whether every record wanted was kept."""
        return self.stopped_by == "records" or self.stopped_by.startswith("steer: ")

    def records(self) -> Iterator[Record]:
        """Yield the kept records in index order."""
        for _, record in self.ledger.kept():
            yield record

    @property
    def dataset(self) -> Dataset | DatasetDict:
        """The kept records as they would be exported: a ``Dataset``, or a ``DatasetDict`` if there are several splits."""
        found = self.datasets()
        return next(iter(found.values())) if len(found) == 1 else found

    def datasets(self, spec: ExportSpec | None = None) -> DatasetDict:
        """Return the kept records by split, in the form of ``spec`` (by default the recipe's export).

        Raises:
            ExportError: nothing was kept, the form does not fit, or rows are too long and ``tokens`` refuses them.
        """
        spec = spec or self.recipe.export or ExportSpec()
        form, tokenizer, self.token_counts = self.form(spec), self._tokenizer(spec), None
        found = export.to_dataset(self.records(), form, self.parts.schema, spec.splits, seed=self.recipe.seed)
        if spec.tokens is not None:
            found, self.token_counts = export.count_tokens(
                found,
                tokenizer,
                most=spec.tokens.most,
                over=spec.tokens.over,
                model=spec.tokens.model or self.recipe.model,
                rows_per_record=form.layout(self.parts.schema).rows_per_record,
            )
        return found

    def _tokenizer(self, spec: ExportSpec) -> Any:
        """Return the tokenizer that counts, or nothing if the export does not ask for it."""
        if spec.tokens is None:
            return None
        name = spec.tokens.model or self.recipe.model
        beside = self.recipe.folder / Path(name).expanduser()
        return export.load_tokenizer(str(beside) if beside.is_dir() else name)

    def real(self) -> tuple[list[Record], list[Record]] | None:
        """Return the ``train`` and the ``report`` rows behind the recipe's profile, or nothing if it has none.

        The ``report`` rows are read here only: to say once, at the end, how good the run's records are.

        Raises:
            RecipeError: the data is not where it was, or is not the same.
        """
        if self.recipe.profile is None:
            return None
        from textsynth.profile import Profile

        profile = Profile.load(self.recipe.folder / self.recipe.profile.folder)
        rows = real_rows(self.recipe, profile)
        return pick(rows, profile, "train"), pick(rows, profile, "report")

    def edge_cases(self) -> dict[str, Dataset]:
        """Return the datasets ``boundary`` and ``invalid`` that the recipe's ``edge_cases`` asks for; none if it does not."""
        spec, schema = self.recipe.edge_cases, self.parts.schema
        made = edges.edge_splits(spec, schema, list(self.records()), self.recipe.seed) if spec else {}
        return {name: self._edge_dataset(name, rows) for name, rows in made.items()}

    def _edge_dataset(self, name: str, rows: list[Record]) -> Dataset:
        schema, invalid = self.parts.schema, edges.invalid_schema()
        try:
            return export.to_plain(rows, edges.boundary_schema(schema) if name == "boundary" else invalid, name)
        except ExportError:  # what no column can hold goes as JSON text
            return export.to_plain(edges.as_text(rows, schema), invalid, name)

    @property
    def rejected(self) -> Dataset:
        """Every dropped draw: index, reason, detail, score, culprit, attributes, record (JSON) and last raw text."""
        from datasets import Dataset, Features, Value

        names = {"index": "int64", "score": "float64"}
        columns = ("index", "reason", "detail", "score", "culprit", "attributes", "record", "text")
        features = Features({name: Value(names.get(name, "string")) for name in columns})
        rows = list(self.ledger.dropped())
        return Dataset.from_dict({name: [row[name] for row in rows] for name in columns}, features=features)

    def form(self, spec: ExportSpec) -> export.Form:
        """Build and check an export form."""
        form = export.build(spec.form.name, spec.form.options, folder=self.recipe.folder)
        form.check(self.parts.schema)
        return form

    def export(self, spec: ExportSpec | None = None, *, folder: Path | None = None) -> list[str]:
        """Write the dataset and its card where ``spec`` (by default the recipe's) says; return the places.

        Raises:
            ExportError: nothing was kept, the form does not fit, or a place cannot be written.
        """
        spec = spec or self.recipe.export or ExportSpec()
        edge_cases = self.edge_cases()
        target = folder or ((self.recipe.folder / spec.folder).resolve() if spec.folder else None)
        if target is None and not spec.hub:
            target = self.folder / "dataset"
        found = self.datasets(spec)
        card = self.card(spec, {name: part.num_rows for name, part in found.items()}, self.token_counts)
        places = []
        if target is not None:
            export.write(found, target, spec.files, card, edge_cases)
            places.append(str(target))
        if spec.hub:
            export.push(found, spec.hub, card, private=spec.private, beside=edge_cases)
            places.append(f"https://huggingface.co/datasets/{spec.hub}")
        return places

    def card(
        self,
        spec: ExportSpec | None = None,
        splits: dict[str, int] | None = None,
        tokens: TokenCounts | None = None,
    ) -> str:
        """Return the dataset card: what this was made from, what was dropped and why, and its limits."""
        return report.card(report.facts(self, spec or self.recipe.export or ExportSpec(), splits or {}, tokens))

    def why(self, index: int) -> Explanation:
        """Return everything about one draw; its prompts are made again from the plan and the completions.

        Raises:
            LedgerError: there is no such draw.
        """
        draw = self.ledger.draw(index)
        if draw is None:
            raise LedgerError(
                f"the run in {str(self.folder)!r} has no draw {index}: its draws are 0 to {self.totals.draws - 1}"
            )
        completions = self.ledger.completions(index)
        ended = self.ledger.verdict(index)
        drop, record = ended if ended else (None, None)
        return Explanation(draw, tuple(replay(self.parts, draw, completions)), tuple(completions), drop, record)

    def advice(self) -> str:
        """Return the cheapest change that would help most, or an empty string if nothing was dropped for a fault."""
        faults = {r: n for r, n in self.reasons.items() if r not in {"quota", "surplus", "unselected"}}
        worst = max(faults, key=lambda r: faults[r], default="")
        own = {reason: text for step in self.parts.steps for reason, text in step.method.reasons.items()}
        known = ADVICE | own
        return f"{worst}: {known.get(worst, 'loosen this filter, or change what it objects to')}" if worst else ""

    @cached_property
    def figures(self) -> dict[str, Any]:
        """What the run's method says of the kept records, such as how often judges agreed; empty if it says nothing."""
        return dict(self.parts.method.summary(self.records()))

    def close(self) -> None:
        """Close the ledger."""
        self.ledger.close()


def replay(parts: Parts, draw: Draw, completions: list[Completion]) -> Iterator[Request]:
    """Yield the requests of a draw again, as its method makes them from the same completions."""
    answers = {c.step: c for c in completions}
    steps = parts.method.run(draw)
    try:
        request = next(steps)
        while True:
            yield request
            if request.step not in answers:
                return
            request = steps.send(answers[request.step])
    except StopIteration:
        return


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a whole run should take, from a preview. Ranges are 95 % intervals of the acceptance (Wilson 1927)."""

    records: int
    acceptance: tuple[float, float, float]
    draws: tuple[int, int, int]
    tokens: tuple[int, int, int]
    seconds: tuple[float, float, float]
    disk_bytes: int


def forecast(run: Run, records: int) -> Forecast:
    """Scale a preview up to ``records``; its speed is the preview's, which keeps fewer requests in flight."""
    totals = run.totals
    judged = max(1, totals.draws - totals.open - totals.reasons.get("surplus", 0))
    low, middle, high = wilson(totals.kept, judged)
    per_draw = totals.tokens / max(1, totals.draws)
    sessions = run.ledger.fact("sessions", [])
    speed = sum(s["tokens"] for s in sessions) / max(1e-9, sum(s["seconds"] for s in sessions))
    draws = [math.ceil(records / max(rate, 1e-3)) for rate in (high, middle, low)]
    tokens = [round(n * per_draw) for n in draws]
    seconds = [t / max(speed, 1e-9) for t in tokens]
    size = sum(f.stat().st_size for f in run.folder.glob("ledger.sqlite*")) / max(1, totals.draws)
    return Forecast(
        records,
        (low, middle, high),
        (draws[0], draws[1], draws[2]),
        (tokens[0], tokens[1], tokens[2]),
        (seconds[0], seconds[1], seconds[2]),
        round(size * draws[1]),
    )


def wilson(kept: int, judged: int, z: float = 1.96) -> tuple[float, float, float]:
    """Return the Wilson score interval of a share: low, point, high."""
    share = kept / judged
    middle = (share + z * z / (2 * judged)) / (1 + z * z / judged)
    half = z * math.sqrt(share * (1 - share) / judged + z * z / (4 * judged * judged)) / (1 + z * z / judged)
    return max(0.0, middle - half), share, min(1.0, middle + half)
