"""Which columns of a table belong to which sensor: x, y and z found by their names, as loggers write them."""

import re
from dataclasses import dataclass

AXES = "xyz"
TIME_NAMES = (
    "seconds_elapsed", "time_s", "time", "timestamp", "elapsed", "elapsed time", "t", "time since start",
    "timestamp_ms", "epoch", "datetime", "date", "loggingtime", "timestamp_ns",
)  # fmt: skip
"""Names of time columns without their unit, the preferred ones first."""
LABEL_NAMES = ("label", "activity", "class")
SUBJECT_NAMES = (
    "subject", "subject_id", "participant", "participant_id", "person", "person_id", "user", "user_id",
)  # fmt: skip
TRIAL_NAMES = ("trial", "trial_id", "session", "session_id")
NOT_SENSORS = frozenset(("q", "quaternion", "quat", "orientation", "rotation", "location", "altitude"))
"""Stems whose x, y and z are not a vector of a sensor."""

_SENSORS = {
    "accelerometer": "a acc accel accelerometer acceleration accelerometeracceleration accelerationforce gf gforce",
    "gyroscope": "g w gyr gyro gyroscope rotationrate gyrorotation motionrotationrate angularvelocity omega",
    "magnetometer": "m b mag magn magnet magnetometer magneticfield magnetometermagneticfield",
    "linear_acceleration": "la lin linacc linearacceleration useracceleration motionuseracceleration",
    "gravity": "grav gravity motiongravity",
}
_SENSOR_OF = {stem: sensor for sensor, stems in _SENSORS.items() for stem in stems.split()}
_COLUMNS_ONLY = frozenset(("a", "g", "w", "m", "b", "la", "gf", "lin"))
"""Stems that are too short to name a sensor on their own: `ax` is an acceleration, `a.csv` may be anything."""
KNOWN_SENSORS = frozenset((
    *_SENSORS, "total_acceleration", "heart_rate", "barometer", "light", "temperature", "pressure",
))  # fmt: skip
_UNIT = re.compile(r"\s*[(\[]([^)\]]*)[)\]]\s*$")
_UNITS = {
    "m/s^2": "m/s2", "m/s²": "m/s2", "m/s2": "m/s2", "ms-2": "m/s2", "m/s/s": "m/s2",
    "µt": "uT", "μt": "uT", "ut": "uT",
    "microt": "uT", "microtesla": "uT", "g": "g", "rad/s": "rad/s", "°/s": "deg/s", "deg/s": "deg/s", "dps": "deg/s",
}  # fmt: skip
_KNOWN_UNITS = {"gf": "g", "gforce": "g", "w": "rad/s", "b": "uT"}
"""Units that a stem implies (Physics Toolbox)."""
SENSOR_LOGGER_UNITS = {
    "accelerometer": "m/s2", "total_acceleration": "m/s2", "gravity": "m/s2", "gyroscope": "rad/s",
    "magnetometer": "uT", "heart_rate": "1/min", "barometer": "hPa",
}  # fmt: skip
SEPARATE_VALUES = {"heart_rate": "bpm", "barometer": "pressure", "light": "lux", "temperature": "temperature"}
"""Sensors without axes that a logger writes to a file of their own, and the column to import."""


@dataclass(frozen=True)
class SensorColumns:
    """Columns of one sensor: their indices in the order of the channels, their names, unit and group."""

    sensor: str
    indices: tuple[int, ...]
    columns: tuple[str, ...]
    unit: str = ""
    group: int = 3


def split_unit(name: str) -> tuple[str, str]:
    """A column's name without its unit in brackets, and the unit."""
    match = _UNIT.search(name)
    if match is None:
        return name.strip(), ""
    unit = match[1].strip()
    return name[: match.start()].strip(), _UNITS.get(unit.casefold(), unit)


def unit_of(names: list[str]) -> str:
    """The units of columns, joined by "and"; empty if none is stated."""
    return " and ".join(dict.fromkeys(unit for _, unit in map(split_unit, names) if unit))


