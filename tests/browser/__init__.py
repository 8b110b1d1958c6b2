"""Debian's Chromium, headless, asked over its DevTools protocol what a page looks like."""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars --remote-debugging-port=0"
).split()
OVERFLOW = """
(() => {
  const wide = document.documentElement.clientWidth, found = [];
  for (const one of document.body.querySelectorAll("*")) {
    const box = one.getBoundingClientRect();
    if (box.width && box.right > wide + 1 && !one.closest("pre, .scroll, svg, thead")) found.push(one.tagName + "." + one.className);
  }
  return {wide, scroll: document.documentElement.scrollWidth, found};
})()
"""


@dataclass
class Tab:
    """One open page: what it asked the network for, what it complained of, and what can be asked of it."""

    socket: aiohttp.ClientWebSocketResponse
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))
    _loaded: int = 0

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        await self.socket.send_json({"id": number, "method": method, "params": params})
        while True:
            said = await self.socket.receive_json(timeout=60)
            self._note(said)
            if said.get("id") == number:
                if "error" in said:
                    raise RuntimeError(f"{method}: {said['error']}")
                return said["result"]

    def _note(self, said: dict[str, Any]) -> None:
        match said.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(said["params"]["request"]["url"])
            case "Log.entryAdded":
                self.complaints.append(said["params"]["entry"]["text"])
            case "Runtime.exceptionThrown" | "Runtime.consoleAPICalled":
                self.complaints.append(str(said["params"]))
            case "Page.loadEventFired":
                self._loaded += 1

    async def open(self, page: Path) -> None:
        for domain in ("Page", "Network", "Log", "Runtime"):
            await self.call(f"{domain}.enable")
        before = self._loaded
        await self.call("Page.navigate", url=page.resolve().as_uri())
        while self._loaded == before:
            self._note(await self.socket.receive_json(timeout=60))

    async def look(self, width: int, scheme: str) -> None:
        phone = width < 600
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=phone
        )
        await self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    async def ask(self, script: str) -> Any:
        found = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def overflow(self) -> dict[str, Any]:
        return await self.ask(OVERFLOW)

    async def picture(self, top: int, height: int, width: int) -> bytes:
        clip = {"x": 0, "y": top, "width": width, "height": height, "scale": 1}
        shot = await self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        return base64.b64decode(shot["data"])


def visit(page: Path, folder: Path, look: Callable[[Tab], Awaitable[Any]]) -> Any:
    """Start Chromium with an empty profile in ``folder``, open a page, and return what ``look`` does."""
    assert CHROMIUM is not None
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'chromium'}", "about:blank"],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        return asyncio.run(_visit(wait_for_port(folder / "chromium", process), page, look))
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for_port(profile: Path, process: subprocess.Popen[bytes]) -> int:
    told = profile / "DevToolsActivePort"
    for _ in range(600):
        if told.is_file() and (lines := told.read_text().split()):
            return int(lines[0])
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"Chromium did not start: see {profile.parent / 'chromium.log'}")


async def _visit(port: int, page: Path, look: Callable[[Tab], Awaitable[Any]]) -> Any:
    async with aiohttp.ClientSession() as session:
        async with session.put(f"http://127.0.0.1:{port}/json/new?about:blank") as answer:
            place = (await answer.json())["webSocketDebuggerUrl"]
        async with session.ws_connect(place, max_msg_size=0) as socket:
            tab = Tab(socket)
            await tab.open(page)
            return await look(tab)
