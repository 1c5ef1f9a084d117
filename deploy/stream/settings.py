"""Settings that the streams of several people can share, checked once."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from edgehar.checks import as_name_tuple
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.samples import Rows, as_rows, as_times
from edgehar.deploy.stream.options import check_numbers, check_times
from edgehar.errors import ConfigError
from edgehar.signals.clip import Times
from edgehar.signals.modality import ModalitySpec


class Chunk(NamedTuple):
    """Checked samples of one sensor.

    Attributes:
        modality: the sensor.
        rows: (n, C).
        times_s: (n,) with the sensor's offset.
    """

    modality: str
    rows: Rows
    times_s: Times


@dataclass(frozen=True)
class StreamSettings:
    """Settings of a stream; see `edgehar.deploy.stream.recognizer.StreamRecognizer`.

    Attributes:
        specs: connected modality -> its declaration, in the package's order.
    """

    recognizer: Recognizer
    modalities: Iterable[str] = ()
    smoothing: float = 0.0
    margin: float = 0.0
    lateness_s: float = 0.5
    reorder_s: float = 0.0
    start_s: float | None = None
    offsets_s: dict[str, float] | None = None
    specs: dict[str, ModalitySpec] = field(init=False)

    def __post_init__(self) -> None:
        """Raise ConfigError or DataError for an invalid argument."""
        check_numbers(
            smoothing=self.smoothing, margin=self.margin, lateness_s=self.lateness_s, reorder_s=self.reorder_s
        )
        check_times(self.start_s, self.offsets_s)
        declared = self.recognizer.manifest.modalities
        connected = as_name_tuple(self.modalities, "modalities") or tuple(spec.name for spec in declared)
        offsets_s = dict(self.offsets_s or {})
        self.recognizer.check_modalities((*connected, *offsets_s))
        object.__setattr__(self, "offsets_s", offsets_s)
        object.__setattr__(self, "specs", {spec.name: spec for spec in declared if spec.name in connected})

    def checked(self, modality: str, samples: Any, times_s: Any) -> Chunk:
        """The arguments of a push; raises DataError or ConfigError as `StreamRecognizer.push`."""
        if modality not in tuple(self.specs):  # a lookup in the dict would fail on an unhashable value
            self.recognizer.check_modalities([modality])
            raise ConfigError(f"modality {modality}: the stream was opened for {', '.join(self.specs)}; add it there")
        rows = as_rows(samples, self.specs[modality])
        times = as_times(times_s, len(rows), modality, in_order=False)
        offset_s = self.offsets_s.get(modality, 0.0) if self.offsets_s else 0.0
        return Chunk(modality, rows, times + offset_s if offset_s else times)
