"""How a user's turn ends with the model of a server: vLLM's renders and tokenises what it is given."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
from yarl import URL

from textsynth.engines._user_turn import HINT, PROBE, UserTurn, end_mark, user_turn
from textsynth.engines._wire import read_prompt, read_tokens
from textsynth.errors import EngineError

_WITHIN = aiohttp.ClientTimeout(total=10.0)


class ServedTurn:
    """How a user's turn ends with one model, asked of its server once, when it is first needed."""

    def __init__(self) -> None:
        self._asked: asyncio.Task[UserTurn] | None = None

    async def get(self, session: aiohttp.ClientSession, address: str, model: str) -> UserTurn:
        """Return it; raises ``EngineError`` as ``read_user_turn`` does."""
        if self._asked is None:
            self._asked = asyncio.get_running_loop().create_task(read_user_turn(session, address, model))
        return await asyncio.shield(self._asked)


async def read_user_turn(session: aiohttp.ClientSession, address: str, model: str) -> UserTurn:
    """Have the server at ``address`` (up to ``/v1``) render a dialogue, and find the mark after the user's text.

    Raises:
        EngineError: the server cannot show its chat template at work, or the template marks no user's turn.
    """
    root = URL(address).parent

    async def ask(verb: str, **body: Any) -> bytes:
        body = {"model": model, "add_special_tokens": False, **body}
        try:
            async with session.post(root / verb, json=body, timeout=_WITHIN) as response:
                return await response.read() if response.status == 200 else b""
        except (aiohttp.ClientError, TimeoutError, OSError):
            return b""

    tokens = read_tokens(await ask("tokenize", messages=PROBE, add_generation_prompt=False))
    rendered = read_prompt(await ask("detokenize", tokens=tokens)) if tokens else ""
    if not rendered:
        raise EngineError(
            f"model {model}: {address} does not show how its chat template opens a user's turn, which magpie needs",
            hint=f"vLLM's server does, at {root / 'tokenize'}; else {HINT}",
        )
    mark = end_mark(rendered, model)
    first = read_tokens(await ask("tokenize", prompt=mark))[:1]
    piece = read_prompt(await ask("detokenize", tokens=first)) if first else ""
    return user_turn(mark, first[0] if first else -1, piece, special=len(piece) > 3 and piece[0] in "<[")
