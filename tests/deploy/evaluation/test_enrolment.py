"""`edgehar evaluate --enrol` and `--personal`: activities that the package was not trained on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgehar
from edgehar.deploy.evaluation import enrolment, evaluate
from edgehar.deploy.learning.enrol import example_of
from edgehar.deploy.learning.options import empty_personal, open_for_learning
from edgehar.deploy.learning.recordings import features_of
from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import ConfigError
from edgehar.package.personal import write_personal
from edgehar.signals.clip import Clip, Dataset
from tests.deploy.learning.recorded import recording
from tests.deploy.tiny_package import LABELS

ALL = ("juggle", *LABELS)
TAKES = 3


@pytest.fixture(scope="module")
def recognizer(clip_package: Path) -> Recognizer:
    return edgehar.load(clip_package)


@pytest.fixture(scope="module")
def dataset(recognizer: Recognizer) -> Dataset:
    """Six people; each activity moves in a way of its own, the new one first among the labels."""
    clips: list[Clip] = []
    for person in range(1, 7):
        for label in range(len(ALL)):
            for take in range(TAKES):
                recorded = recording(10 * label + (person + take) % 10)
                valid = {name: np.ones(len(values), bool) for name, values in recorded.signals.items()}
                signals = {name: values.astype(np.float32) for name, values in recorded.signals.items()}
                name = f"s{person}_{ALL[label]}_{take}"
                clips.append(Clip(name, f"s{person}", str(take), signals, valid, label, recorded.times_s))
    return Dataset(replace(recognizer.manifest.info, labels=ALL), tuple(clips))


def test_new_activity_is_scored_on_other_people(recognizer: Recognizer, dataset: Dataset) -> None:
    result = enrolment.measure(recognizer, dataset, "odd-even")
    assert result["activities"] == ["juggle"]
    assert [found["draws"][0]["recordings"] for found in result["counts"].values()] == [1, TAKES]
    for found in result["counts"].values():
        assert {draw["person"] for draw in found["draws"]} == {"s2", "s4", "s6"}
        assert all(draw["new_windows"] == 2 * TAKES for draw in found["draws"])
        assert all(draw["known_windows"] == 2 * TAKES * len(LABELS) for draw in found["draws"])
        assert found["points_lost"] == pytest.approx(100 * (found["known_before"] - found["known"]))
    assert result["counts"]["5"]["new"] > 0.5  # the package never saw it
    assert "3 each" not in enrolment.summary(result)
    assert "(there are 3)" in enrolment.summary(result)
    assert result == enrolment.measure(recognizer, dataset, "odd-even")


def test_package_that_knows_all_activities_is_named(recognizer: Recognizer, dataset: Dataset) -> None:
    known = Dataset(
        replace(dataset.info, labels=LABELS),
        tuple(replace(clip, label=clip.label - 1) for clip in dataset.clips if clip.label),
    )
    with pytest.raises(ConfigError, match="--enrol: the package was trained on all activities"):
        enrolment.measure(recognizer, known, "odd-even")


def test_personal_activity_is_scored_with_the_others(tmp_path: Path, recognizer: Recognizer, dataset: Dataset) -> None:
    package = recognizer.package
    personal = empty_personal(package)
    opened = open_for_learning(package, None)
    one = next(clip for clip in dataset.clips if clip.label == 0 and clip.subject == "s1")
    read = features_of(opened, one.name, opened.windows_of_clip(one))
    write_personal(tmp_path / "a.json", replace(personal, examples=(example_of("juggle", read),)))
    plain = evaluate.evaluate(recognizer, dataset, "odd-even")
    learnt = edgehar.load(package.path, personal=tmp_path / "a.json")
    result = evaluate.evaluate(learnt, dataset, "odd-even")
    assert plain["without"] == ["juggle"]
    assert result["without"] == []
    assert result["total"] == plain["total"] + 3 * TAKES
    rows = {row["clip"]: row["label"] for row in result["predictions"]}
    assert all(label == clip.split("_")[1] for clip, label in rows.items())
