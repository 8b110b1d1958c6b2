"""Tune: a LoRA adapter that teaches a model to write records as a profile's real ones are, stopped before it copies them.

The prompt of each real row is the one that generation asks with (the profile's template, without examples), the completion
is what constrained decoding would have written, and only that counts for the loss. The profile's ``train`` rows are learnt
from, its ``steer`` rows are held out; ``report`` rows are never looked at. At intervals the model is looked at: the loss on
both, how much of train it repeats beyond what held-out text does, whether members can be told. The adapter that is kept is
the best one from before any alarm. Alarms are no proof of privacy.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

from textsynth import models
from textsynth.errors import RecipeError
from textsynth.tuning._alarms import Alarm
from textsynth.tuning._book import Existing, Tuned, open_book
from textsynth.tuning._looks import Look, Verdict, judge
from textsynth.tuning._rows import Pair, Pairs, read_pairs
from textsynth.tuning._settings import Training

__all__ = ["Alarm", "Look", "Pair", "Pairs", "Training", "Tuned", "Verdict", "judge", "read_pairs", "tune"]


def tune(
    profile: str | Path,
    *,
    to: str | Path,
    data: str = "",
    model: str = "default",
    training: Training | None = None,
    existing: Existing = "resume",
    on_look: Callable[[Look], None] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Tuned:
    """Train a LoRA adapter on a profile's ``train`` rows, or go on with a tuning that was interrupted.

    Args:
        profile: the folder of ``textsynth fit``, or a recipe that names one: its template, variables, schema and sampling
            are then what is trained for.
        to: the folder of the adapter, in peft's format, with ``tuning.json`` beside it.
        data: the rows that the profile was fitted on (default: where they lay then).
        model: ``default``, a model folder or a Hugging Face id; of a recipe, its own if it names one.
        training: how long, how fast, how often to look.
        existing: what to do with an adapter of other settings in the folder: ``resume`` refuses it, ``replace`` removes it.
        on_look: called after each look at the model.
        say: called with what the user should know meanwhile.

    Returns:
        The looks, why it stopped, and the lines that a recipe needs.

    Raises:
        RecipeError: no text fields, too few rows, a model that is not on this machine as weights, a folder in use.
        MissingPackageError: peft or trl is not installed.
    """
    training = training or Training()
    if existing not in get_args(Existing):
        raise RecipeError([f"existing: must be resume or replace, got {existing!r}"])
    pairs = read_pairs(profile, data=data, model=model, limit=training.limit, seed=training.seed)
    refuse_server(pairs.model)
    book = open_book(Path(to), pairs, training, existing=existing)
    if book.finished:
        say(f"{to} is finished with these very settings: nothing to do")
        return book.tuned()
    from textsynth.tuning._train import train

    found = models.find(pairs.model, say=say)
    train(found.location, pairs, training, book, on_look or (lambda _: None), say)
    return book.tuned()


def refuse_server(model: str) -> None:
    """Raise ``RecipeError`` for a model that has no weights here."""
    if models.is_url(model) or model == "scripted":
        raise RecipeError(
            [f"model: {model!r} has no weights on this machine that could be tuned"],
            hint="name the model itself: default, a folder or a Hugging Face id; serve it with the adapter afterwards",
        )
