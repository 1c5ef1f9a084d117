"""Cuts long continuous recordings into consecutive parts, such as one session of one person into trials."""

from collections.abc import Iterator
from dataclasses import replace

from edgehar.errors import DataError
from edgehar.signals.clip import Clip, Dataset, Segment


def cut_into_parts(dataset: Dataset, part_s: float) -> Dataset:
    """Cut every recording into parts of equal length, at least `part_s` seconds each; each part is a trial.

    Raises DataError for pre-cut clips, and for parts shorter than a window.
    """
    window = dataset.info.window
    if window.kind != "sliding":
        raise DataError(f"{dataset.info.name}: pre-cut clips; expected continuous recordings to cut into parts")
    if part_s < window.length_s:
        raise DataError(f"parts of {part_s:g} s; expected at least a window of {window.length_s:g} s; cut longer parts")
    parts = tuple(part for clip in dataset.clips for part in _parts(clip, part_s))
    return replace(dataset, clips=tuple(part for part in parts if _end_s(part) >= window.length_s))


def _end_s(clip: Clip) -> float:
    return max((float(times_s[-1]) for times_s in clip.times_s.values()), default=0.0)


def _parts(clip: Clip, part_s: float) -> Iterator[Clip]:
    """The parts of one recording, with times from their own start; a recording too short for two stays whole."""
    count = int(_end_s(clip) / part_s)
    if count < 2:
        yield clip
        return
    length_s = _end_s(clip) / count
    for number in range(count):
        start_s = number * length_s
        end_s = start_s + length_s if number < count - 1 else float("inf")
        rows = {name: slice(*times_s.searchsorted([start_s, end_s]).tolist()) for name, times_s in clip.times_s.items()}
        kept = {name: chosen for name, chosen in rows.items() if chosen.start < chosen.stop}
        spans = [
            Segment(max(span.start_s, start_s) - start_s, min(span.end_s, end_s) - start_s, span.label)
            for span in clip.segments
        ]
        yield replace(
            clip,
            name=f"{clip.name}_{number + 1}",
            trial=f"{clip.trial or clip.name}.{number + 1}",
            signals={name: clip.signals[name][chosen] for name, chosen in kept.items()},
            valid={name: clip.valid[name][chosen] for name, chosen in kept.items()},
            times_s={name: clip.times_s[name][chosen] - start_s for name, chosen in kept.items()},
            segments=tuple(span for span in spans if span.start_s < span.end_s),
        )
