"""Matplotlib figures as SVG that lives in a page: real text in the page's font, colours from its style sheet.

A figure is drawn in stand-in colours, one a role; ``render`` puts ``var(--role)`` in their place, so that one picture
serves light and dark. Ids that nothing refers to go, coordinates are rounded: the same data gives the same bytes.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

from xxhash import xxh3_64_hexdigest

from textsynth.errors import MissingPackageError

ROLES = ("real", "holdout", "synthetic", "rejected", "wanted", "ink", "muted", "line", "paper", "good", "bad")
COLOURS = {role: f"#0{index:x}fe0{index:x}" for index, role in enumerate(ROLES)}
"""The stand-in colour of each role."""

SETTINGS = {
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 11.5,
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.edgecolor": COLOURS["line"],
    "axes.labelcolor": COLOURS["muted"],
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "text.color": COLOURS["ink"],
    "xtick.color": COLOURS["line"],
    "ytick.color": COLOURS["line"],
    "xtick.labelcolor": COLOURS["muted"],
    "ytick.labelcolor": COLOURS["ink"],
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "grid.color": COLOURS["line"],
    "grid.linewidth": 0.6,
    "lines.linewidth": 2,
    "lines.solid_capstyle": "round",
    "path.simplify": True,
}
_COLOUR = re.compile("|".join(COLOURS.values()))
_NUMBER = re.compile(r"(?<![#\w])(?<!opacity: )-?\d+\.\d{2,}")
_ID = re.compile(r' id="([^"]*)"')
_USED = re.compile(r'(?:url\(#|href="#)([^)"]*)')
_TURN = re.compile(r' transform="rotate\(-?0 [^)]*\)"')
_VIEW = re.compile(r'viewBox="([^"]*)"')
_TAG = re.compile(r"<[^>]*>")
_BETWEEN = re.compile(r">\s+<")
_NO_NEED = re.compile(r"<!--.*?-->|<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<defs/>|<g/>", re.DOTALL)
_NAMES = {colour: f"var(--{role})" for role, colour in COLOURS.items()}


@contextmanager
def canvas(width: float, height: float) -> Iterator[Any]:
    """Give a figure of this size, in CSS pixels, to draw on.

    Raises:
        MissingPackageError: matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingPackageError("matplotlib", extra="report", needed_for="the report's plots") from error
    with rc_context(SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # the reader's own fonts draw the text
        yield Figure(figsize=(width / 72, height / 72), layout="constrained")


def render(figure: Any, label: str) -> str:
    """Return a figure as an ``svg`` element for a page. ``label`` says to those who do not see it what it shows.

    Call it inside ``canvas``.
    """
    from matplotlib import rc_context

    target = io.StringIO()
    with rc_context({"svg.hashsalt": xxh3_64_hexdigest(label.encode("utf-8", "replace"))}):
        figure.savefig(
            target, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    return _embed(target.getvalue(), label)


def _embed(svg: str, label: str) -> str:
    """Reduce a whole SVG file to what a page needs."""
    svg = _NO_NEED.sub("", svg[svg.index("<svg") :])
    kept = set(_USED.findall(svg))
    svg = _TAG.sub(lambda found: _restyle(found[0], kept), svg)
    view = _VIEW.search(svg)
    head = f'<svg role="img" aria-label="{escape(label)}" viewBox="{view[1] if view else ""}">'
    return head + _BETWEEN.sub("><", svg[svg.index(">") + 1 :]).strip()


def _restyle(tag: str, kept: set[str]) -> str:
    """Return a tag with colours by role, coordinates of one decimal and no id but the ``kept`` ones."""
    tag = _ID.sub(lambda found: found[0] if found[1] in kept else "", tag)
    tag = _COLOUR.sub(lambda found: _NAMES[found[0]], tag)
    tag = _NUMBER.sub(lambda found: f"{float(found[0]):.1f}".removesuffix(".0"), tag)
    tag = _TURN.sub("", tag).replace("xlink:href", "href").replace(" font-family: 'DejaVu Sans';", "")
    return " ".join(tag.split())
