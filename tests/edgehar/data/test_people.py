"""People who wear a sensor otherwise, in whole data sets: labelled spans, other sensors, the spread."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from edgehar.cli import main
from edgehar.data.people import orientation_spread_deg, people_warnings
from edgehar.signals.clip import Clip, DatasetInfo, Segment
from edgehar.signals.modality import ModalitySpec, WindowSpec

WATCH = ModalitySpec("watch", 3, "g", 20, 2)
VOLTS = ModalitySpec("strap", 2, "V", 20, 2, group=1)
INFO = DatasetInfo("days", (WATCH, VOLTS), ("stand", "lie"), WindowSpec("sliding", 4, 0.1))
STAND, LIE = (0.1, 0.95, 0.2), (0.95, 0.2, 0.1)


def day(who: str, seed: int, standing_s: float, axes: NDArray[np.float64]) -> Clip:
    """Ten seconds: standing, then lying."""
    rng, times_s = np.random.default_rng(seed), np.arange(200) / 20
    gravity = np.where((times_s < standing_s)[:, None], STAND, LIE)
    values = (gravity + 0.05 * rng.normal(size=(200, 3))) @ axes.T
    signals = {"watch": values.astype(np.float32), "strap": rng.normal(size=(200, 2)).astype(np.float32)}
    spans = (Segment(0.0, standing_s, 0), Segment(standing_s, 10.0, 1))
    valid, times = dict.fromkeys(signals, np.ones(200, bool)), dict.fromkeys(signals, times_s)
    return Clip(who, who, "1", signals, valid, None, times, spans)


def days(turned: dict[str, NDArray[np.float64]]) -> list[Clip]:
    """Five people who stand for 2 to 8 seconds; some wear the watch with other axes."""
    return [day(who, number, 2 + 1.5 * number, turned.get(who, np.eye(3))) for number, who in enumerate("abcde")]


def test_spans_of_continuous_recordings_are_compared_by_label():
    assert people_warnings(days({}), INFO) == {}
    found = people_warnings(days({"b": np.diag([1.0, -1.0, -1.0])}), INFO)
    assert list(found) == ["b"]
    (text,) = found["b"]
    assert text.startswith("watch, channels 1 to 3: gravity of person 'b' points")
    assert "as if y " in text


def test_the_spread_is_small_where_all_agree_and_large_where_nobody_does():
    alike = orientation_spread_deg(days({}), INFO)
    assert alike is not None
    assert alike < 10
    one = orientation_spread_deg(days({"b": -np.eye(3)}), INFO)
    assert one is not None
    assert one < 15  # robust against one person
    axes = [np.roll(np.eye(3), shift, 0) for shift in (0, 1, 2)]
    various = orientation_spread_deg(days(dict(zip("abcd", [*axes, -np.eye(3)], strict=True))), INFO)
    assert various is not None
    assert various > 30
    assert orientation_spread_deg(days({})[:2], INFO) is None
    assert orientation_spread_deg(days({}), replace(INFO, modalities=(VOLTS,))) is None


def test_info_names_the_simulated_person_with_the_sensor_on_the_other_side(capsys: pytest.CaptureFixture[str]):
    assert main(["data", "info", "simulated"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "warning" in line]
    assert line.startswith("  warning: wrist, channels 1 to 3: axes of person 's1' move against each other")
