"""What goes over the wire to an OpenAI-compatible server and back, as pure functions: no sockets, no state.

A request's schema is JSON text already and is copied into the body unparsed; of an answer only what is needed is read.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from time import time
from typing import Any, Literal

import msgspec

from textsynth.engines._user_turn import UserTurn, with_user
from textsynth.errors import EngineError
from textsynth.records import Completion, Request

Structured = Literal["response_format", "vllm", "none"]
Kind = Literal["pushback", "refused", "failed", "final", "denied"]
FIRST_BACKOFF, LONGEST_BACKOFF, LONGEST_RETRY_AFTER = 0.05, 10.0, 300.0  # seconds
SHOWN = 300  # characters of a server's own words


class _Message(msgspec.Struct, gc=False):
    content: str | None = None


class _Choice(msgspec.Struct, gc=False):
    message: _Message
    finish_reason: str | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Answer(msgspec.Struct, gc=False):
    choices: list[_Choice]
    usage: _Usage | None = None


class _ListedModel(msgspec.Struct):
    id: str
    max_model_len: int | None = None


class _Models(msgspec.Struct):
    data: list[_ListedModel]


class _Tokens(msgspec.Struct):
    tokens: list[int]


class _Prompt(msgspec.Struct):
    prompt: str


_encode = msgspec.json.Encoder().encode
_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_models = msgspec.json.Decoder(_Models).decode
_NO_USAGE = _Usage()
_KNOBS = ("min_p", "top_p", "top_k", "repetition_penalty")


def encode_body(request: Request, base: dict[str, Any], structured: Structured, ends: UserTurn | None = None) -> bytes:
    """Return the body of a chat completion; ``base`` holds the fields that are the same for every request.

    With ``ends`` the user's turn is written: vLLM goes on with an empty message of the user's until its template's mark.
    """
    sampling = request.sampling
    body: dict[str, Any] = {
        "messages": request.messages,
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "seed": sampling.seed,
    }
    for knob in _KNOBS:
        if (value := getattr(sampling, knob)) is not None:
            body[knob] = value
    stop = (*sampling.stop, *(ends.stop if ends else ()))
    if ends is not None:
        body["messages"] = with_user(request.messages, "")
        body |= {"add_generation_prompt": False, "continue_final_message": True}
        if ends.stop_tokens:
            body["stop_token_ids"] = ends.stop_tokens
    if stop:
        body["stop"] = stop
    if sampling.banned:
        body["bad_words"] = sampling.banned
    if request.schema is not None and structured != "none":
        schema = msgspec.Raw(request.schema)  # JSON text already: copied, not parsed
        if structured == "vllm":
            body["structured_outputs"] = {"json": schema}
        else:
            form = {"name": "record", "strict": True, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
    body.update(base)
    return _encode(body)


@dataclass(frozen=True, slots=True)
class Terms:
    """What the user set: see the options of ``Server``. The key is kept out of ``repr``."""

    model_name: str
    concurrency: int
    retries: int
    timeout: float | None
    structured: Structured
    extra_body: dict[str, Any]
    key_name: str
    key: str = field(repr=False)

    def hide(self, text: str) -> str:
        """Return a server's words without the key, which some repeat."""
        return text.replace(self.key, "***") if self.key else text


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a try gave no completion.

    ``kind``: the server has too many (pushback), can't be reached (refused), failed this time (failed), will never
    answer this request (final) or this user (denied). ``wait`` is what it asks to wait, in seconds.
    """

    kind: Kind
    text: str
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class Listing:
    """The models that a server offers, each with its context length in tokens if it tells.

    ``silent`` says why the server gave no answer, if it gave none.
    """

    address: str
    names: dict[str, int | None]
    silent: str = ""


@dataclass(frozen=True, slots=True)
class Model:
    """The model to ask for, the least context in tokens that a server tells of it, and what the user should know."""

    name: str
    context_length: int | None
    notes: tuple[str, ...]


_KINDS: dict[int, Kind] = {
    **dict.fromkeys((429, 503), "pushback"),
    **dict.fromkeys((408, 500, 502, 504), "failed"),
    **dict.fromkeys((401, 403), "denied"),
}  # fmt: skip


def _retry_after(header: str | None) -> float:
    """Return the seconds that a ``Retry-After`` header asks for, in either of its two forms; 0 if it says nothing."""
    if not header:
        return 0.0
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - time()
        except ValueError:
            return 0.0
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


def read_failure(status: int, payload: bytes, retry_after: str | None = None) -> Failure:
    """Say what a status other than 200 means, with the first 300 characters of the server's words."""
    words = " ".join(payload[: 4 * SHOWN].decode("utf-8", "replace").split())[:SHOWN]
    return Failure(_KINDS.get(status, "final"), f"HTTP {status}: {words}", _retry_after(retry_after))


