"""Planted failures are flagged, each by gates that are named here; real data passes every gate."""

from __future__ import annotations
