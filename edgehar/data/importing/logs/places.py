"""Which recording and sensor a file belongs to, by its name."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from edgehar.data.importing import columns
from edgehar.data.importing.names import match_name, without_sensor
from edgehar.data.importing.sources import FoundFile

DEFAULT_SENSOR = "sensor"
NO_SAMPLES = frozenset((
    "metadata", "annotation", "annotations", "location", "locationgps", "locationnetwork", "device", "pedometer",
    "microphone", "activity", "camera", "orientation", "watchorientation", "network", "bluetooth", "battery",
    "brightness", "compass",
))  # fmt: skip
"""Files of loggers that hold no samples of a body sensor."""

_OWN_FILE = re.compile(r"(watch|headphone|phone|wrist)?(.+?)(uncalibrated)?")
_SUFFIX = re.compile(r"(.+)[_\-. ]([A-Za-z]{3,})")


@dataclass(frozen=True)
class Place:
    """Which recording and sensor a file belongs to."""

    key: PurePosixPath
    sensor: str
    own_file: bool


def place_of(file: FoundFile, pattern: re.Pattern[str] | None) -> Place | None:
    """The recording and sensor of a file by its name; None for a file without samples."""
    stem, folder = file.shown.with_suffix("").name, file.shown.parent
    rest = without_sensor(pattern, file.shown.with_suffix(""))
    if rest is not None:
        sensor = (match_name(pattern, file.shown.with_suffix("")) or {})["sensor"]
        return Place(PurePosixPath(rest), columns.sensor_name(sensor), True)
    joined = "".join(columns.words_of(stem))
    if joined in NO_SAMPLES or folder.name == "meta":
        return None
    if joined == "rawdata":
        return Place(folder, DEFAULT_SENSOR, False)
    own = _OWN_FILE.fullmatch(joined)
    if sensor := columns.known_sensor(stem):
        return Place(folder, sensor, True)
    if own and (own[1] or own[3]) and any(own[2] == name.replace("_", "") for name in columns.KNOWN_SENSORS):
        return Place(folder, columns.identifier(stem), True)
    suffix = _SUFFIX.fullmatch(stem)
    if suffix and (sensor := columns.known_sensor(suffix[2])):
        return Place(folder / suffix[1], sensor, True)
    return Place(file.shown.with_suffix(""), DEFAULT_SENSOR, False)
