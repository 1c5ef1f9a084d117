"""Exports of phone loggers: axes in x, y, z order, seconds from the start, units and names, without any option."""

import io
import zipfile

import numpy as np
import pytest

from tests.edgehar.data.importing.conftest import Importer
from tests.edgehar.data.importing.logger_files import START_NS, csv_text, samples, sensor_logger

TIMES_S, VALUES = samples()


def test_sensor_logger_folder_has_axes_in_order_and_one_zero(imported: Importer) -> None:
    late_s, gyroscope = samples(90, 20.0, 1)
    found = imported({
        "ann_walk_1-2024-05-01_08-00-00/Accelerometer.csv": sensor_logger(TIMES_S + 0.01, VALUES),
        "ann_walk_1-2024-05-01_08-00-00/Gyroscope.csv": sensor_logger(late_s + 0.51, gyroscope),
        "ann_walk_1-2024-05-01_08-00-00/HeartRate.csv": "time,seconds_elapsed,bpm\n" + "".join(
            f"{START_NS + n * 10**9},{n}.01,{60 + n}\n" for n in range(5)),
        "ann_walk_1-2024-05-01_08-00-00/WristMotion.csv": csv_text(
            "seconds_elapsed,rotationRateX,rotationRateY,rotationRateZ,gravityX,gravityY,gravityZ,quaternionW",
            list(late_s + 0.51), np.hstack([gyroscope, gyroscope + 1, gyroscope[:, :1]])),
        "ann_walk_1-2024-05-01_08-00-00/Metadata.csv": "version,device name\n3,iPhone\n",
    }, "--names", "{subject}_{label}_{trial}")  # fmt: skip
    (clip,) = found.dataset.clips
    assert clip.name == "ann_walk_1"
    assert (clip.subject, clip.trial, found.dataset.info.labels) == ("ann", "1", ("walk",))
    np.testing.assert_allclose(clip.signals["accelerometer"], VALUES, atol=1e-5)
    np.testing.assert_allclose(clip.times_s["accelerometer"], TIMES_S, atol=1e-8)
    np.testing.assert_allclose(clip.times_s["gyroscope"], late_s + 0.5, atol=1e-8)
    np.testing.assert_allclose(clip.signals["heart_rate"][:, 0], 60 + np.arange(5))
    np.testing.assert_allclose(clip.signals["wrist_motion_gravity"], gyroscope + 1, atol=1e-4)
    specs = {spec.name: spec for spec in found.dataset.info.modalities}
    assert {name: (spec.rate_hz, spec.unit, spec.columns) for name, spec in specs.items()} == {
        "accelerometer": (50, "m/s2", ("x", "y", "z")),
        "gyroscope": (20, "rad/s", ("x", "y", "z")),
        "heart_rate": (1, "1/min", ("bpm",)),
        "wrist_motion_gyroscope": (20, "unknown", ("x", "y", "z")),
        "wrist_motion_gravity": (20, "unknown", ("x", "y", "z")),
    }
    assert "Metadata.csv: not imported" in found.printed


def test_zip_archives_are_recordings(imported: Importer) -> None:
    files: dict[str, str | bytes] = {}
    for name, seed in (("bob_sit_1", 3), ("bob_run_2", 4)):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("Accelerometer.csv", sensor_logger(*samples(seed=seed)))
        files[f"{name}.zip"] = packed.getvalue()
    files["broken.zip"] = b"PK\3\4 not a zip"
    found = imported(files, "--names", "{subject}_{label}_{trial}")
    assert {clip.name: found.dataset.info.labels[clip.label or 0] for clip in found.dataset.clips} == {
        "bob_run_2": "run", "bob_sit_1": "sit",
    }  # fmt: skip
    np.testing.assert_allclose(found.clip("bob_run_2").signals["accelerometer"], samples(seed=4)[1], atol=1e-5)
    assert "broken.zip: cannot be unpacked" in found.printed


