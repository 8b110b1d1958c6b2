"""The ledger: one SQLite file per run with every draw, completion and verdict. Report, export, ``why`` and resume read it.

One process writes (a lock file says who); rows are collected in memory and committed every 200 ms or 256 rows, so
``kill -9`` loses at most what arrived since. WAL mode lets others read meanwhile.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from textsynth.errors import LedgerError
from textsynth.records import Completion, Draw, Drop, Record, Seed, Verdict

FILE, LOCK = "ledger.sqlite", "lock"
COMMIT_SECONDS, COMMIT_ROWS = 0.2, 256
LAYOUT = "3"
TABLES = """
CREATE TABLE IF NOT EXISTS facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seeds (id INTEGER PRIMARY KEY, row BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS draws (
    idx INTEGER PRIMARY KEY, window INTEGER NOT NULL, attributes BLOB NOT NULL, seeds BLOB NOT NULL,
    sampling_seed INTEGER NOT NULL, arm TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS completions (
    draw INTEGER, step INTEGER, text TEXT NOT NULL, finish TEXT NOT NULL, prompt_tokens INTEGER, tokens INTEGER,
    seconds REAL, error TEXT, request BLOB, PRIMARY KEY (draw, step)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS completions_by_request ON completions (request);
CREATE TABLE IF NOT EXISTS verdicts (
    draw INTEGER PRIMARY KEY, reason TEXT NOT NULL, detail TEXT, score REAL, culprit TEXT, record BLOB);
CREATE INDEX IF NOT EXISTS verdicts_by_reason ON verdicts (reason);
"""
KEPT = ""
"""The reason of a verdict that keeps."""

encode = msgspec.json.Encoder().encode
decode = msgspec.json.decode


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over a run. ``reasons`` counts dropped draws by reason; ``open`` draws have no verdict yet."""

    draws: int
    kept: int
    reasons: dict[str, int]
    open: int
    requests: int
    prompt_tokens: int
    tokens: int


class Ledger:
    """A run folder's ledger, open for reading or, with ``write``, for the one process that may write."""

    def __init__(self, folder: Path, *, write: bool = False) -> None:
        self.folder = folder
        self._lock: int | None = None
        if write:
            self._make(folder)
        elif not (folder / FILE).is_file():
            raise LedgerError(
                f"{str(folder)!r} is not a run folder: it holds no {FILE}", hint="textsynth run RECIPE makes one"
            )
        try:
            self._db = sqlite3.connect(folder / FILE, isolation_level=None, check_same_thread=False)
            if write:
                self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + TABLES)
            layout = self.fact("layout", LAYOUT)
        except sqlite3.DatabaseError as error:
            self._unlock()
            raise damaged(folder, error) from error
        if layout != LAYOUT:
            self._unlock()
            raise LedgerError(
                f"{str(folder)!r} was written in layout {layout}, this version reads {LAYOUT}", hint="use a new folder"
            )
        if write:
            self.set_fact("layout", LAYOUT)
        self._draws: list[tuple[Any, ...]] = []
        self._seeds: dict[int, bytes] = {}
        self._known_seeds = {i for (i,) in self._db.execute("SELECT id FROM seeds")}
        self._completions: list[tuple[Any, ...]] = []
        self._verdicts: list[tuple[Any, ...]] = []
        self._committed = time.monotonic()

    def _make(self, folder: Path) -> None:
        """Create the folder and take its lock."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise LedgerError(
                f"the run folder {str(folder)!r} cannot be written: {error.strerror}",
                hint="choose another with --folder",
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._lock, 32).decode() or "unknown"
            os.close(self._lock)
            raise LedgerError(
                f"the run folder {str(folder)!r} is in use by process {holder}",
                hint="wait for it, stop it, or choose another folder with --folder",
                retryable=True,
            ) from None
        os.ftruncate(self._lock, 0)
        os.write(self._lock, str(os.getpid()).encode())

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def fact(self, key: str, default: Any = None) -> Any:
        """Return a fact about the run (recipe, engine, times, ...)."""
        try:
            row = self._db.execute("SELECT value FROM facts WHERE key = ?", (key,)).fetchone()
        except sqlite3.OperationalError as error:
            raise damaged(self.folder, error) from error
        return json.loads(row[0]) if row else default

    def set_fact(self, key: str, value: Any) -> None:
        """Write a fact at once."""
        with guarded(self.folder):
            self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (key, json.dumps(value)))

    def claim(self, fingerprint: Mapping[str, Any], *, records: int) -> None:
        """Write what this run is, or refuse if the folder holds something else or more than is wanted.

        Raises:
            LedgerError: with what changed.
        """
        held, ours = self.fact("fingerprint"), plain(fingerprint)
        if held is not None and held != ours:
            changed = differences(held, ours)
            raise LedgerError(
                f"the run folder {str(self.folder)!r} holds data of another recipe; changed: {'; '.join(changed[:8])}",
                hint="take the change back, or give the new recipe a folder of its own; what is asked alike is not paid for again: "
                f"--folder NEW --reuse {self.folder}",
            )
        if (kept := self.totals().kept) > records:
            raise LedgerError(
                f"the run folder {str(self.folder)!r} already holds {kept} accepted records, "
                f"records: asks for {records}",
                hint="ask for as many or more, or choose another folder with --folder",
            )
        if held is None:
            self.set_fact("fingerprint", ours)
            self.set_fact("created", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))

    def add_draws(self, draws: Sequence[Draw]) -> None:
        """Note planned draws and, once each, the seeds they show."""
        for draw in draws:
            ids = [seed.id for seed in draw.seeds]
            for seed in draw.seeds:
                if seed.id not in self._known_seeds:
                    self._known_seeds.add(seed.id)
                    self._seeds[seed.id] = encode(seed.row)
            self._draws.append(
                (draw.index, draw.window, encode(draw.attributes), encode(ids), draw.sampling_seed, draw.arm)
            )

    def add_completion(self, done: Completion, request: bytes | None = None) -> None:
        """Note a completion; ``request`` is a key of what was asked, by which ``answer`` finds it."""
        self._completions.append(
            (
                done.draw,
                done.step,
                done.text,
                done.finish_reason,
                done.prompt_tokens,
                done.tokens,
                done.seconds,
                done.error,
                request,
            )
        )

    def add_verdict(self, verdict: Verdict) -> None:
        """Note the end of a draw."""
        record = verdict.candidate.record
        drop = verdict.drop or Drop(KEPT, "; ".join(verdict.remarks))
        self._verdicts.append(
            (
                verdict.candidate.draw.index,
                drop.reason,
                drop.detail or None,
                drop.score,
                drop.culprit,
                None if record is None else encode(record),
            )
        )

    def tick(self) -> None:
        """Commit if 200 ms have passed or 256 rows wait; called once per turn of the loop."""
        waiting = len(self._completions) + len(self._verdicts) + len(self._draws)
        if waiting and (waiting >= COMMIT_ROWS or time.monotonic() - self._committed >= COMMIT_SECONDS):
            self.commit()

    def commit(self) -> None:
        """Write everything that waits, in one transaction."""
        with guarded(self.folder):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany("INSERT OR IGNORE INTO seeds VALUES (?, ?)", self._seeds.items())
                self._db.executemany("INSERT INTO draws VALUES (?, ?, ?, ?, ?, ?)", self._draws)
                self._db.executemany(
                    "INSERT OR REPLACE INTO completions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", self._completions
                )
                self._db.executemany("INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?, ?, ?)", self._verdicts)
                self._db.execute("COMMIT")
            except sqlite3.Error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        for rows in (self._seeds, self._draws, self._completions, self._verdicts):
            rows.clear()
        self._committed = time.monotonic()

    def draws(self) -> Iterator[Draw]:
        """Yield the committed draws in index order."""
        seeds = {i: Seed(i, decode(row)) for i, row in self._db.execute("SELECT id, row FROM seeds")}
        for row in self._db.execute(
            "SELECT idx, window, attributes, seeds, sampling_seed, arm FROM draws ORDER BY idx"
        ):
            yield read_draw(row, seeds)

    def draw(self, index: int) -> Draw | None:
        """Return one draw, or ``None`` if there is no such index."""
        row = self._db.execute(
            "SELECT idx, window, attributes, seeds, sampling_seed, arm FROM draws WHERE idx = ?", (index,)
        ).fetchone()
        if row is None:
            return None
        rows = self._db.execute(
            "SELECT id, row FROM seeds WHERE id IN (SELECT value FROM json_each(?))", (row[3].decode(),)
        )
        return read_draw(row, {i: Seed(i, decode(seed)) for i, seed in rows})

    def completions(self, index: int) -> list[Completion]:
        """Return the completions of one draw in the order of their steps."""
        rows = self._db.execute(
            "SELECT draw, step, text, finish, prompt_tokens, tokens, seconds, error FROM completions "
            "WHERE draw = ? ORDER BY step",
            (index,),
        )
        return [Completion(*row) for row in rows]

    def answer(self, request: bytes) -> Completion | None:
        """Return a completion of a request with this key, errors left out; ``None`` if there is none."""
        row = self._db.execute(
            "SELECT draw, step, text, finish, prompt_tokens, tokens, seconds, error FROM completions "
            "WHERE request = ? AND finish != 'error' ORDER BY draw, step LIMIT 1",
            (request,),
        ).fetchone()
        return None if row is None else Completion(*row)

    def verdict(self, index: int) -> tuple[Drop, Record | None] | None:
        """Return how one draw ended (``KEPT`` as reason for a kept one) and its record; ``None`` while it is open."""
        row = self._db.execute(
            "SELECT reason, detail, score, culprit, record FROM verdicts WHERE draw = ?", (index,)
        ).fetchone()
        if row is None:
            return None
        return Drop(row[0], row[1] or "", row[2], row[3]), None if row[4] is None else decode(row[4])

    def kept(self) -> Iterator[tuple[int, Record]]:
        """Yield the kept records with their index, in index order."""
        for index, record in self._db.execute("SELECT draw, record FROM verdicts WHERE reason = '' ORDER BY draw"):
            yield index, decode(record)

    def dropped(self) -> Iterator[dict[str, Any]]:
        """Yield each dropped draw with reason, detail, score, culprit, attributes, record (JSON) and last raw text."""
        query = """
            SELECT v.draw, v.reason, v.detail, v.score, v.culprit, d.attributes, v.record,
                (SELECT text FROM completions c WHERE c.draw = v.draw ORDER BY step DESC LIMIT 1)
            FROM verdicts v JOIN draws d ON d.idx = v.draw WHERE v.reason != '' ORDER BY v.draw"""
        names = ("index", "reason", "detail", "score", "culprit", "attributes", "record", "text")
        for row in self._db.execute(query):
            item = dict(zip(names, row, strict=True))
            for name in ("attributes", "record"):
                item[name] = None if item[name] is None else item[name].decode()
            yield item

    def reopen(self, reason: str) -> None:
        """Take back every verdict of one reason; its draws are judged again, from the completions that are here."""
        with guarded(self.folder):
            self._db.execute("DELETE FROM verdicts WHERE reason = ?", (reason,))

    def totals(self) -> Totals:
        """Return the sums; the parts add up to ``draws``."""
        (draws,) = self._db.execute("SELECT count(*) FROM draws").fetchone()
        reasons = Counter(dict(self._db.execute("SELECT reason, count(*) FROM verdicts GROUP BY reason")))
        requests, prompt_tokens, tokens = self._db.execute(
            "SELECT count(*), total(prompt_tokens), total(tokens) FROM completions"
        ).fetchone()
        kept = reasons.pop(KEPT, 0)
        ended = kept + sum(reasons.values())
        return Totals(
            draws, kept, dict(reasons.most_common()), draws - ended, requests, int(prompt_tokens), int(tokens)
        )

    def close(self) -> None:
        """Commit what waits (if this process writes) and free the lock."""
        try:
            if self._lock is not None and (self._draws or self._completions or self._verdicts):
                self.commit()
        finally:
            self._db.close()
            self._unlock()


@contextmanager
def guarded(folder: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours, with what to do: disk full, read-only, damaged."""
    try:
        yield
    except sqlite3.Error as error:
        raise damaged(folder, error) from error


def damaged(folder: Path, error: sqlite3.Error) -> LedgerError:
    """Word what SQLite reports about the ledger in ``folder``."""
    text = str(error)
    if "full" in text or "I/O" in text:
        return LedgerError(
            f"{str(folder / FILE)!r} cannot grow: {text}",
            hint="free some space (or check the disk); the same command goes on, everything committed is kept",
            retryable=True,
        )
    if "readonly" in text or "unable to open" in text:
        return LedgerError(
            f"{str(folder / FILE)!r} cannot be written: {text}", hint="check its permissions or use --folder"
        )
    return LedgerError(
        f"the ledger {str(folder / FILE)!r} is damaged: {text}",
        hint="keep the file (sqlite3 ledger.sqlite .recover saves most of it) and start anew in another folder",
    )


def read_draw(row: tuple[Any, ...], seeds: dict[int, Seed]) -> Draw:
    """Build a draw from its row."""
    index, window, attributes, ids, sampling_seed, arm = row
    return Draw(index, window, decode(attributes), tuple(seeds[i] for i in decode(ids)), sampling_seed, arm)


def plain(value: Any) -> Any:
    """Return ``value`` as JSON gives it back."""
    return json.loads(json.dumps(value, default=str))


def differences(held: Any, ours: Any, path: str = "") -> list[str]:
    """Return where two JSON values differ, as ``path: old → new``."""
    if isinstance(held, dict) and isinstance(ours, dict):
        keys = dict.fromkeys([*held, *ours])
        return [line for k in keys for line in differences(held.get(k), ours.get(k), f"{path}.{k}" if path else str(k))]
    if isinstance(held, list) and isinstance(ours, list) and len(held) == len(ours):
        pairs = enumerate(zip(held, ours, strict=True))
        return [line for at, (old, new) in pairs for line in differences(old, new, f"{path}[{at}]")]
    if held == ours:
        return []
    return [f"{path}: {short(held)} → {short(ours)}"]


def short(value: Any) -> str:
    """Return a value in at most 60 characters."""
    text = "(absent)" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
