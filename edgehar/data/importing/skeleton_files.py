"""Files with skeletons become recordings: whose body, under which name, and what could not be read."""

import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from edgehar.data.importing.bodies import Film, one_body, ranked, two_bodies
from edgehar.data.importing.bvh import read_bvh
from edgehar.data.importing.keypoints import is_single_frame, read_frames, read_video
from edgehar.data.importing.names import NTU_NAME, match_name, people
from edgehar.data.importing.ntu import read_skeleton
from edgehar.data.importing.sources import FoundFile
from edgehar.data.importing.takes import Remarks, Take
from edgehar.data.importing.tracking import follow
from edgehar.errors import DataError

DEFAULT_FRAME_RATE_HZ = 30.0


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


def _named(shown: PurePosixPath, pattern: re.Pattern[str] | None, remarks: Remarks) -> Take:
    """An empty recording with what its name says."""
    path = shown.with_suffix("")
    fields = match_name(pattern, path) or {}
    if pattern is not None and not fields:
        remarks.add(str(shown), "the name does not match --names; no subject and label")
    return Take(str(shown), path.as_posix(), (), people(fields), fields.get("trial", ""), fields.get("label", ""))


def read_ntu_files(files: list[FoundFile], options: SkeletonOptions, remarks: Remarks) -> list[Take]:
    """Recordings of `.skeleton` files; a name such as S001C001P002R001A003 gives subject, trial and label."""
    takes: list[Take] = []
    for file in files:
        match = NTU_NAME.search(file.path.stem)
        take = _named(file.shown, options.pattern, remarks)
        if match and options.pattern is None:
            take = replace(
                take,
                name=file.path.stem,
                subject=f"P{match['subject']}",
                trial=match["trial"],
                label=f"A{match['action']}",
            )
        try:
            takes += _people_of(read_skeleton(file.text()), take, options, True, remarks)
        except DataError as problem:
            remarks.add(str(file.shown), str(problem))
    return takes


def read_keypoint_files(files: list[FoundFile], options: SkeletonOptions, remarks: Remarks) -> list[Take]:
    """Recordings of keypoints: each file a video, or each folder one with a file per frame."""
    rate_hz = options.rate_hz or DEFAULT_FRAME_RATE_HZ
    frames: dict[PurePosixPath, dict[str, str]] = {}
    films: list[tuple[PurePosixPath, Film]] = []

    def read(shown: PurePosixPath, texts: str | dict[str, str]) -> None:
        reader = read_video if isinstance(texts, str) else read_frames
        try:
            film, notes = reader(texts, rate_hz, options.confidence)  # type: ignore[arg-type]
        except DataError as problem:
            remarks.add(str(shown), str(problem))
            return
        for note in notes:
            remarks.add(str(shown), note)
        films.append((shown, film))

    for file in files:
        text = file.text()
        if is_single_frame(text):
            frames.setdefault(file.shown.parent, {})[file.path.stem] = text
        else:
            read(file.shown, text)
    for folder, texts in frames.items():
        read(folder if folder.parts else PurePosixPath(options.source_name), texts)
    takes: list[Take] = []
    for shown, film in films:
        if options.rate_hz is None and film.frames[0].time_s is None:
            remarks.add(str(shown), f"no times: {rate_hz:g} frames per second assumed; correct it with --rate")
        try:
            takes += _people_of(film, _named(shown, options.pattern, remarks), options, False, remarks)
        except DataError as problem:
            remarks.add(str(shown), str(problem))
    return takes


def read_bvh_files(files: list[FoundFile], options: SkeletonOptions, remarks: Remarks) -> list[Take]:
    """Recordings of motion capture."""
    takes: list[Take] = []
    for file in files:
        try:
            samples, remark = read_bvh(file.text())
        except DataError as problem:
            remarks.add(str(file.shown), str(problem))
            continue
        remarks.add(str(file.shown), remark)
        takes.append(replace(_named(file.shown, options.pattern, remarks), samples=(samples,)))
    return takes


READERS = {"ntu": read_ntu_files, "keypoints": read_keypoint_files, "bvh": read_bvh_files}
"""Format -> reader of its files."""
