"""Rows of streams: samples of all sensors are views of one array, also after it has grown."""

import numpy as np

from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.stream.rows import StreamRows


def test_samples_and_last_frames_are_views_of_one_row(recognizer: Recognizer) -> None:
    specs = {spec.name: spec for spec in recognizer.manifest.modalities}
    rows = StreamRows(recognizer.manifest, specs)
    streams = [rows.add() for _ in range(3)]
    assert len(set(streams)) == 3
    assert len(rows.numbers) == len(rows.tokens) == 4
    for number, sensor in enumerate(rows.sensors.values()):
        sensor.values[streams[2]], sensor.last[streams[2]] = 10 + number, 20 + number
    expected = [np.full(sensor.values[0].size, 10 + number) for number, sensor in enumerate(rows.sensors.values())]
    expected += [np.full(sensor.last[0].size, 20 + number) for number, sensor in enumerate(rows.sensors.values())]
    np.testing.assert_array_equal(rows.numbers[streams[2]], np.concatenate([*expected, [0, 1]]))
    for sensor in rows.sensors.values():
        np.testing.assert_array_equal(rows.numbers[streams[2], sensor.last_places], sensor.last[streams[2]])
    rows.remove(streams[0])
    assert rows.add() == streams[0]
