"""An OpenAI-compatible server on 127.0.0.1 in a thread of its own that fails as told: the opposite of a mock.

``faults`` maps the number of a request's user message ("item 7" is 7) to the faults it meets, one per try, before it is
answered. Every try is kept with its time, body and headers.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

ERRORS = {"400": 400, "401": 401, "404": 404, "429": 429, "429 later": 429, "500": 500, "503": 503, "408": 408}


@dataclass
class Try:
    item: int
    at: float
    body: dict[str, Any]
    raw: bytes
    headers: dict[str, str]


@dataclass
class FaultyServer:
    latency: float = 0.005
    faults: dict[int, list[str]] = field(default_factory=dict)
    always: str = ""
    models: list[dict[str, Any]] = field(default_factory=lambda: [{"id": "small", "max_model_len": 4096}])
    models_status: int = 200
    port: int = 0
    tries: list[Try] = field(default_factory=list)
    answered: Counter[int] = field(default_factory=Counter)
    most_at_once: int = 0
    at_once: int = 0
    said: str = "no"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> FaultyServer:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self.loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._complete)
        self.runner = web.AppRunner(app, shutdown_timeout=0.01, access_log=None)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self.runner.addresses[0][1]

    async def _stop(self) -> None:
        await self.runner.cleanup()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"data": self.models}, status=self.models_status)

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = json.loads(raw)
        found = re.search(r"item (\d+)", body["messages"][-1]["content"])
        item = int(found[1]) if found else -1
        self.tries.append(Try(item, time.monotonic(), body, raw, dict(request.headers)))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.latency)
            waiting = self.faults.get(item)
            return await self._answer(request, item, waiting.pop(0) if waiting else self.always)
        finally:
            self.at_once -= 1

    async def _answer(self, request: web.Request, item: int, fault: str) -> web.StreamResponse:
        if fault in ERRORS:
            headers = {"Retry-After": "1"} if fault == "429 later" else {}
            return web.json_response({"error": {"message": self.said}}, status=ERRORS[fault], headers=headers)
        if fault == "garbage":
            return web.Response(body=b"<html>\xff busy", content_type="text/html")
        if fault == "empty":
            return web.json_response({"choices": []})
        if fault == "hang":
            await asyncio.sleep(60)
        if fault == "cut":
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            await response.prepare(request)
            await response.write(b'{"choices": [')
            request.transport.abort()
            return response
        self.answered[item] += 1
        choice = {"message": {"role": "assistant", "content": f"answer {item}"}, "finish_reason": fault or "stop"}
        return web.json_response({"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 3}})
