"""Projects the skeletons of a data set to a picture, as a pose estimator for cameras would see them.

    python tools/project_skeletons.py --root ../shared/data --out runs/utd-mhad-2d

The projection is orthographic: the axis of depth is dropped, the axis upwards is turned downwards, and a metre has 100
pixels around the centre of a picture of 640 x 480. The folder has edgehar's own format, with the same recordings,
people and labels, the skeleton alone, and `lost_joints`, so that training loses joints at random.
"""

import sys
from dataclasses import MISSING, dataclass, replace
from pathlib import Path

import numpy as np

from edgehar.command_line import Parser
from edgehar.config import Options, option
from edgehar.data import recordings, registry
from edgehar.entry import guarded
from edgehar.errors import DataError
from edgehar.signals.clip import Dataset, Floats
from edgehar.signals.modality import ModalitySpec

PIXELS_PER_M = 100
CENTRE = (320, 240)


@dataclass(frozen=True)
class ProjectOptions(Options):
    """Options of the command."""

    out: str = option(MISSING, "folder of recordings to write")
    data: str = option("utd-mhad", registry.DATA_HELP)
    root: str | None = option(None, registry.ROOT_HELP)


def as_picture(samples: Floats, spec: ModalitySpec) -> Floats:
    """Joints (T, C) in metres, depth last, as pixels (T, 2 * G): to the right, downwards."""
    flat = samples.reshape(len(samples), spec.groups, 3)[..., :2] * np.array([1, -1], np.float32)
    return (flat * PIXELS_PER_M + np.array(CENTRE, np.float32)).reshape(len(samples), -1)


def project(dataset: Dataset) -> Dataset:
    """The data set with its skeleton in a picture, and no other sensor; raises DataError if it has no skeleton."""
    skeletons = [spec for spec in dataset.info.modalities if spec.is_skeleton and spec.group == 3 and spec.vertical < 2]
    if len(skeletons) != 1:
        raise DataError(f"{dataset.info.name}: {len(skeletons)} skeletons of x, y and depth; expected one")
    (spec,) = skeletons
    picture = replace(spec, channels=2 * spec.groups, group=2, unit="px", lost_joints=True)
    clips = tuple(
        replace(
            clip,
            signals={spec.name: as_picture(clip.signals[spec.name], spec)},
            valid={spec.name: clip.valid[spec.name]},
            times_s={name: times for name, times in clip.times_s.items() if name == spec.name},
        )
        for clip in dataset.clips
        if spec.name in clip.signals
    )
    return Dataset(replace(dataset.info, name=f"{dataset.info.name}-2d", modalities=(picture,)), clips)


PARSER = Parser(ProjectOptions, "python tools/project_skeletons.py", __doc__ or "")


def main(argv: list[str] | None = None) -> int:
    """Load, project, write."""
    options = PARSER.parse(argv)
    projected = project(registry.load(options.data, options.root))
    recordings.write(projected, Path(options.out))
    sys.stdout.write(f"{options.out}: {len(projected.clips)} recordings\n")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
