"""Plots of a report as SVG: training curve, confusion matrix, skeleton poses."""

import io
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import DataError
from edgehar.signals.clip import Floats

INK = "#1f2933"
BLUE = "#2b6cb0"
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


def _as_svg(width: float, height: float, draw: Callable[[Any], None]) -> bytes:
    """An SVG of `width` x `height` inches; `draw` draws on its axes."""
    import matplotlib
    from matplotlib.figure import Figure

    library: Any = matplotlib  # its type hints do not fit a dict of settings
    with library.rc_context(STYLE), warnings.catch_warnings():
        # Characters that the built-in font lacks appear as boxes; the text of the page has the names.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure: Any = Figure(figsize=(width, height), layout="constrained")
        draw(figure.add_subplot())
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return buffer.getvalue()


def curve(updates: Sequence[float], values: Sequence[float], quantity: str) -> bytes:
    """A quantity over the updates of a training stage."""

    def draw(axes: Any) -> None:
        axes.plot(updates, values, color=BLUE, linewidth=1.6, marker="o" if len(updates) < 13 else "", markersize=3)
        axes.set_xlabel("update")
        axes.set_ylabel(quantity)
        axes.grid(axis="y", color="#e4e7eb", linewidth=0.8)
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
        axes.pcolormesh(share, cmap="Blues", vmin=0, vmax=1, edgecolors="#e4e7eb", linewidth=0.4)
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
