"""Files with skeletons become recordings: whose body, under which name, and what could not be read."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath

from edgehar.data.importing.bvh import read_bvh
from edgehar.data.importing.keypoints import is_single_frame, read_keypoints
from edgehar.data.importing.names import NTU_NAME, people, required_match
from edgehar.data.importing.ntu import read_skeleton
from edgehar.data.importing.sources import FoundFile
from edgehar.data.importing.takes import Remarks, Take
from edgehar.data.importing.tracking import Film, follow, one_body, ranked, two_bodies
from edgehar.errors import DataError


@dataclass(frozen=True)
class SkeletonOptions:
    """What the user says about skeletons; `source_name` names frames that lie in the source itself."""

    source_name: str
    pattern: re.Pattern[str] | None = None
    rate_hz: float | None = None
    confidence: float = 0.2
    all_bodies: bool = False
    together: bool = False


def _people_of(film: Film, take: Take, options: SkeletonOptions, main_body_only: bool, remarks: Remarks) -> list[Take]:
    """Recordings of the people in the frames."""
    tracks = ranked(film, follow(film.frames))
    if not tracks:
        raise DataError(f"nobody in 5 frames or more of {len(film.frames)}; left out")
    if options.together:
        if len(tracks) < 2:
            raise DataError("a single person; expected two for --together; left out")
        if len(tracks) > 2:
            remarks.add(take.source, f"{len(tracks)} people; the two who move most are imported")
        return [replace(take, samples=(two_bodies(film, tracks[0], tracks[1]),))]
    if main_body_only and not options.all_bodies:
        if len(tracks) > 1:
            remarks.add(take.source, "several bodies; the one that moves most is imported (--all-bodies: each)")
        tracks = tracks[:1]
    if len(tracks) > 1:
        remarks.add(take.source, "several people: a recording each, all with the subject of the file")
    return [
        replace(take, samples=(one_body(film, track),), name=f"{take.name}{f'_body{number}' if number > 1 else ''}")
        for number, track in enumerate(tracks, 1)
    ]


def _named(shown: PurePosixPath, pattern: re.Pattern[str] | None) -> Take:
    """An empty recording with what its name says; raises DataError if it does not match."""
    path = shown.with_suffix("")
    fields = required_match(pattern, path)
    return Take(str(shown), path.as_posix(), (), people(fields), fields.get("trial", ""), fields.get("label", ""))


def _ntu_takes(file: FoundFile, options: SkeletonOptions, remarks: Remarks) -> list[Take]:
    take = _named(file.shown, options.pattern)
    match = NTU_NAME.search(file.path.stem)
    if match and options.pattern is None:
        subject, label = f"P{match['subject']}", f"A{match['action']}"
        take = replace(take, name=file.path.stem, subject=subject, trial=match["trial"], label=label)
    return _people_of(read_skeleton(file.text()), take, options, True, remarks)


def _keypoint_takes(
    shown: PurePosixPath, texts: str | dict[str, str], options: SkeletonOptions, remarks: Remarks
) -> list[Take]:
    """Recordings of one file with all frames, or of the files of a folder with one frame each."""
    take = _named(shown, options.pattern)
    film, notes = read_keypoints(texts, options.rate_hz, options.confidence)
    for note in notes:
        remarks.add(str(shown), note)
    return _people_of(film, take, options, False, remarks)


def _bvh_takes(file: FoundFile, options: SkeletonOptions, remarks: Remarks) -> list[Take]:
    take = _named(file.shown, options.pattern)
    samples, remark, height = read_bvh(file.text())
    remarks.add(f"{file.shown} ({height:.3g})", remark)
    return [replace(take, samples=(samples,))]


def read_skeleton_files(files: list[FoundFile], chosen: str, options: SkeletonOptions, remarks: Remarks) -> list[Take]:
    """Recordings of files of a format, "ntu", "keypoints" or "bvh"; what cannot be read is remarked and left out."""
    readers: list[tuple[PurePosixPath, Callable[[], list[Take]]]] = []
    frames: dict[PurePosixPath, dict[str, str]] = {}
    for file in files:
        if chosen == "ntu":
            readers.append((file.shown, partial(_ntu_takes, file, options, remarks)))
        elif chosen == "bvh":
            readers.append((file.shown, partial(_bvh_takes, file, options, remarks)))
        elif is_single_frame(text := file.text()):
            folder = file.shown.parent if file.shown.parent.parts else PurePosixPath(options.source_name)
            frames.setdefault(folder, {})[file.path.stem] = text
        else:
            readers.append((file.shown, partial(_keypoint_takes, file.shown, text, options, remarks)))
    readers += [(path, partial(_keypoint_takes, path, texts, options, remarks)) for path, texts in frames.items()]
    takes: list[Take] = []
    for shown, read in readers:
        try:
            takes += read()
        except DataError as problem:
            remarks.add(str(shown), str(problem))
    return takes
