"""The usable steps that `data info` shows are those that training gets, and the others have their reason."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgehar.data.usable import REASONS, usable_steps
from edgehar.signals.clip import Bools, Clip, Dataset, DatasetInfo, Times
from edgehar.signals.modality import ModalitySpec, WindowSpec
from edgehar.signals.preprocess import Normalisation
from edgehar.signals.windows import cut

WATCH = ModalitySpec("watch", 3, "g", 20, 2)
PHONE = ModalitySpec("phone", 3, "g", 20, 2)
HAND = ModalitySpec("hand", 9, "m", 20, 2, joints=("palm", "thumb", "tip"), parents=(0, 0, 0), lost_joints=True)
SLIDING = WindowSpec("sliding", 1, 0.1, 1)


def dataset(times_s: Times, valid: Bools | None = None, window: WindowSpec = SLIDING) -> Dataset:
    """One recording of a watch; the phone was recorded for 10 s."""
    values = np.ones((len(times_s), 3), np.float32)
    all_s = np.arange(201) / 20
    clip = Clip(
        "r", "p", "1",
        {"watch": values, "phone": np.ones((201, 3), np.float32)},
        {"watch": np.ones(len(values), bool) if valid is None else valid, "phone": np.ones(201, bool)},
        0, {"watch": times_s, "phone": all_s},
    )  # fmt: skip
    return Dataset(DatasetInfo("mine", (WATCH, PHONE), ("a", "b"), window), (clip,))


ALL_S = np.arange(201) / 20


@pytest.mark.parametrize("kind", ["sliding", "clip"])
@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("gap", (ALL_S < 3) | (ALL_S > 6)),
        ("starts late", ALL_S > 3),
        ("ends early", ALL_S < 7),
    ],
)
def test_a_step_without_samples_has_its_reason(kind: str, reason: str, kept: Bools) -> None:
    window = SLIDING if kind == "sliding" else WindowSpec("clip", 100, 0.1)
    shares = usable_steps(dataset(ALL_S[kept], window=window))["watch"]
    assert shares["usable"] + shares[reason] == pytest.approx(1)
    assert shares[reason] == pytest.approx(0.3, abs=0.05)


def test_a_marked_sample_is_no_gap() -> None:
    marked = (ALL_S > 3) & (ALL_S < 6)
    shares = usable_steps(dataset(ALL_S, ~marked))["watch"]
    assert shares["marked invalid"] == pytest.approx(0.29, abs=0.02)
    assert shares["usable"] + shares["marked invalid"] == pytest.approx(1)


def test_a_sensor_that_was_not_recorded_is_absent() -> None:
    recordings = dataset(ALL_S)
    clip = recordings.clips[0]
    without = replace(clip, signals={"phone": clip.signals["phone"]}, valid={"phone": clip.valid["phone"]},
                      times_s={"phone": ALL_S})  # fmt: skip
    shares = usable_steps(replace(recordings, clips=(clip, without)))
    assert (shares["watch"]["usable"], shares["watch"]["absent"]) == (0.5, 0.5)
    assert shares["phone"]["usable"] == 1


def test_lost_joints_are_counted() -> None:
    values = np.random.default_rng(0).normal(size=(201, 9)).astype(np.float32)
    values[:100, 6:] = np.nan
    clip = Clip("r", "p", "1", {"hand": values}, {"hand": np.ones(201, bool)}, 0, {"hand": ALL_S})
    shares = usable_steps(Dataset(DatasetInfo("mine", (HAND,), ("a", "b"), SLIDING), (clip,)))["hand"]
    assert shares["usable"] == 1
    assert shares["lost_joints"] == pytest.approx(1 / 6, abs=0.01)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 9999), kept=st.floats(0.05, 1), marked=st.floats(0, 0.9))
def test_the_shares_are_those_of_the_windows(seed: int, kept: float, marked: float) -> None:
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(np.repeat(rng.random(21) < kept, 10)[:201])
    if not len(rows):
        return
    recordings = dataset(ALL_S[rows], np.repeat(rng.random(21) >= marked, 10)[rows])
    shares = usable_steps(recordings)["watch"]
    windows = cut(recordings.clips, recordings.info, Normalisation.identity(recordings.info.modalities))
    assert shares["usable"] == pytest.approx(float(windows.valid["watch"].mean()))
    assert sum(shares[reason] for reason in REASONS) == pytest.approx(1 - shares["usable"])