def words_of(name: str) -> list[str]:
    """Lower-case words of a name: "TotalAcceleration", "total_acceleration" and "Total acceleration" are the same."""
    text = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return [word.casefold() for word in re.split(r"[\W_]+", text) if word]


def identifier(name: str) -> str:
    """A name as a sensor may have it: letters, digits and "_"; empty if none is left."""
    text = "_".join(words_of(name))
    text = re.sub(r"[^a-z0-9_]", "", text).strip("_")
    return f"s{text}" if text[:1].isdigit() else text


def sensor_name(name: str) -> str:
    """The usual name of a sensor: "Acc", "accel" and "Accelerometer" are all "accelerometer"."""
    return _SENSOR_OF.get("".join(words_of(name)), identifier(name))


def known_sensor(text: str) -> str | None:
    """The usual name of the sensor that a text names, such as "GYR" or "HeartRate"; None if it names none."""
    sensor = sensor_name(text)
    return sensor if sensor in KNOWN_SENSORS and "".join(words_of(text)) not in _COLUMNS_ONLY else None


def _axis(name: str) -> tuple[tuple[str, ...], int] | None:
    """Words of a column's name without its axis, and the axis; None if the name has none."""
    words = [word for word in words_of(name) if word not in ("axis", "readings")]
    for index in range(len(words) - 1, -1, -1):
        if words[index] in AXES and len(words[index]) == 1:
            return (*words[:index], *words[index + 1 :]), AXES.index(words[index])
    if words and words[-1][-1] in AXES and ("".join(words)[:-1] in _SENSOR_OF):
        return (*words[:-1], words[-1][:-1]), AXES.index(words[-1][-1])
    if words and words[0][0] in AXES and ("".join(words)[1:] in _SENSOR_OF):
        return (words[0][1:], *words[1:]), AXES.index(words[0][0])
    return None


def triaxial(names: tuple[str, ...], default: str) -> list[SensorColumns]:
    """Sensors whose x, y and z columns are all present, in the order of their first column.

    Args:
        names: names of the columns.
        default: the sensor's name where the columns are called x, y and z alone.
    """
    found: dict[tuple[str, ...], dict[int, int]] = {}
    for index, name in enumerate(names):
        axis = _axis(split_unit(name)[0])
        if axis is not None and "".join(axis[0]) not in NOT_SENSORS:
            found.setdefault(axis[0], {}).setdefault(axis[1], index)
    sensors: list[SensorColumns] = []
    for words, axes in found.items():
        if len(axes) < 3:
            continue
        stem = "".join(words)
        sensor = _SENSOR_OF.get(stem, "_".join(words)) if words else default
        indices = tuple(axes[axis] for axis in range(3))
        unit = split_unit(names[indices[0]])[1] or _KNOWN_UNITS.get(stem, "")
        taken = {own.sensor for own in sensors}
        sensor = identifier(sensor) if identifier(sensor) not in taken else identifier(" ".join(words))
        sensors.append(SensorColumns(sensor or default, indices, tuple(AXES), unit))
    return sensors


def separate(names: tuple[str, ...], sensor: str) -> list[SensorColumns]:
    """The one value of a sensor without axes, such as the heart rate."""
    for index, name in enumerate(names):
        column, unit = split_unit(name)
        if column.casefold() == SEPARATE_VALUES.get(sensor):
            return [SensorColumns(sensor, (index,), (column,), unit, 1)]
    return []


def time_columns(names: tuple[str, ...]) -> list[int]:
    """Columns that hold times by their names, the preferred ones first."""

    def rank(name: str) -> int:
        text = re.sub(r"\(.*?\)|\[.*?\]", "", name.casefold()).strip()
        text = re.sub(r"\s+in (ms|s|us|ns)$", "", text)
        if text.startswith("yyyy"):
            return TIME_NAMES.index("date")
        plain = re.sub(r"_(s|ms|us|ns)$", "", text)
        return next((rank for rank, own in enumerate(TIME_NAMES) if own in (text, plain)), len(TIME_NAMES))

    ranked = sorted((rank(name), index) for index, name in enumerate(names))
    return [index for rank, index in ranked if rank < len(TIME_NAMES)]
