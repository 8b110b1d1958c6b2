"""Files of an export: errors of the disk in the user's words, a scratch folder, and a folder put in place whole."""

from __future__ import annotations

import atexit
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from textsynth.errors import ExportError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn an ``OSError`` into an ``ExportError`` that says what to do."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        if error.errno in FULL:
            hint = f"free some space (or set TMPDIR to a larger disk) and export again: the run is untouched ({why})"
            raise ExportError(f"no room left in {str(folder)!r}", hint=hint, retryable=True) from error
        hint = "check its permissions or choose another folder" if error.errno in REFUSED else "choose another folder"
        raise ExportError(f"{str(folder)!r} cannot be written: {why}", hint=hint) from error


def scratch_folder() -> Path:
    """Make a folder that lasts as long as the process; datasets that are mapped from it (and their caches) need it."""
    folder = Path(tempfile.mkdtemp(prefix="textsynth-export-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Yield a new folder beside ``folder`` and, if the block ends well, put it in its place in one step.

    Whatever goes wrong, ``folder`` is either as it was or complete, and nothing is left beside it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.new-", dir=folder.parent))
    fresh.chmod(0o777 & ~current_umask())
    try:
        yield fresh
        swap(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def swap(fresh: Path, folder: Path) -> None:
    """Rename ``fresh`` to ``folder``; what stood there before is removed afterwards, or put back if renaming fails."""
    old = fresh.with_name(fresh.name.replace(".new-", ".old-"))
    if folder.exists():
        folder.rename(old)
    try:
        fresh.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def current_umask() -> int:
    """Return the process's umask; ``mkdtemp`` ignores it, and a dataset is for others to read too."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
