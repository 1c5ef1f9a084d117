"""What a stream has of one sensor: samples, clock, drift and counts."""

from typing import NamedTuple

from edgehar.deploy.stream.clocks.clock import Clock
from edgehar.deploy.stream.clocks.drift import SensorDrift
from edgehar.deploy.stream.clocks.sample_counts import LossMonitor, SampleCounts
from edgehar.deploy.stream.rows import StreamRows
from edgehar.deploy.stream.sensor_buffer import SensorBuffer
from edgehar.deploy.stream.settings import StreamSettings


class Channel(NamedTuple):
    """All that a push of one sensor needs, found by the sensor's name at once."""

    buffer: SensorBuffer
    clock: Clock
    drift: SensorDrift
    counts: SampleCounts
    losses: LossMonitor


def open_channels(
    settings: StreamSettings,
    drift: dict[str, SensorDrift],
    counts: dict[str, SampleCounts],
    losses: dict[str, LossMonitor],
    rows: StreamRows,
    row: int,
) -> dict[str, Channel]:
    """The channels of a new stream, by modality.

    Args:
        settings: of the stream.
        drift: modality -> follows its clock.
        counts: modality -> counts, also of the streams before.
        losses: modality -> reports losses, also of the streams before.
        rows: where samples are stored.
        row: the stream's row of them.
    """
    manifest, lateness_s, reorder_s = settings.recognizer.manifest, settings.lateness_s, settings.reorder_s
    channels: dict[str, Channel] = {}
    for name, spec in settings.specs.items():
        frame_s, of_sensor = manifest.window.step_s / spec.patch, counts[name]
        buffer = SensorBuffer(spec, frame_s, manifest.normalisation, reorder_s, of_sensor, rows.sensors[name], row)
        clock = Clock.of_sensor(spec, lateness_s, of_sensor)
        channels[name] = Channel(buffer, clock, drift[name], of_sensor, losses[name])
    return channels
