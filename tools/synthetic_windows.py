"""Picture of a recorded window beside a synthetic window of each source.

    python tools/synthetic_windows.py runs/demo/student --activity throw

Every source of `edgehar prune` has a row: the skeleton at eight moments of a window, seen from the front, and the first
triaxial inertial sensor. The picture shows, of 64 windows of a source, the one with the highest probability of the
activity. Written to docs/images/synthetic-windows.svg.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgehar.choices import SOURCES
from edgehar.command_line import Parser
from edgehar.config import Options, group, option, positional, seed_option
from edgehar.entry import guarded
from edgehar.errors import ConfigError
from edgehar.files.atomic import atomic_file
from edgehar.signals.clip import DatasetInfo, Floats
from edgehar.signals.modality import ModalitySpec
from edgehar.student.network.rebuild import network_of
from edgehar.student.synthesis.sources import DATA_NEEDED, SourceConfig, create_sampler
from edgehar.student.windows import Inputs
from edgehar.teacher.training.batches import update_generator
from edgehar.teacher.training.checkpoint import Checkpoint, load_checkpoint

POSES, WINDOWS = 8, 64
BONE, TRACES = "#1f77b4", ("#1f77b4", "#ff7f0e", "#2ca02c")


@dataclass(frozen=True)
class PictureOptions(Options):
    """Picture."""

    checkpoint: str = positional("folder of a student or teacher checkpoint")
    activity: str = option("throw", "activity of the windows")
    out: str = option("docs/images/synthetic-windows.svg", "file to write (.svg)")
    seed: int = seed_option()
    inputs: SourceConfig = group(SourceConfig)


PARSER = Parser(PictureOptions, "python tools/synthetic_windows.py", __doc__ or "")


def most_probable(network: nn.Module, windows: Inputs, activity: int) -> dict[str, Floats]:
    """Features of the window with the highest probability of an activity."""
    features, valid = windows
    with torch.no_grad():
        index = int(network(features, valid).logits.softmax(1)[:, activity].argmax())
    return {name: part[index].numpy() for name, part in features.items()}


def signal_of(features: Floats, spec: ModalitySpec, scale: Floats) -> Floats:
    """Features (S, P, G, F) of a window as its signal (L, G, 3), in the unit of the sensor."""
    values = features.reshape(-1, spec.groups, spec.features)[..., : spec.group]
    return values * scale[None, :, :1]


def draw_skeleton(axes: Any, signal: Floats, spec: ModalitySpec) -> None:
    """Poses side by side, in order of time."""
    across = 0 if spec.vertical != 0 else 1
    moments = np.linspace(0, len(signal) - 1, POSES).round().astype(int)
    for position, moment in enumerate(moments):
        pose = signal[moment]
        for joint, parent in enumerate(spec.parents):
            ends = pose[[joint, parent]]
            axes.plot(ends[:, across] + 1.2 * position, ends[:, spec.vertical], color=BONE, linewidth=1)
    axes.set_aspect("equal", anchor="W")
    axes.axis("off")


def draw_inertial(axes: Any, signal: Floats) -> None:
    """The three axes of a sensor over the window."""
    for axis, colour in enumerate(TRACES):
        axes.plot(np.linspace(0, 1, len(signal)), signal[:, 0, axis], color=colour, linewidth=1)
    axes.set_xticks([])


def rows_of(checkpoint: Checkpoint, options: PictureOptions) -> dict[str, dict[str, Floats]]:
    """Source -> features of the window to show."""
    network = network_of(checkpoint).requires_grad_(False)
    activity = checkpoint.info.labels.index(options.activity)
    found: dict[str, dict[str, Floats]] = {}
    for name in ("recordings", *(source for source in SOURCES if source != "recordings")):
        config = replace(options.inputs, source=(name,), lost_modality=0.0)
        source = create_sampler(config, checkpoint, network, options.seed, torch.device("cpu"))
        found[name] = most_probable(network, source.draw(WINDOWS, update_generator(options.seed, 1)), activity)
    return found


def draw(rows: dict[str, dict[str, Floats]], info: DatasetInfo, scale: dict[str, Floats], path: Path) -> None:
    """One row per source, one column per kind of sensor."""
    import matplotlib
    from matplotlib.figure import Figure

    skeleton = next((spec for spec in info.modalities if spec.is_skeleton), None)
    inertial = next((spec for spec in info.modalities if not spec.is_skeleton), None)
    shown = [spec for spec in (skeleton, inertial) if spec is not None]
    with matplotlib.rc_context({"svg.hashsalt": "edgehar", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure((9, 1.5 * len(rows)), layout="constrained")
        grid = figure.subplots(len(rows), len(shown), squeeze=False, width_ratios=[2, 1][: len(shown)])
        for line, (name, features) in zip(grid, rows.items(), strict=True):
            for axes, spec in zip(line, shown, strict=True):
                signal = signal_of(features[spec.name], spec, scale[spec.name])
                draw_skeleton(axes, signal, spec) if spec.is_skeleton else draw_inertial(axes, signal)
            line[0].set_title(f"{name}: {DATA_NEEDED[name]}", loc="left", fontsize=9)
        with atomic_file(path) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None})


def main(argv: list[str] | None = None) -> int:
    """Draw the picture."""
    options = PARSER.parse(argv)
    checkpoint = load_checkpoint(Path(options.checkpoint), ("teacher", "student", "pruned"))
    if options.activity not in checkpoint.info.labels:
        raise ConfigError(f"--activity {options.activity}: expected one of {', '.join(checkpoint.info.labels)}")
    draw(rows_of(checkpoint, options), checkpoint.info, checkpoint.normalisation.scale, Path(options.out))
    sys.stdout.write(f"{options.out} written\n")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
