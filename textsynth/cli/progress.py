"""Where a run stands, live: a few lines in a terminal, a line now and then in a log, JSON lines for machines."""

from __future__ import annotations

import json
import time
from types import TracebackType
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live as RichLive
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from textsynth.windows import Progress

LOG_SECONDS = 10.0
"""Seconds between lines when the output is no terminal."""


class Live:
    """Shows progress on ``out`` while used as a context."""

    def __init__(self, out: TextIO, *, as_json: bool) -> None:
        self.out, self.as_json = out, as_json
        self.console = Console(file=out)
        self._live = RichLive(console=self.console, auto_refresh=False, transient=True)
        self._said = 0.0
        self._phase = ""

    def __enter__(self) -> Live:
        """Start the display if there is a terminal."""
        if self.console.is_terminal and not self.as_json:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the display away."""
        self._live.stop()

    def update(self, progress: Progress) -> None:
        """Show where the run stands now."""
        if self.as_json:
            self.out.write(json.dumps({"event": "progress", **as_data(progress)}) + "\n")
        elif self.console.is_terminal:
            self._live.update(display(progress), refresh=True)
        elif progress.phase != self._phase or time.monotonic() - self._said >= LOG_SECONDS:
            self._said, self._phase = time.monotonic(), progress.phase
            self.out.write(line(progress) + "\n")


def as_data(progress: Progress) -> dict[str, object]:
    """Return the facts of a progress report as JSON takes them."""
    data: dict[str, object] = {
        name: getattr(progress, name) for name in progress.__dataclass_fields__ if name not in {"engine", "reasons"}
    }
    engine = progress.engine
    return data | {
        "reasons": dict(progress.reasons),
        "in_flight": engine.in_flight,
        "busy": round(engine.busy, 4),
        "retries": engine.retries,
    }


def line(progress: Progress) -> str:
    """Return one line of plain text."""
    drops = ", ".join(f"{reason} {count}" for reason, count in progress.reasons.items()) or "none"
    return f"{progress.phase}: {counts(progress)}, dropped: {drops}; {speed(progress)}, {left(progress)}"


def generates(progress: Progress) -> bool:
    """Return whether records are made; else rows that exist are judged, and no engine is at work."""
    return bool(progress.engine.capacity) or progress.phase == "loading the model"


def counts(progress: Progress) -> str:
    """Say how many are accepted; of a dataset that is only judged, how many rows that took."""
    if generates(progress):
        return f"{progress.kept}/{progress.wanted} accepted"
    return f"{progress.kept} kept of {progress.draws}/{progress.wanted}"


def speed(progress: Progress) -> str:
    """Say how fast it goes: in tokens of the engine, or in rows where there is none."""
    if generates(progress):
        return f"{progress.tokens_per_second:.0f} tokens/s, engine {progress.engine.busy:.0%} busy"
    return f"{progress.draws / max(progress.seconds, 1e-9):,.0f} rows/s"


def left(progress: Progress) -> str:
    """Say how long it will still take."""
    return "time left unknown" if progress.seconds_left is None else f"{duration(progress.seconds_left)} left"


def duration(seconds: float) -> str:
    """Write seconds as people do."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def display(progress: Progress) -> Group:
    """Return the live display: a bar, the rates, the drops by reason."""
    head = Table.grid(padding=(0, 2))
    engine = progress.engine
    done = progress.kept if generates(progress) else progress.draws
    bar = ProgressBar(total=progress.wanted, completed=done, width=40)
    head.add_row(bar, Text(counts(progress), style="bold"), Text(left(progress)))
    rates = f"{progress.phase} · {progress.draws} draws · {speed(progress)} · {duration(progress.seconds)}"
    if generates(progress):
        rates += f" · {engine.in_flight}/{engine.capacity} in flight"
    if engine.retries:
        rates += f" · {engine.retries} retries"
    drops = Text("dropped: ", style="dim")
    drops.append("  ".join(f"{reason} {count}" for reason, count in progress.reasons.items()) or "none")
    notes = [Text(f"note: {note}", style="yellow") for note in engine.notes]
    return Group(head, Text(rates, style="dim"), drops, *notes)
