"""The report's plots: one function a kind of picture, from plain numbers to an ``svg`` element.

Every picture is at most 360 pixels wide, so that its text can be read on a phone; a page puts several beside each other.
A set of records has the same colour and the same marker wherever it is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from textsynth.report.svg import COLOURS, canvas, render
from textsynth.report.wording import bounds, cut, interval, number, title

WIDTH = 360
ROW = 18
LABEL = 24
MOST_POINTS = 600
MARKERS = {"real": "o", "holdout": "o", "synthetic": "D", "rejected": "x", "wanted": "|"}
Numbers = Sequence[float | None]
Form = Literal["number", "share"]
"""How values are written along an axis: as they are, or as a percentage."""


def dots(
    labels: Sequence[str],
    series: Mapping[str, Numbers],
    label: str,
    *,
    axis: str = "share of records",
    form: Form = "share",
) -> str:
    """Draw one row a label with a marker a series (Cleveland's dot plot).

    Args:
        labels: names of the rows, from top to bottom.
        series: values by role of their colour, one a label; a missing value is not drawn.
        label: what the picture shows, in words.
        axis: what the values are.
        form: how they are written.
    """
    with canvas(WIDTH, ROW * len(labels) + 48) as figure:
        axes = rows(figure, labels)
        axes.grid(axis="y")
        for role, values in series.items():
            points = [(value, place) for place, value in enumerate(values) if value is not None]
            axes.plot(*columns(points), **marker(role), clip_on=False)
        axes.set_xlim(left=0)
        axes.set_xlabel(axis)
        write_as(axes.xaxis, form)
        return render(figure, label)


def bars(labels: Sequence[str], values: Sequence[float], label: str, *, role: str = "rejected") -> str:
    """Draw one horizontal bar a label, with its number."""
    with canvas(WIDTH, ROW * len(labels) + 14) as figure:
        axes = rows(figure, labels)
        axes.barh(range(len(labels)), values, height=0.62, color=COLOURS[role])
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        for place, value in enumerate(values):
            text = {"va": "center", "xytext": (4, -0.5), "textcoords": "offset points", "color": COLOURS["muted"]}
            axes.annotate(number(value), (value, place), **text)
        axes.set_xlim(0, 1.18 * max([*values, 1e-9]))
        return render(figure, label)


def lines(
    series: Mapping[str, Sequence[tuple[float, float]]], label: str, *, x: str, y: str, form: Form = "number"
) -> str:
    """Draw a line a series through (x, y) points, y from 0 up; a share up to 1. What is wanted is dashed."""
    with canvas(WIDTH, 210) as figure:
        axes = figure.add_subplot()
        for role, points in series.items():
            shape = marker(role) if len(points) < 25 and role != "wanted" else {}
            line = {"color": COLOURS[role], "linestyle": "--" if role == "wanted" else "-"}
            axes.plot(*columns(points), clip_on=False, **shape | line)
        highest = max((y for points in series.values() for _, y in points), default=1.0)
        axes.set_ylim(0, 1 if form == "share" else 1.08 * highest or 1)
        finish(axes, x, y)
        write_as(axes.yaxis, form)
        return render(figure, label)


def steps(series: Mapping[str, Mapping[str, Sequence[float]]], label: str, *, x: str) -> str:
    """Draw a histogram a series from its ``edges`` and the ``share`` between each two of them."""
    with canvas(WIDTH, 210) as figure:
        axes = figure.add_subplot()
        for role, found in series.items():
            axes.stairs(found["share"], found["edges"], color=COLOURS[role], linewidth=2, baseline=None)
        axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
        finish(axes, x, "share of texts")
        write_as(axes.yaxis, "share")
        return render(figure, label)


def heat(names: Sequence[str], table: Sequence[Numbers], label: str) -> str:
    """Draw a square table of numbers from 0 (as it should be) upwards, the lower triangle.

    Each is a shade of one colour that grows with the root of the number, so that one high number does not hide the rest.
    """
    size = len(names)
    cells = [(r, c, table[r][c]) for r in range(size) for c in range(r + 1)]
    most = max((value for _, _, value in cells if value is not None), default=0.0) or 1.0
    with canvas(WIDTH, min(WIDTH, 120 + 22 * size)) as figure:
        from matplotlib.patches import Rectangle

        axes = rows(figure, names)
        for r, c, value in cells:
            shade = 0.0 if value is None else 0.04 + 0.96 * (max(0.0, value) / most) ** 0.5
            axes.add_patch(
                Rectangle((c - 0.46, r - 0.46), 0.92, 0.92, alpha=shade, linewidth=0, facecolor=COLOURS["bad"])
            )
        axes.set_xlim(-0.5, size - 0.5)
        axes.set_aspect("equal", anchor="NW")
        axes.set_xticks(range(size), [short(name) for name in names], rotation=55, ha="right", rotation_mode="anchor")
        axes.tick_params(axis="x", length=0, labelcolor=COLOURS["ink"])
        axes.spines["bottom"].set_visible(False)
        return render(figure, label)


def scatter(sets: Mapping[str, Mapping[str, Sequence[float]]], label: str, *, explained: Sequence[float]) -> str:
    """Draw sets of points, each ``{"x": [...], "y": [...]}``; of many, evenly chosen ``MOST_POINTS``."""
    with canvas(WIDTH, WIDTH) as figure:
        axes = figure.add_subplot()
        for role in ("real", "holdout", "synthetic", "rejected"):
            points = list(zip(sets.get(role, {}).get("x", ()), sets.get(role, {}).get("y", ()), strict=False))
            every = max(1, -(-len(points) // MOST_POINTS))
            axes.plot(*columns(points[::every]), **marker(role) | {"markersize": 3.6, "alpha": 0.75})
        axes.set_xticks([])
        axes.set_yticks([])
        shares = [f" ({100 * share:.0f} % of the variance)" for share in explained] or ["", ""]
        axes.set_xlabel(f"first component{shares[0]}")
        axes.set_ylabel(f"second{shares[-1]}")
        axes.spines[["bottom", "top", "left", "right"]].set_visible(True)
        return render(figure, label)


def gauge(row: Mapping[str, Any]) -> str:
    """Draw one value with its interval on a line: the range that is good enough shaded, what real data has as a tick.

    Args:
        row: ``value``, ``real``, ``low``, ``high`` and ``gate`` of a measured value; all but the first may be
            ``None``.
    """
    gate, value = row.get("gate") or {}, row["value"]
    known = [value, row.get("real"), row.get("low"), row.get("high"), gate.get("low"), gate.get("high")]
    least, most = span([each for each in known if each is not None])
    with canvas(WIDTH, 46) as figure:
        axes = figure.add_subplot()
        axes.set(xlim=(least, most), ylim=(-1, 1), yticks=[])
        if bounds(gate):
            start, end = gate.get("low"), gate.get("high")
            inside = (least if start is None else start, most if end is None else end)
            axes.axvspan(*inside, color=COLOURS["good"], alpha=0.16, linewidth=0)
        if row.get("low") is not None and row.get("high") is not None:
            axes.plot([row["low"], row["high"]], [0, 0], color=COLOURS["synthetic"], linewidth=2.4)
        if row.get("real") is not None:
            axes.plot([row["real"]] * 2, [-0.75, 0.75], color=COLOURS["real"], linewidth=2.4)
        axes.plot([value], [0], **marker("synthetic") | {"markersize": 7})
        axes.xaxis.set_major_locator(ticks(4))
        shown = f"{number(value)}, real data {number(row.get('real'))}, interval {interval(row.get('low'), row.get('high'))}"
        return render(figure, f"{title(row['name'])}: {shown}, good enough {bounds(gate) or 'not said'}")


def span(values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of an axis on which all values stand clear of both; it starts at 0 rather than just below."""
    least, most = min(values), max(values)
    room = 0.25 * (most - least) or 0.1 * abs(most) or 0.5
    low = least - room
    return (-room / 8 if least >= 0 > low else low), most + room


def rows(figure: Any, labels: Sequence[str]) -> Any:
    """Return axes with one row a label, the first on top."""
    axes = figure.add_subplot()
    axes.set_yticks(range(len(labels)), [short(label) for label in labels])
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.xaxis.set_major_locator(ticks(4))
    return axes


def finish(axes: Any, x: str, y: str) -> None:
    """Name the axes of a plot over x and give it few marks."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(axis="y")
    axes.tick_params(axis="y", labelcolor=COLOURS["muted"])
    axes.xaxis.set_major_locator(ticks(5, whole="only"))
    write_as(axes.xaxis, "number")
    axes.yaxis.set_major_locator(ticks(4))


def write_as(axis: Any, form: Form) -> None:
    """Write an axis's numbers in a form."""
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:g} %" if form == "share" else f"{v:,g}"))


def short(label: str) -> str:
    """Return a row's name, its end cut off beyond ``LABEL`` characters."""
    label = cut(label, 200).replace("\n", " ")
    return label if len(label) <= LABEL else f"{label[: LABEL - 1]}\u2026"


def ticks(most: int, *, whole: Literal["only", "also"] = "also") -> Any:
    """Return a rule for at most so many intervals between marks, at whole numbers only or also between them."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(most, integer=whole == "only")


def marker(role: str) -> dict[str, Any]:
    """Return how a point of a set is drawn: by colour and by shape, for those who do not tell the colours apart."""
    inside = COLOURS["paper"] if role == "holdout" else COLOURS[role]
    size = {"D": 5, "|": 11}.get(MARKERS[role], 6)
    return {
        "linestyle": "",
        "marker": MARKERS[role],
        "color": COLOURS[role],
        "markerfacecolor": inside,
        "markersize": size,
        "markeredgewidth": {"holdout": 1.6, "rejected": 1.2, "wanted": 2.4}.get(role, 0),
    }


def columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Return the x and the y of points."""
    return [x for x, _ in points], [y for _, y in points]
