"""The loop: draw → request → completion → candidate → verdict → ledger → steer, until enough is kept.

One thread runs it; the engine works in its own and is always kept full. Nothing here waits for a whole batch: a window is
judged when its last draw is done, while later windows are already being generated.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from textsynth import topics
from textsynth.assemble import Parts
from textsynth.errors import EngineError
from textsynth.goal import UNSELECTED, Goal
from textsynth.judge import FIRST_STEP, Hearing, Judge
from textsynth.ledger import KEPT, Ledger
from textsynth.records import Candidate, Completion, Draw, Drop, Record, Request, Verdict
from textsynth.registry import contain
from textsynth.routing import Router
from textsynth.steer import Ended, largest_remainder
from textsynth.windows import Active, Pace, Progress, Window

NOTE_SECONDS = 2.0
"""Seconds between two notes of the time spent, so that a killed process's time is not lost."""
REOPENED = ("surplus", UNSELECTED)
"""Reasons of draws that are judged again when more records are wanted than before."""
REDRAW = 0.3
"""Seconds between two calls of ``on_progress``."""


class Pipeline:
    """One run in one folder. Iterate over ``records`` to make it happen; ``close`` in any case.

    Args:
        parts: from ``assemble``.
        folder: the run folder; what it holds already is continued.
        on_progress: called a few times a second.
        reuse: another run folder; a request that was answered there is not asked again.

    Raises:
        LedgerError: the folder is in use, damaged, cannot be written, or holds data of another recipe.
    """

    def __init__(
        self,
        parts: Parts,
        folder: Path,
        *,
        on_progress: Callable[[Progress], None] | None = None,
        reuse: Path | None = None,
    ) -> None:
        self.parts, self.recipe, self.engine = parts, parts.recipe, parts.engine
        self._earlier = Ledger(reuse) if reuse else None
        self.ledger = Ledger(folder, write=True)
        self.router = Router(
            engine=parts.engine,
            others=parts.others,
            speaker=parts.speaker,
            ledger=self.ledger,
            earlier=self._earlier,
        )
        self.goal = parts.goal
        self._most = self.goal.accepted if self.goal else self.recipe.records
        self.judge = Judge(filters=parts.filters, records=self._most, quotas=parts.quotas)
        self.stopped_by = ""
        self._on_progress = on_progress or (lambda progress: None)
        self._windows: deque[Window] = deque()
        self._active: dict[int, Active] = {}
        self._hearing: Hearing | None = None
        self._reasons: Counter[str] = Counter()
        self.pace = Pace(self.recipe.limits.windows)
        self._tokens = 0
        self._kept_before = 0
        self._started = self._drawn = self._noted = time.monotonic()
        try:
            self.ledger.claim(parts.fingerprint, records=self._most)
            for name, value in parts.facts.items():
                self.ledger.set_fact(name, value)
            self._restore()
            self._sessions = self.ledger.fact("sessions", [])
        except BaseException:
            self.ledger.close()
            raise

    def records(self) -> Iterator[list[tuple[int, Record]]]:
        """Run until a stop rule holds; yield newly kept records with their index, window by window."""
        ungrown = self.recipe.topics is not None and not self.ledger.fact("topics")
        if not ungrown and self._finished():
            self._finish()
            return
        self._say("loading the model")
        for judging in self.parts.filters.values():
            judging.start()
        for engine in self.router.engines:
            engine.start(backend=self.parts.decoding.backend)
        self._started = time.monotonic()
        if ungrown:
            self._grow_topics()
        while not self._finished():
            self.router.feed(self._plan_window)
            for done in self.router.collect():
                self._advance(done)
            kept = self._judge_windows()
            self.ledger.tick()
            if time.monotonic() - self._noted >= NOTE_SECONDS:
                self._note_time()
            if time.monotonic() - self._drawn >= REDRAW:
                self._say("generating")
            if kept:
                yield kept
        self._finish()

    def close(self) -> None:
        """Stop the engine and write what is finished. The run can be continued later."""
        try:
            if not self.stopped_by:
                self._note_time()
        finally:
            try:
                for judging in self.parts.filters.values():
                    judging.close()
                for engine in self.router.engines:
                    engine.close()
            finally:
                self.ledger.close()
                if self._earlier:
                    self._earlier.close()

    # --- opening -----------------------------------------------------------------------------------------------------

    def _restore(self) -> None:
        """Bring plan, filters, quotas and open draws to where the ledger ends."""
        if self.recipe.topics and (leaves := self.ledger.fact("topics")):
            self._share_topics(leaves)
        totals = self.ledger.totals()
        self._tokens = totals.tokens
        self._reasons.update(totals.reasons)
        if totals.kept < self.recipe.records:
            for reason in REOPENED:
                if self._reasons.pop(reason, 0):
                    self.ledger.reopen(reason)
        elif UNSELECTED in self._reasons:
            self.judge.records = totals.kept  # the selection has been made
        window: list[Draw] = []
        for draw in self.ledger.draws():
            if window and draw.window != window[0].window:
                self._restore_window(window)
                window = []
            window.append(draw)
        if window:
            self._restore_window(window)
        self._kept_before = self.judge.kept

    def _restore_window(self, draws: list[Draw]) -> None:
        """Take over one window: its verdicts if it has them, else its draws with their completions so far."""
        steering = self.parts.plan.steering
        steering.next_size()
        self.parts.plan.restore(draws)
        found = {draw.index: self.ledger.verdict(draw.index) for draw in draws}
        records = {index: end[1] for index, end in found.items() if end is not None and end[0].reason == KEPT}
        self.judge.restore([Candidate(draw, records[draw.index]) for draw in draws if draw.index in records])
        ended = [
            self._ended(draw, records.get(draw.index), sum(c.tokens for c in self.ledger.completions(draw.index)))
            for draw in draws
            if found[draw.index] is not None
        ]
        if open_draws := [draw for draw in draws if found[draw.index] is None]:
            self._open(Window(draws[0].window, open_draws, resumed=True, before=ended))
        else:
            self._learn(draws[0].window, ended)
            self.pace.see(len(records), len(draws))

    # --- one turn ----------------------------------------------------------------------------------------------------

    def _plan_window(self) -> bool:
        """Plan one more window; False when none is wanted now."""
        limit = self.recipe.limits.draws
        draws = self.parts.plan.next_window(None if limit is None else limit - self.parts.plan.next_index)
        if not draws:
            return False
        self.ledger.add_draws(draws)
        self._open(Window(draws[0].window, draws))
        return True

    def _open(self, window: Window) -> None:
        """Start the draws of a window; requests whose prompts begin alike go to the engine side by side."""
        self._windows.append(window)
        first = []
        for draw in window.draws:
            active = self._active[draw.index] = Active(draw, window, self.parts.method.run(draw))
            stored = {c.step: c for c in self.ledger.completions(draw.index)} if window.resumed else {}
            request = self._step(active, None)
            while request is not None and request.step in stored:
                window.tokens[draw.index] += stored[request.step].tokens
                request = self._step(active, stored[request.step])
            if request is not None:
                first.append(request)
        first.sort(key=lambda r: "".join(m["content"] for m in r.messages))
        for request in first:
            self.router.begin(request)

    def _step(self, active: Active, done: Completion | None) -> Request | None:
        """Move one draw forward; return its next request, or note its candidate."""
        ended: list[Candidate] = []

        def move() -> Request | None:
            try:
                return next(active.steps) if done is None else active.steps.send(done)
            except StopIteration as stop:
                ended.append(stop.value)
                return None

        request, error = contain(move)
        if request is not None:
            return request
        draw = active.draw
        active.window.done[draw.index] = ended[0] if ended else Candidate(draw, None, Drop("method_error", error))
        del self._active[draw.index]
        if active.window.complete:
            self.judge.begin(active.window.candidates)
        return None

    def _advance(self, done: Completion) -> None:
        """Hand a completion to its draw."""
        self._tokens += done.tokens
        if done.step >= FIRST_STEP:
            if self._hearing is not None:
                self._hearing.answer(done)
            return
        if (active := self._active.get(done.draw)) is None:
            return
        active.window.tokens[done.draw] += done.tokens
        if (request := self._step(active, done)) is not None:
            self.router.ask(request)

    def _judge_windows(self) -> list[tuple[int, Record]]:
        """Judge every window that is complete, in order; return what was kept."""
        kept: list[tuple[int, Record]] = []
        while self._windows and not self._enough():
            window = self._windows[0]
            verdicts = self._judge(window)
            if verdicts is None:
                break
            self._windows.popleft()
            for verdict in verdicts:
                self._end(verdict)
            records = {v.candidate.draw.index: v.candidate.record or {} for v in verdicts if v.kept}
            draws = [v.candidate.draw for v in verdicts]
            ended = [self._ended(draw, records.get(draw.index), window.tokens[draw.index]) for draw in draws]
            self._learn(window.number, [*window.before, *ended])
            self.pace.see(len(records), len(verdicts))
            kept += records.items()
        return kept

    def _ended(self, draw: Draw, record: Record | None, tokens: int) -> Ended:
        """Return a judged draw with what was seen in its record, if that was kept."""
        watch = self.parts.watch
        observed = watch.seen[draw.index].values if watch and record is not None else {}
        return Ended(draw, record, observed, tokens)

    def _learn(self, number: int, ended: list[Ended]) -> None:
        """Let the plan and the goal learn from a window all of whose draws are judged."""
        self.parts.plan.steering.judge(number, ended)
        if self.goal:
            self.goal.see(number, ended)

    def _enough(self) -> str:
        """Return why nothing more need be accepted; empty while it must."""
        if self.judge.complete:
            return "records"
        return self.goal.enough() if self.goal else ""

    def _judge(self, window: Window) -> list[Verdict] | None:
        """Judge the first window as far as it goes; ``None`` while draws, slow filters or answers are missing."""
        if self._hearing is None:
            if not (window.complete and self.judge.ready(window.candidates)):
                return None
            self._hearing = Hearing(self.judge.judge(window.candidates))
        while questions := self._hearing.proceed():
            for name, request in self.judge.addressed(questions):
                stored = {c.step: c for c in self.ledger.completions(request.draw)} if window.resumed else {}
                if request.step in stored:
                    self._hearing.answer(stored[request.step])
                else:
                    self.router.ask(replace(request, model=self.parts.filters[name].asked_model))
        verdicts = self._hearing.verdicts
        if verdicts is not None:
            self._hearing = None
        return verdicts

    def _end(self, verdict: Verdict) -> None:
        """Note the end of a draw."""
        self.ledger.add_verdict(verdict)
        if verdict.drop is not None:
            self._reasons[verdict.drop.reason] += 1

    # --- topics ---------------------------------------------------------------------------------------------------------

    def _grow_topics(self) -> None:
        """Have the model grow the recipe's tree of topics, before anything is drawn; what it said before is not asked again."""
        spec = self.recipe.topics
        if spec is None or self.ledger.fact("topics"):
            return
        told = {done.step: done for done in self.ledger.completions(topics.DRAW)}
        growing = topics.grow(spec, seed=self.recipe.seed, folder=self.recipe.folder)
        try:
            leaves = self.router.converse(growing, told, waiting=lambda: self._say("growing topics"))
        except ValueError as error:
            raise EngineError(str(error)) from None
        self._tokens += self.router.generated
        self.ledger.set_fact("topics", leaves)
        self._share_topics(leaves)

    def _share_topics(self, leaves: Sequence[str]) -> None:
        """Draw the topics evenly: as many records of each, as far as the number wanted allows."""
        shares = largest_remainder(dict.fromkeys(leaves, 1.0), self._most)
        self.parts.plan.share(topics.FIELD, shares)
        self.judge.limit(topics.FIELD, shares)

    # --- ending ------------------------------------------------------------------------------------------------------

    def _finished(self) -> bool:
        """Return whether a stop rule holds, and note which."""
        lived = time.monotonic() - self._started
        if reason := self._enough() or self.pace.limit(self.recipe.limits, tokens=self._tokens, seconds=lived):
            self.stopped_by = reason
        elif not self._windows and not self._plan_window():
            limits, draws = self.recipe.limits, self.parts.plan.next_index
            exhausted = limits.draws is not None and draws >= limits.draws
            self.stopped_by = (
                f"limits.draws: {limits.draws}"
                if exhausted
                else "seeds.max_uses: every seed has been shown as often as allowed"
            )
        return bool(self.stopped_by)

    def _finish(self) -> None:
        """Stop the engines; draws that are not needed any more end as ``surplus``."""
        for engine in self.router.engines:
            engine.cancel()
        if self._enough():
            surplus = Drop("surplus", f"{self.judge.kept} records were already accepted")
            for window in self._windows:
                for draw in window.draws:
                    self._end(Verdict(Candidate(draw, None), surplus))
            self._windows.clear()
        if self.goal:
            self._select(self.goal)
        self.ledger.set_fact("stopped_by", self.stopped_by)
        self.ledger.set_fact("filters", self.judge.report())
        self.ledger.commit()
        self._note_time()
        self._say("finished")

    def _select(self, goal: Goal) -> None:
        """Leave out accepted records that are too many, and note how steering went."""
        self.ledger.commit()
        selected = UNSELECTED in self._reasons
        for place, index in enumerate(goal.leave_out()):
            draw, found = self.ledger.draw(index), self.ledger.verdict(index)
            if draw and found:
                detail = f"left out as number {place + 1}: without it the dataset is closer to real data"
                self._end(Verdict(Candidate(draw, found[1]), Drop(UNSELECTED, detail)))
        if not selected:
            self.ledger.set_fact("steering", goal.account() | {"stop": self.stopped_by})

    def _note_time(self) -> None:
        """Write this process's share of the run's totals, in place of what it wrote before."""
        self._noted = now = time.monotonic()
        status = self.engine.status()
        spent = {"seconds": now - self._started, "tokens": self.router.generated, "busy": status.busy}
        self.ledger.set_fact("sessions", [*self._sessions, spent])
        self.ledger.set_fact("engine_notes", [*status.notes, *dict.fromkeys(self.judge.notes)])
        if status.facts:
            self.ledger.set_fact("engine", status.facts)

    def _say(self, phase: str) -> None:
        self._drawn = now = time.monotonic()
        lived = max(now - self._started, 1e-9)
        made = self.judge.kept - self._kept_before
        missing = self.judge.records - self.judge.kept
        self._on_progress(
            Progress(
                phase=phase,
                kept=self.judge.kept,
                wanted=self.judge.records,
                draws=self.parts.plan.next_index,
                reasons=dict(self._reasons.most_common()),
                tokens=self._tokens,
                tokens_per_second=self.router.generated / lived,
                seconds=lived,
                seconds_left=lived / made * missing if made else None,
                engine=self.engine.status(),
            )
        )
