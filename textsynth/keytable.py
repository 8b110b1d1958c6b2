"""Growing flat arrays, and a hash table in them from 32-bit keys to the numbers of what was added: no Python objects kept."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_FULL = 64  # entries a key can have
_BUCKETS = np.uint32(0xFFF)


class Column:
    """An array that grows in place. A view must not outlive the call that takes it, or the next ``append`` fails."""

    def __init__(self, dtype: type[np.generic]) -> None:
        self._dtype = np.dtype(dtype)
        self._data = bytearray()

    def __len__(self) -> int:
        return len(self._data) // self._dtype.itemsize

    def view(self) -> Array:
        """Return the array itself, not a copy."""
        return np.frombuffer(self._data, dtype=self._dtype)

    def append(self, values: Array) -> None:
        """Put values at the end."""
        self._data += np.ascontiguousarray(values, dtype=self._dtype).data.cast("B")


class KeyTable:
    """A hash table from 32-bit keys to entry numbers (0, 1, ... in order of adding), as chains through flat arrays.

    It grows by as many slots as it takes entries (linear hashing, Litwin 1980), so no insertion stops to rebuild it.
    ``heads`` and ``links`` hold entry numbers plus one; 0 ends a chain. 12 bytes an entry. Entries whose key has
    ``_FULL`` already cannot be found by it: a band that so many texts share is their boilerplate, and says nothing of
    which are near. This keeps the cost of a look-up independent of how many texts begin alike.
    """

    def __init__(self) -> None:
        self._keys, self._links, self._heads = Column(np.uint32), Column(np.uint32), Column(np.uint32)
        self._heads.append(np.zeros(1024, dtype=np.uint32))

    def find(self, keys: Array) -> tuple[Array, Array]:
        """Return all pairs (number of a key asked for, number of an entry with that key)."""
        stored, links = self._keys.view(), self._links.view()
        asked = np.arange(len(keys))
        entries = self._heads.view()[self._slots(keys)]
        pairs = [(asked[:0], asked[:0])]
        while len(asked):
            some = np.flatnonzero(entries)
            asked, at = asked[some], entries[some] - np.uint32(1)
            hit = np.flatnonzero(stored[at] == keys[asked])
            pairs.append((asked[hit], at[hit].astype(np.int64)))
            entries = links[at]
        return np.concatenate([p[0] for p in pairs]), np.concatenate([p[1] for p in pairs])

    def add(self, keys: Array) -> None:
        """Add one entry per key."""
        held = np.bincount(self.find(keys)[0], minlength=len(keys))
        if np.bincount(keys & _BUCKETS).max(initial=0) + held.max(initial=0) >= _FULL:  # else no key can be full
            held += _earlier(keys)
        open_keys = np.flatnonzero(held < _FULL)
        entries = len(self._keys) + open_keys
        self._keys.append(keys)
        self._links.append(np.zeros(len(keys), dtype=np.uint32))
        self._link(entries)
        self._grow(len(entries))

    def _slots(self, keys: Array) -> Array:
        """Return the slot of each key: its low bits, one more of them for the slots that have been split already."""
        size = len(self._heads)
        low = 1 << (size.bit_length() - 1)
        slots = (keys & np.uint32(2 * low - 1)).astype(np.int64)
        return np.where(slots < size, slots, slots & (low - 1))

    def _link(self, entries: Array) -> None:
        """Put entries at the heads of their chains; those that meet in one slot are chained to each other first."""
        if not len(entries):
            return
        slots, entries = sorted_pairs(self._slots(self._keys.view()[entries]), entries)
        links, heads = self._links.view(), self._heads.view()
        changes = slots[1:] != slots[:-1]
        first, last = np.concatenate([[True], changes]), np.concatenate([changes, [True]])
        below = np.concatenate([[0], entries[:-1] + 1])
        links[entries] = np.where(first, heads[slots], below)
        heads[slots[last]] = entries[last] + 1

    def _grow(self, count: int) -> None:
        """Split the next ``count`` slots, moving about half of each one's entries to a new slot at the end."""
        while count:
            size = len(self._heads)
            low = 1 << (size.bit_length() - 1)
            step = min(count, 2 * low - size)
            old = np.arange(size - low, size - low + step)
            moved = self._empty(old)
            self._heads.append(np.zeros(step, dtype=np.uint32))
            self._link(moved)
            count -= step

    def _empty(self, slots: Array) -> Array:
        """Cut the chains of some slots and return their entries."""
        heads, links = self._heads.view(), self._links.view()
        entries, parts = heads[slots], []
        heads[slots] = 0
        while len(entries := entries[entries != 0]):
            parts.append(entries.astype(np.int64) - 1)
            entries = links[parts[-1]]
        return np.concatenate([slots[:0], *parts])


def _earlier(keys: Array) -> Array:
    """Return, per key, how many earlier ones are equal to it, so that it's all one in how many steps keys are added."""
    ordered, places = sorted_pairs(keys, np.arange(len(keys)))
    first = np.searchsorted(ordered, ordered)
    counts = np.empty(len(keys), dtype=np.int64)
    counts[places] = np.arange(len(keys)) - first
    return counts


def sorted_pairs(major: Array, minor: Array) -> tuple[Array, Array]:
    """Sort pairs of numbers below 2**32, packed in 64 bits: far faster than sorting indirectly."""
    packed = np.sort(major.astype(np.uint64) << _HALF | minor.astype(np.uint64))
    return (packed >> _HALF).astype(np.int64), (packed & _LOW).astype(np.int64)
