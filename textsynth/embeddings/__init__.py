"""Texts as vectors, computed by a worker process so that generation goes on meanwhile.

``load`` gives the one ``Embedder`` of a model in this process; filters share it, and a text is embedded once. The worker
is a program of its own, talked to over pipes: the main process loads neither torch nor a model, scripts need no guard,
and the worker ends with its parent.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_128_digest

from textsynth import models
from textsynth.embeddings import _frames
from textsynth.errors import MissingPackageError, ModelError, TextsynthError

Backend = Literal["auto", "torch", "openvino"]
Vectors = NDArray[np.float32]

REMEMBERED = 8192
"""Vectors of how many recent texts are kept, 1.5 kB each at 384 dimensions."""
SLICE = 1024
"""How many texts ``take`` asks for at a time; fewer than are remembered, so that none is forgotten before it is read."""
PART = 64
"""How many texts go to the worker in one message."""


def problem(name: str) -> str:
    """Return what is wrong with an embedding model's name, without loading anything; empty if nothing is seen."""
    if name in {"", "scripted"} or models.is_url(name):
        return f"{name!r} is no embedding model: name default, a folder or a sentence-transformers model"
    path = Path(name).expanduser()
    if path.is_dir():
        files = ("modules.json", "config.json")
        return "" if any((path / file).is_file() for file in files) else f"the folder {name!r} holds no {files[0]}"
    return models.problem(name)


def missing_package() -> MissingPackageError | None:
    """Return the error to raise if no package here can run an embedding model."""
    if find_spec("sentence_transformers"):
        return None
    return MissingPackageError("sentence-transformers", extra="embeddings", needed_for="an embedding model")


@cache
def _shared(name: str, backend: Backend) -> Embedder:
    embedder = Embedder(name, backend=backend)
    atexit.register(embedder.close)
    return embedder


def load(name: str = "default", *, backend: Backend = "auto") -> Embedder:
    """Return this process's embedder of a model; nothing is started before its first use.

    Args:
        name: ``default`` (all-MiniLM-L6-v2), a folder, or the name of a sentence-transformers model.
        backend: ``auto`` takes a GPU, else OpenVINO where it can run the model, else torch.
    """
    return _shared(name, backend)