PHYPHOX = ",".join(
    ['"Time (s)"', *(f'"Acceleration {axis} (m/s^2)"' for axis in "xyz"), '"Absolute acceleration (m/s^2)"']
)
ANDROSENSOR = ";".join([
    *(f"ACCELEROMETER {axis} (m/s²)" for axis in "XYZ"), "LIGHT (lux)", "Time since start in ms ",
    "YYYY-MO-DD HH-MI-SS_SSS",
])  # fmt: skip


def rows(template: str) -> str:
    return "".join(
        template.format(t=t, ms=round(1000 * t), n=n, x=x, y=y, z=z)
        for n, (t, (x, y, z)) in enumerate(zip(TIMES_S, VALUES.tolist(), strict=True))
    )


LOGGERS = {
    "phyphox": (PHYPHOX + "\n" + rows("{t:.9E},{x:.9E},{y},{z},9.8\n"), "accelerometer", "m/s2"),
    "physics-toolbox": ("time,gFx,gFy,gFz,TgF\n" + rows("{t:.4f},{x},{y},{z},1\n"), "accelerometer", "g"),
    "physics-toolbox-gyroscope": ("time,wx,wy,wz\n" + rows("{t:.4f},{x},{y},{z}\n"), "gyroscope", "rad/s"),
    "androsensor": (
        ANDROSENSOR + "\n" + rows("{x};{y};{z};100;{ms};2024-05-01 08-00-00_000\n"), "accelerometer", "m/s2",
    ),
    "acceleration-explorer": ("Timestamp,X,Y,Z\n" + rows("{ms},{x},{y},{z}\n"), "sensor", "unknown"),
    "sensorlog": (
        "loggingTime(txt),accelerometerAccelerationX(G),accelerometerAccelerationY(G),accelerometerAccelerationZ(G)\n"
        + rows("2024-05-01T08:00:{t:06.3f}Z,{x},{y},{z}\n"), "accelerometer", "g",
    ),
}  # fmt: skip


@pytest.mark.parametrize("logger", LOGGERS)
def test_other_loggers_need_no_option(logger: str, imported: Importer) -> None:
    text, sensor, unit = LOGGERS[logger]
    found = imported({"r1.csv": text})
    (clip,) = found.dataset.clips
    (spec,) = found.dataset.info.modalities
    assert (spec.name, spec.unit, spec.rate_hz) == (sensor, unit, 50)
    np.testing.assert_allclose(clip.signals[sensor], VALUES, atol=1e-4)
    np.testing.assert_allclose(clip.times_s[sensor], TIMES_S, atol=1e-6)
    assert "no subject" in found.printed
    assert "no label" in found.printed


def test_pslab_has_a_line_before_its_header_and_milliseconds_since_1970(imported: Importer) -> None:
    times = [START_NS // 10**6 + round(1000 * t) for t in TIMES_S]
    header = "Accelerometer,2024/05/01,08:00:00\nTimestamp,DateTime,ReadingsX,ReadingsY,ReadingsZ,Latitude,Longitude"
    text = csv_text(header, [f"{time},2024/05/01 08:00:00" for time in times], np.hstack([VALUES, 0 * VALUES[:, :2]]))
    found = imported({"r1.csv": text})
    np.testing.assert_allclose(found.clip("r1").signals["sensor"], VALUES, atol=1e-4)
    np.testing.assert_allclose(found.clip("r1").times_s["sensor"], TIMES_S, atol=1e-6)
    assert "'Timestamp' read as ms since 1970" in found.printed


def test_phyphox_archive_is_a_recording(imported: Importer) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("Raw Data.csv", LOGGERS["phyphox"][0])
        archive.writestr("meta/device.csv", "property,value\nversion,1.1\n")
        archive.writestr(
            "meta/time.csv", '"event","experiment time","system time"\n"START",0,1714550400.1\n"PAUSE",4,1714550404.1\n'
        )
    found = imported({"ann_walk_1.zip": packed.getvalue()}, "--names", "{subject}_{label}_{trial}")
    (clip,) = found.dataset.clips
    assert (clip.name, clip.subject) == ("ann_walk_1", "ann")
    np.testing.assert_allclose(clip.signals["accelerometer"], VALUES, atol=1e-4)