def backoff(times: int, failure: Failure) -> float:
    """Return the seconds to wait after a request's failure number ``times``: doubling, spread, or what was asked."""
    seconds = min(FIRST_BACKOFF * 2.0 ** (times - 1), LONGEST_BACKOFF) * random.uniform(0.75, 1.25)
    return max(seconds, failure.wait)


def read_completion(request: Request, payload: bytes, seconds: float) -> Completion | Failure:
    """Return the completion in the body of a 200, or a failure if the body is not one."""
    try:
        answer = _decode_answer(payload)
        choice = answer.choices[0]
    except (msgspec.DecodeError, UnicodeDecodeError, IndexError):
        return Failure("failed", f"HTTP 200 without a completion: {payload[:SHOWN].decode('utf-8', 'replace')}")
    usage = answer.usage or _NO_USAGE
    return Completion(
        request.draw,
        request.step,
        choice.message.content or "",
        "length" if choice.finish_reason == "length" else "stop",
        usage.prompt_tokens,
        usage.completion_tokens,
        seconds,
    )


def read_tokens(payload: bytes) -> list[int]:
    """Return the tokens in vLLM's answer to ``POST /tokenize``; none if it is no such answer."""
    try:
        return msgspec.json.decode(payload, type=_Tokens).tokens
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []


def read_prompt(payload: bytes) -> str:
    """Return the text in vLLM's answer to ``POST /detokenize``; nothing if it is no such answer."""
    try:
        return msgspec.json.decode(payload, type=_Prompt).prompt
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def read_listing(address: str, status: int, payload: bytes) -> Listing | Failure:
    """Return the models in the answer to ``GET /models``; a server without that address lists none."""
    if status in {401, 403}:
        return read_failure(status, payload)
    try:
        return Listing(address, {model.id: model.max_model_len for model in _decode_models(payload).data})
    except msgspec.DecodeError:
        return Listing(address, {})


def choose_model(listings: Sequence[Listing], wanted: str) -> Model:
    """Return the model to ask for: ``wanted``, or the first that a server lists.

    Raises:
        EngineError: no server answered, or no name is wanted and none is listed.
    """
    told = [listing for listing in listings if not listing.silent]
    if not told:
        silence = "; ".join(f"{listing.address} ({listing.silent})" for listing in listings)
        hint = "start one with: vllm serve MODEL   (or correct the address)"
        raise EngineError(f"engine.model: no server answered: {silence}", hint=hint, retryable=True)
    name = wanted or next((name for listing in told for name in listing.names), "")
    if not name:
        hint = "say which one to ask for with model_name under engine:"
        raise EngineError(f"engine.model: {told[0].address}/models names no model", hint=hint)
    lengths = [length for listing in told if (length := listing.names.get(name))]
    notes = [note for listing in listings for note in _remarks(listing, name, wanted)]
    if lengths:
        notes.append(f"{name}: context of {min(lengths)} tokens")
    return Model(name, min(lengths, default=None), tuple(notes))


def _remarks(listing: Listing, name: str, wanted: str) -> Iterator[str]:
    """Yield what the user should know about a server's models."""
    if listing.silent:
        yield f"{listing.address} doesn't answer; going on without it until it does"
    if not wanted and len(listing.names) > 1:
        others = ", ".join(other for other in listing.names if other != name)
        yield f"{listing.address} serves several models; took {name!r}, not {others}"
    if listing.names and name not in listing.names:
        yield f"{listing.address} doesn't list the model {name!r}"