class Embedder:
    """One embedding model in a worker process.

    Safe to call from several threads. A text is read up to the model's own limit (256 word pieces for ``default``).

    Args:
        name: as for ``load``.
        backend: as for ``load``.
        threads: threads on a CPU; 0 leaves one core to generation.
    """

    def __init__(self, name: str = "default", *, backend: Backend = "auto", threads: int = 0) -> None:
        self.name, self.backend = name, backend
        self.threads = threads or max(1, (os.cpu_count() or 2) - 1)
        self._news = threading.Condition(threading.RLock())
        self._memo: OrderedDict[bytes, Vectors] = OrderedDict()
        self._pending: set[bytes] = set()
        self._facts: dict[str, Any] = {}
        self._error: TextsynthError | None = None
        self._worker: subprocess.Popen[bytes] | None = None
        self._outbox: SimpleQueue[Any] = SimpleQueue()

    @property
    def dimension(self) -> int:
        """The length of a vector; starts the worker if need be."""
        self.start()
        return int(self._facts["dimension"])

    @property
    def facts(self) -> Mapping[str, str]:
        """What embeds: backend, model, source; empty before the worker has started."""
        return {key: str(value) for key, value in self._facts.items() if key != "dimension"}

    def start(self) -> None:
        """Load the model now.

        Raises:
            ModelError: the model cannot be found, fetched or loaded.
            MissingPackageError: a package it needs is not installed.
        """
        with self._news:
            self._launch()
            self._news.wait_for(lambda: self._facts or self._error)
            self._refuse()

    def submit(self, texts: Sequence[str]) -> None:
        """Have texts embedded for a later ``take``; does not wait. A failure is raised by ``take``."""
        with self._news:
            self._launch()
            fresh = {key: text for key, text in zip(_keys(texts), texts, strict=True) if self._unknown(key)}
            self._pending.update(fresh)
            items = list(fresh.items())
            for first in range(0, len(items), PART):
                part = items[first : first + PART]
                self._outbox.put([[key for key, _ in part], [_encodable(text) for _, text in part]])

    def ready(self, texts: Sequence[str]) -> bool:
        """Return whether none of these texts is still being worked on."""
        with self._news:
            return self._pending.isdisjoint(_keys(texts))

    def take(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of texts, one row each, of length 1; waits for those that are not there yet.

        Raises:
            ModelError: the model could not be loaded, or its worker ended.
            MissingPackageError: a package it needs is not installed.
        """
        if not len(texts):
            return np.empty((0, self.dimension), dtype=np.float32)
        return np.stack([row for at in range(0, len(texts), SLICE) for row in self._take(texts[at : at + SLICE])])

    def close(self) -> None:
        """End the worker and forget all vectors; the next use starts it again."""
        with self._news:
            worker, self._worker = self._worker, None
            self._forget(None)
            self._outbox.put(None)
        if worker is not None:
            worker.terminate()
            worker.wait()

    def _take(self, texts: Sequence[str]) -> list[Vectors]:
        keys, found = _keys(texts), dict[bytes, Vectors]()
        while missing := [at for at, key in enumerate(keys) if key not in found]:
            self.submit([texts[at] for at in missing])
            with self._news:
                self._news.wait_for(lambda: self._error or self._pending.isdisjoint(keys))
                self._refuse()
                found.update({key: self._memo[key] for key in keys if key in self._memo})
        return [found[key] for key in keys]

    def _unknown(self, key: bytes) -> bool:
        if key in self._memo:
            self._memo.move_to_end(key)
            return False
        return key not in self._pending

    def _refuse(self) -> None:
        """Raise the error that ended the worker; the next use tries again."""
        if error := self._error:
            self._error = None
            self._pending.clear()  # what was asked for since went nowhere
            raise error

    def _launch(self) -> None:
        if self._worker is not None or self._error is not None:
            return
        self._outbox = SimpleQueue()
        command = [sys.executable, "-m", "textsynth.embeddings._worker", self.name, self.backend, str(self.threads)]
        log = tempfile.TemporaryFile()  # noqa: SIM115  what libraries print, read if the worker dies; _read closes it
        self._worker = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=self._environment()
        )
        for work in (partial(_write, self._worker, self._outbox), partial(self._read, self._worker, log)):
            threading.Thread(target=work, daemon=True).start()

    def _environment(self) -> dict[str, str]:
        root = str(Path(__file__).parent.parent.parent)
        path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        limits = {name: str(self.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        return {**os.environ, **limits, "TOKENIZERS_PARALLELISM": "false", "PYTHONPATH": path}

    def _read(self, worker: subprocess.Popen[bytes], log: Any) -> None:
        """Take in what the worker says until it ends."""
        assert worker.stdout is not None
        with worker.stdout as stream:
            while message := _frames.receive(stream):
                with self._news:
                    if self._worker is worker:
                        self._hear(message)
                        self._news.notify_all()
        worker.wait()
        with log, self._news:
            if self._worker is worker:
                log.seek(0)
                said = log.read()[-600:].decode(errors="replace").strip()
                self._forget(ModelError(f"the embedding worker of {self.name!r} ended: {said}", retryable=True))

    def _hear(self, message: dict[str, Any]) -> None:
        if "error" in message:
            self._forget(_error(message["error"]))
        elif "facts" in message:
            self._facts = message["facts"]
        else:
            table = np.frombuffer(message["vectors"], dtype=np.float32).reshape(len(message["keys"]), -1)
            self._memo.update(zip(message["keys"], table, strict=True))
            self._pending.difference_update(message["keys"])
            while len(self._memo) > REMEMBERED:
                self._memo.popitem(last=False)

    def _forget(self, error: TextsynthError | None) -> None:
        """Give up the worker: nothing is pending any more, whoever waits is told."""
        self._error, self._worker, self._facts = error, None, {}
        self._pending.clear()
        self._memo.clear()
        self._news.notify_all()


def _write(worker: subprocess.Popen[bytes], outbox: SimpleQueue[Any]) -> None:
    """Hand texts to the worker as fast as it reads them; closing its input ends it."""
    assert worker.stdin is not None
    try:
        with worker.stdin as stream:
            while (message := outbox.get()) is not None:
                _frames.send(stream, message)
    except (BrokenPipeError, ValueError):
        return  # it has ended; _read says so


def _error(told: dict[str, Any]) -> TextsynthError:
    if told["kind"] == "missing":
        return MissingPackageError(told["message"], extra="embeddings", needed_for="an embedding model")
    return ModelError(told["message"], hint=told["hint"], retryable=told["retryable"])


def _keys(texts: Sequence[str]) -> list[bytes]:
    return [xxh3_128_digest(text.encode("utf-8", "surrogatepass")) for text in texts]


def _encodable(text: str) -> str:
    """Replace lone surrogates, which no tokenizer takes."""
    return text.encode("utf-8", "replace").decode()
