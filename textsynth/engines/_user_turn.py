"""Whose turn it is: what a chat template writes around a user's message, found by rendering one.

With it a model goes on as the user: its prompt ends where the user's text would begin (Magpie, Xu et al. 2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from textsynth.errors import EngineError
from textsynth.records import Message

ASKED, ANSWERED = "textsynthasks", "textsynthanswers"
"""Stand for the texts of a user and of an assistant when a template is tried."""
PROBE: tuple[Message, ...] = ({"role": "user", "content": ASKED}, {"role": "assistant", "content": ANSWERED})
HINT = "use a model with a chat template that marks the user's turn, or the method instruct"


@dataclass(frozen=True, slots=True)
class UserTurn:
    """What ends a user's turn: strings to stop at, and tokens where the mark is one of the vocabulary's own."""

    stop: tuple[str, ...] = ()
    stop_tokens: tuple[int, ...] = ()


def end_mark(rendered: str, model: str) -> str:
    """Return what stands between the user's text and the assistant's in a rendering of ``PROBE``: its first line.

    Raises:
        EngineError: the template does not show the user's text as it is, or marks neither its beginning nor its end.
    """
    before, found, rest = rendered.partition(ASKED)
    between, answered, _ = rest.partition(ANSWERED)
    if not found or not answered or ASKED in rest:
        raise refusal(model, "does not show a user's text as it is")
    if not before.strip():
        raise refusal(model, "writes nothing before a user's text")
    if not between.strip():
        raise refusal(model, "writes nothing between a user's text and the answer")
    return between.strip().splitlines()[0]


def user_turn(mark: str, token: int, piece: str, *, special: bool) -> UserTurn:
    """Return how the turn ends; ``token`` is the first of the mark's tokens, ``piece`` its text.

    A token of the vocabulary's own is not shown in a completion's text, so the text cannot be searched for it.
    """
    if special and mark.startswith(piece.strip()):
        return UserTurn(stop_tokens=(token,))
    return UserTurn(stop=(mark,))


def tokenizer_turn(rendered: str, tokenizer: Any, model: str) -> UserTurn:
    """Return how the turn ends with a tokenizer at hand, from a rendering of ``PROBE``."""
    mark = end_mark(rendered, model)
    token = tokenizer(mark, add_special_tokens=False).input_ids[0]
    return user_turn(mark, token, tokenizer.decode([token]), special=token in tokenizer.added_tokens_decoder)


def merge_system(messages: Sequence[Message]) -> list[Message]:
    """Put the system message before the first user turn, for templates that know no system role."""
    if not messages or messages[0]["role"] != "system":
        return list(messages)
    first: Message = {"role": "user", "content": messages[0]["content"]}
    if len(messages) > 1 and messages[1]["role"] == "user":
        first["content"] += "\n\n" + messages[1]["content"]
        return [first, *messages[2:]]
    return [first, *messages[1:]]


def with_user(messages: Sequence[Message], text: str) -> list[Message]:
    """Return the messages with one of the user's after them."""
    return [*messages, {"role": "user", "content": text}]


def refusal(model: str, why: str) -> EngineError:
    """Return the error of a model that cannot go on as the user."""
    return EngineError(
        f"model {model}: its chat template {why}; magpie needs a template that opens a user's turn", hint=HINT
    )
