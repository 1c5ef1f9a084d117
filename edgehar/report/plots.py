"""Plots of a report as SVG: training curve, confusion matrix, intervals, skeleton poses, signals."""

import io
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import DataError
from edgehar.signals.clip import Floats, Times

INK = "#1f2933"
BLUE = "#2b6cb0"
COLOURS = (BLUE, "#c05621", "#2f855a", "#6b46c1", "#97266d", "#4a5568")
GRID = "#e4e7eb"
LONGEST_NAME = 28
DOTS_PER_INCH = 130
SHADES = 7
"""From white to a colour."""
STYLE: dict[str, Any] = {
    "font.size": 9,
    "axes.edgecolor": "#9aa5b1",
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "path",  # the reader needs no font
    "svg.hashsalt": "edgehar",  # equal input gives equal bytes
    "text.parse_math": False,  # a label may hold a $
}


@contextmanager
def _drawing(width: float, height: float) -> Generator[Any, None, None]:
    """A figure of `width` x `height` inches, in the style of the report."""
    import matplotlib
    from matplotlib.figure import Figure

    library: Any = matplotlib  # its type hints do not fit a dict of settings
    with library.rc_context(STYLE), warnings.catch_warnings():
        # Characters that the built-in font lacks appear as boxes; the text of the page has the names.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield Figure(figsize=(width, height), layout="constrained")


def _as_svg(width: float, height: float, draw: Callable[[Any], None]) -> bytes:
    """An SVG of `width` x `height` inches; `draw` draws on its axes."""
    buffer = io.BytesIO()
    with _drawing(width, height) as figure:
        draw(figure.add_subplot())
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return buffer.getvalue()


def curve(updates: Sequence[float], values: Sequence[float], quantity: str) -> bytes:
    """A quantity over the updates of a training stage."""

    def draw(axes: Any) -> None:
        axes.plot(updates, values, color=BLUE, linewidth=1.6, marker="o" if len(updates) < 13 else "", markersize=3)
        axes.set_xlabel("update")
        axes.set_ylabel(quantity)
        axes.grid(axis="y", color=GRID, linewidth=0.8)
        axes.locator_params(nbins=5)
        axes.set_axisbelow(True)

    return _as_svg(3.6, 2.3, draw)


def confusion_matrix(counts: NDArray[np.int64], labels: Sequence[str]) -> bytes:
    """A confusion matrix of counts (K, K), true class by row, coloured by the share of the row."""
    classes = len(labels)
    if counts.shape != (classes, classes):
        raise DataError(f"confusion matrix of shape {counts.shape}; expected ({classes}, {classes}), one row per label")
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)

    def draw(axes: Any) -> None:
        axes.pcolormesh(share, cmap="Blues", vmin=0, vmax=1, edgecolors=GRID, linewidth=0.4)
        for row, column in np.argwhere(counts):
            axes.text(
                column + 0.5,
                row + 0.5,
                str(counts[row, column]),
                ha="center",
                va="center",
                fontsize=7.5,
                color="white" if share[row, column] > 0.55 else INK,
            )
        centres = np.arange(classes) + 0.5
        axes.set_xticks(centres, labels, rotation=90, fontsize=8.5)
        axes.set_yticks(centres, labels, fontsize=8.5)
        axes.tick_params(length=0)
        axes.invert_yaxis()
        axes.set_aspect("equal")
        axes.set_xlabel("predicted activity")
        axes.set_ylabel("true activity")
        axes.spines[:].set_visible(False)

    longest = max((len(label) for label in labels), default=0)
    side = 0.6 + 0.29 * classes + 0.075 * longest
    return _as_svg(side, side, draw)


def skeleton_strip(frames: Floats, parents: NDArray[np.int64], vertical: int, poses: int = 8) -> bytes:
    """Poses of one recording side by side, in order of time.

    Args:
        frames: (T, G, 2) or (T, G, 3) joint positions; NaN where a joint is lost.
        parents: (G,) index of each joint's parent; the root joint is its own parent.
        vertical: axis that points up, of 2-D frames down as in a picture.
        poses: largest number of poses.

    Raises:
        DataError: the shapes do not match.
    """
    groups = len(parents)
    fits = frames.ndim == 3 and frames.shape[1] == groups and frames.shape[2] in (2, 3) and len(frames) > 0
    if not fits or not 0 <= vertical < frames.shape[2] or not groups or ((parents < 0) | (parents >= groups)).any():
        raise DataError(
            f"example with frames {frames.shape}, parents {parents.shape}, vertical {vertical}; "
            "expected (frames, joints, 2 or 3), one parent per joint and one of the axes"
        )
    chosen = np.unique(np.linspace(0, len(frames) - 1, poses).astype(np.int64))
    shown = np.where(np.isfinite(frames[chosen]).all(axis=2, keepdims=True), frames[chosen], np.nan)  # (poses, G, D)
    axes_across = (axis for axis in range(frames.shape[2]) if axis != vertical)
    across = max(axes_across, key=lambda axis: _spread(shown[..., axis]))
    root = int(np.argmax(parents == np.arange(groups)))
    known = np.isfinite(shown[..., across])
    # Where the root is lost, the first joint that is known.
    centre = np.where(known[:, root], root, known.argmax(axis=1))
    side = shown[..., across] - shown[np.arange(len(chosen)), centre, across][:, None]  # (poses, G)
    up = shown[..., vertical] * (-1 if frames.shape[2] == 2 else 1)
    step = 1.15 * max(_spread(side), 0.3 * _spread(up), 1e-6)

    def draw(axes: Any) -> None:
        for pose, frame in enumerate(chosen):
            horizontal = side[pose] + pose * step
            for joint, parent in enumerate(parents):
                ends = [joint, int(parent)]
                axes.plot(horizontal[ends], up[pose][ends], color=BLUE, linewidth=2, solid_capstyle="round")
            axes.plot(horizontal, up[pose], linestyle="", marker="o", markersize=2.6, color=INK)
            axes.annotate(
                f"frame {frame + 1}", (pose * step, 0), xycoords=("data", "axes fraction"), ha="center", va="top"
            )
        axes.set_aspect("equal")
        axes.set_axis_off()

    return _as_svg(1.15 * len(chosen) + 0.2, 2.4, draw)


