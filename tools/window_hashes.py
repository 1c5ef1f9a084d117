"""Hashes the windows of the real data sets, so that a change of preprocessing shows which recordings it alters.

    python tools/window_hashes.py --root ../shared/data --out hashes.json
    python tools/window_hashes.py --root ../shared/data --before hashes.json --totals docs/results/windows/hashes.json

Windows are cut recording by recording, without normalisation. A hash covers features, valid, label, start_s and end_s.
The
totals have a line for each data set and for each recording that differs.
"""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgehar.command_line import Parser
from edgehar.config import Options, option
from edgehar.data import registry
from edgehar.entry import guarded
from edgehar.errors import DataError
from edgehar.files.atomic import read_json, write_json
from edgehar.signals.clip import Dataset
from edgehar.signals.preprocess import Normalisation
from edgehar.signals.windows import Windows, cut

NAMES = ("simulated", "utd-mhad", "sp-sw-har", "selfback", "sisfall", "umafall", "shoulder-exercises")
NO_WINDOW = "no window"


@dataclass(frozen=True)
class HashOptions(Options):
    """Options of the command."""

    root: str = option("../shared/data", "folder with the data sets, one folder for each")
    data: tuple[str, ...] = option(NAMES, "data sets")
    out: str | None = option(None, "file for the hash of every recording")
    before: str | None = option(None, "file from --out: name the recordings that differ from it")
    totals: str | None = option(None, "file for the totals before and after; needs --before")


def digest(windows: Windows) -> str:
    """Hexadecimal SHA-256 of all arrays that training reads."""
    hashed = hashlib.sha256()
    for name in sorted(windows.features):
        for array in (windows.features[name], windows.valid[name]):
            hashed.update(f"{name} {array.shape} {array.dtype}".encode())
            hashed.update(array.tobytes())
    for array in (windows.label, windows.start_s, windows.end_s):
        hashed.update(array.tobytes())
    return hashed.hexdigest()


def recording_digests(dataset: Dataset) -> dict[str, str]:
    """Digest of the windows of each recording, by its name."""
    identity = Normalisation.identity(dataset.info.modalities)
    digests: dict[str, str] = {}
    for clip in dataset.clips:
        try:
            digests[clip.name] = digest(cut([clip], dataset.info, identity))
        except DataError:
            digests[clip.name] = NO_WINDOW
    return digests


def load(name: str, root: Path) -> Dataset:
    """A data set by name, below this folder."""
    if name in registry.NAMES:
        return registry.load(name, None if name == "simulated" else root / name)
    return registry.load(str(root / name), None)


def total(digests: dict[str, str]) -> str:
    """Digest of all recordings of a data set."""
    return hashlib.sha256("".join(digests.values()).encode()).hexdigest()


def main(argv: list[str] | None = None) -> int:
    """Print one line for each data set, and one for each recording that differs."""
    options = Parser(HashOptions, "python tools/window_hashes.py", __doc__ or "").parse(argv)
    before = read_json(Path(options.before)) if options.before else {}
    found: dict[str, dict[str, str]] = {}
    totals: dict[str, Any] = {}
    for name in options.data:
        found[name] = recording_digests(load(name, Path(options.root)))
        known = before.get(name, found[name])
        changed = [clip for clip, value in found[name].items() if known.get(clip) != value]
        totals[name] = {
            "recordings": len(found[name]),
            "before": total(known),
            "after": total(found[name]),
            "differences": changed,
        }
        sys.stdout.write(f"{name}: {len(found[name])} recordings, sha256 {total(found[name])}\n")
        sys.stdout.writelines(f"{name}: {clip} differs\n" for clip in changed)
        sys.stdout.flush()
    if options.out is not None:
        write_json(Path(options.out), found)
    if options.totals is not None:
        write_json(Path(options.totals), totals)
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
