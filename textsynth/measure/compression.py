"""How far a growing text can be compressed by what came before, over a window that sees a whole corpus."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zstandard import ZstdCompressionObj

_WINDOW = 27  # log2 of the bytes looked back: 128 MB
_LEVEL = 3


class Compression:
    """Zstandard with long-distance matching, one frame over all texts; at most 150 MB, and no more than the texts.

    gzip looks back 32 KB and sees no repetition beyond; this looks back 128 MB. Needs the package zstandard.
    """

    def __init__(self) -> None:
        self.read = self.written = 0
        self._stream: ZstdCompressionObj | None = None

    @staticmethod
    def available() -> bool:
        """Return whether the package is installed."""
        return find_spec("zstandard") is not None

    def add(self, texts: Sequence[str]) -> None:
        """Add texts, one a line."""
        if not texts:
            return
        if self._stream is None:
            self._stream = _open()
        data = ("\n".join(texts) + "\n").encode("utf-8", "replace")
        self.read += len(data)
        self.written += len(self._stream.compress(data))

    def value(self) -> float | None:
        """Return bytes read per byte written: 1 is incompressible, higher is more repetitive; ``None`` without texts."""
        if self._stream is None:
            return None
        from zstandard import COMPRESSOBJ_FLUSH_BLOCK

        self.written += len(self._stream.flush(COMPRESSOBJ_FLUSH_BLOCK))
        return self.read / self.written


def _open() -> ZstdCompressionObj:
    from zstandard import ZstdCompressionParameters, ZstdCompressor

    parameters = ZstdCompressionParameters.from_level(_LEVEL, window_log=_WINDOW, enable_ldm=True)
    return ZstdCompressor(compression_params=parameters).compressobj()
