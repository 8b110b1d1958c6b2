"""A model that answers a list of requests: for work beside a run, such as proposing and reading traits of real texts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from textsynth.assemble import build_engine
from textsynth.recipe import Recipe
from textsynth.records import Completion, Request


class Answering:
    """An engine as a callable from requests to completions; loaded at the first question, freed by leaving the context.

        with Answering("default") as ask:
            profile = ts.fit("tickets.jsonl", traits=ask)

    Args:
        model: as in a recipe.
        engine: options of the engine, as in a recipe.
        on_progress: called with how many answers there are and how many are wanted.

    Raises:
        RecipeError: a model or an option that cannot be.
        EngineError, ModelError: from the first question.
    """

    def __init__(
        self,
        model: str = "default",
        *,
        engine: dict[str, Any] | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._engine = build_engine(Recipe(records=1, model=model, engine=engine or {}), dry_run=False)
        self._on_progress = on_progress or (lambda done, wanted: None)
        self._started = False

    def __call__(self, requests: Sequence[Request]) -> list[Completion]:
        """Return the completions in the order of the requests."""
        if not self._started:
            self._engine.start(backend="guidance")
            self._started = True
        waiting, answers = deque(requests), dict[tuple[int, int], Completion]()
        while len(answers) < len(requests):
            room = min(self._engine.room(), len(waiting))
            self._engine.submit([waiting.popleft() for _ in range(room)])
            for done in self._engine.collect(0.05):
                answers[done.draw, done.step] = done
            self._on_progress(len(answers), len(requests))
        return [answers[request.draw, request.step] for request in requests]

    def __enter__(self) -> Answering:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engine.close()
