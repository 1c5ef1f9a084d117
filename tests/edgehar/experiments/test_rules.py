"""What the training recordings decide, and how a run follows it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgehar import verbs
from edgehar.experiments.pipeline import PipelineOptions, command_of, plan
from edgehar.experiments.rules import (
    EXCHANGE,
    LARGEST_BATCH,
    LEAST_EPOCHS,
    LENGTH,
    OFF,
    ON,
    PATIENT,
    PRETRAINING,
    USUAL,
    WINDOW,
    Choice,
    choices_for,
    duration_spread,
    labelled_share,
    labelled_windows,
)
from edgehar.experiments.stage import Stage
from edgehar.signals.clip import Clip, DatasetInfo, Segment
from edgehar.signals.modality import ModalitySpec, WindowSpec

WATCH = ModalitySpec("watch", 3, "m/s2", 10.0, 1)
CLIPS = DatasetInfo("clips", (WATCH,), ("walk", "wave"), WindowSpec("clip", 4, 0.25))
CONTINUOUS = DatasetInfo("days", (WATCH,), ("walk", "wave"), WindowSpec("sliding", 4, 0.25))


def clip(samples: int, label: int | None, segments: tuple[Segment, ...] = (), timed: bool = False) -> Clip:
    times_s = {"watch": np.arange(samples) / 10} if timed else {}
    signals, valid = {"watch": np.zeros((samples, 3), np.float32)}, {"watch": np.ones(samples, bool)}
    return Clip("a", "ann", "1", signals, valid, label, times_s, segments)


def choices(
    clips: Sequence[Clip], info: DatasetInfo = CLIPS, given: bool | None = None, preset: str = "base"
) -> dict[str, Choice]:
    return {choice.name: choice for choice in choices_for(clips, info, given, preset)}


def replace_hop(info: DatasetInfo, hop: int) -> DatasetInfo:
    return replace(info, window=replace(info.window, hop=hop))


def stages(found: dict[str, Choice]) -> dict[str, Stage]:
    return {stage.name: stage for stage in plan(PipelineOptions("run"), tuple(found.values()))}


def test_pretraining_is_off_also_where_most_clips_have_no_label():
    for clips, share in (([clip(20, 0), clip(20, None), clip(20, None)], "33.3"), ([clip(20, 0), clip(20, 1)], "100")):
        chosen = choices(clips)
        assert chosen[PRETRAINING].value == OFF
        assert f"{share} % of the training clips have a label" in chosen[PRETRAINING].reason
        assert "pretrain" not in stages(chosen)
        assert stages(chosen)["finetune"].settings["data"] == "simulated"
    given = stages(choices([clip(20, 0), clip(20, None)], given=True))
    assert given["finetune"].settings["pretrained"] == "run/pretrained"


@pytest.mark.parametrize("given", [True, False])
def test_the_option_decides_about_pretraining(given: bool):
    for clips in ([clip(20, None), clip(20, 0), clip(20, None)], [clip(20, 0)]):
        chosen = choices(clips, given=given)
        assert chosen[PRETRAINING].value == (ON if given else OFF)
        assert ("pretrain" in stages(chosen)) == given
    assert ("--pretraining" if given else "--no-pretraining") in command_of(PipelineOptions(pretraining=given))
    assert "pretraining" not in command_of(PipelineOptions())


def test_the_labelled_share_of_continuous_recordings_is_that_of_their_time():
    spans = (Segment(0.0, 1.0, 0), Segment(1.5, 2.5, 1))
    assert labelled_share([clip(101, None, spans, timed=True)], CONTINUOUS) == pytest.approx(0.2)
    assert labelled_share([clip(51, 0, timed=True), clip(51, None, timed=True)], CONTINUOUS) == pytest.approx(0.5)


def test_clips_exchange_style_only_while_their_durations_are_alike():
    similar = [clip(samples, label) for label in (0, 1) for samples in (50, 60, 70, 80, 120)]
    # Long and short activities are no spread.
    several = [clip(samples, label) for label, samples in enumerate((20, 20, 21, 400, 400, 410)) for _ in range(2)]
    trials = [clip(samples, 0) for samples in (30, 60, 100, 200, 400)]
    assert duration_spread(several, CLIPS) == 1.0
    assert choices(similar)[EXCHANGE].value == ON
    assert choices(several)[EXCHANGE].value == ON
    assert choices(trials)[EXCHANGE].value == OFF
    assert "7.6 times" in choices(trials)[EXCHANGE].reason
    settings = {name: stages(choices(trials))[name].settings for name in ("finetune", "distill", "prune")}
    assert all((settings[name]["limb"], settings[name]["style"]) == (0.0, 0.0) for name in ("finetune", "distill"))
    assert "limb" not in settings["prune"]
    assert "limb" not in stages(choices(similar))["finetune"].settings


def test_the_window_is_stated_with_the_length_of_the_clips():
    found = choices([clip(20, 0), clip(40, 1), clip(90, 0)])[WINDOW]
    assert found.value == "4 steps of 0.25 s"
    assert found.reason.startswith("The median training clip lasts 4 s; unless declared, 16 to 48 steps")
    assert choices([clip(50, 0, timed=True)], CONTINUOUS)[WINDOW].reason.startswith("A window every 0.25 s")


def test_long_recordings_get_larger_batches():
    assert LENGTH not in choices([clip(20, 0)], preset="tiny")
    few = choices([clip(20, 0)] * 50)
    assert few[LENGTH].settings == {}
    assert not {"batch", "updates"} & stages(few)["finetune"].settings.keys()
    hours = [clip(36_000, 0, timed=True)] * 8  # a window each second
    assert labelled_windows(hours, replace_hop(CONTINUOUS, 4)) == pytest.approx(28_800, rel=0.01)
    found = stages(choices(hours, replace_hop(CONTINUOUS, 4)))
    batches = {verb: found[verb].settings["batch"] for verb in USUAL}
    assert USUAL["finetune"][1] < batches["finetune"] <= LARGEST_BATCH
    assert batches["finetune"] * USUAL["finetune"][0] / 28_800 == pytest.approx(LEAST_EPOCHS, rel=0.1)
    assert batches["distill"] == USUAL["distill"][1]  # more updates see each window often enough
    assert stages(choices(hours * 10, CONTINUOUS))["finetune"].settings["batch"] == LARGEST_BATCH


def test_a_student_of_sliding_windows_imitates_its_teacher_for_longer():
    assert "updates" not in stages(choices([clip(20, 0)] * 50))["distill"].settings
    chosen = choices([clip(600, 0, timed=True)] * 50, CONTINUOUS)
    assert stages(chosen)["distill"].settings["updates"] == PATIENT
    planned = plan(PipelineOptions("run"), tuple(chosen.values()), Path("trial"))
    [held_out] = [stage for stage in planned if stage.name == "trial-student"]
    assert "updates" not in held_out.settings, "calibration does not wait for it"


def test_the_usual_updates_and_batches_are_those_of_the_preset():
    for verb, usual in USUAL.items():
        positional = {"teacher": ("teacher",)} if verb == "distill" else {}
        train = verbs.build(verb, {"preset": "base", "out": "out"} | positional).train
        assert (train.updates, train.batch) == usual