def _spread(values: Floats) -> float:
    """The largest extent of one pose among (poses, G) coordinates; missing joints are ignored."""
    finite = np.isfinite(values)
    high = np.where(finite, values, -np.inf).max(axis=1)
    low = np.where(finite, values, np.inf).min(axis=1)
    return max(float((high - low).max()), 0.0)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}\N{HORIZONTAL ELLIPSIS}"


def intervals(
    names: Sequence[str], shares: Sequence[float], bounds: Sequence[tuple[float, float]], whole: float
) -> bytes:
    """Shares from 0 to 1 as points with their intervals, one line per name; `whole` is a dashed line."""

    def draw(axes: Any) -> None:
        rows = np.arange(len(names))
        percent = 100 * np.asarray(shares)
        axes.axvline(100 * whole, color="#9aa5b1", linewidth=1, linestyle="--")
        axes.hlines(rows, *(100 * np.asarray(bounds)).T, color=BLUE, linewidth=1.6)
        axes.plot(percent, rows, linestyle="", marker="o", markersize=4.5, color=BLUE)
        axes.set_yticks(rows, [_short(name) for name in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlim(0, 101)
        axes.set_xlabel("windows recognised, %")
        axes.grid(axis="x", color=GRID, linewidth=0.8)
        axes.tick_params(axis="y", length=0)
        axes.set_axisbelow(True)

    return _as_svg(4.2, 0.7 + 0.24 * len(names), draw)


class Panel(NamedTuple):
    """One small plot: a title, seconds (T,) and values (T, channels)."""

    title: str
    times_s: Times
    values: Floats


def signal_grid(panels: Sequence[Panel], names: Sequence[str], unit: str, across: int = 4) -> bytes:
    """Signals of several recordings as small plots with common axes, as a PNG of few colours.

    An SVG of so many points would be several times larger.
    """
    across = min(across, len(panels))
    down = -(-len(panels) // across)
    drawn = io.BytesIO()
    with _drawing(7.6, 0.7 + 1.3 * down) as figure:
        grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, panel in zip(grid, panels, strict=False):
            for channel, colour in zip(panel.values.T, np.resize(COLOURS, panel.values.shape[1]), strict=True):
                axes.plot(panel.times_s, channel, color=str(colour), linewidth=0.9)
            axes.set_title(_short(panel.title), fontsize=8.5)
            axes.grid(color=GRID, linewidth=0.6)
            axes.locator_params(nbins=4)
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        for axes in grid[len(panels) - across : len(panels)]:  # the lowest of each column
            axes.tick_params(labelbottom=True)
        figure.supxlabel("seconds", fontsize=9)
        figure.supylabel(unit, fontsize=9)
        figure.legend(grid[0].get_lines(), names, loc="outside upper left", ncols=6, frameon=False, fontsize=8.5)
        figure.savefig(drawn, format="png", dpi=DOTS_PER_INCH, facecolor="white")
    return _with_few_colours(drawn)


def _with_few_colours(drawn: io.BytesIO) -> bytes:
    """A PNG in shades of the report's colours, a quarter of the bytes of the drawn one."""
    from PIL import Image

    palette = Image.new("P", (1, 1))
    colours = [[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in (*COLOURS, INK)]
    shades = np.linspace(0, 1, SHADES)[:, None, None]
    palette.putpalette(np.rint(255 + shades * (np.asarray(colours) - 255)).astype(np.uint8).tobytes())
    packed = io.BytesIO()
    with Image.open(drawn) as picture:
        few = picture.convert("RGB").quantize(palette=palette, dither=Image.Dither.NONE)
        few.save(packed, "png", optimize=True)
    return packed.getvalue()
