"""What to record more of: only what the numbers show, with the numbers."""

from typing import Any

import numpy as np
import pytest

from edgehar.report.advice import advice, baseline_verdict
from tests.edgehar.report.run_results import full_results


@pytest.fixture
def results() -> dict[str, Any]:
    """Results in which nothing is missing and nothing is confused."""
    found = full_results()
    for score in found["evaluation"].values():
        score["confusion"] = np.diag(np.full(27, 16)).tolist()
    return found


def training(results: dict[str, Any]) -> dict[str, Any]:
    return results["dataset"]["training"]


def test_even_recordings_need_nothing(results: dict[str, Any]) -> None:
    assert advice(results) == [
        "Nothing stands out: 12 people were trained on, and every activity has at least half the people and "
        "recordings of the median one."
    ]
    del results["dataset"]["training"]
    assert advice(results) == []


def test_activities_of_few_people_or_recordings_are_named_with_their_numbers(results: dict[str, Any]) -> None:
    training(results)["labels"]["wave"] = {"recordings": 7, "seconds": 21.0, "people": 12}
    training(results)["labels"]["clap"] = {"recordings": 16, "seconds": 40.0, "people": 1}
    assert advice(results) == [
        "Record more of clap (1 person, 16 recordings, 0.7 min); wave (12 people, 7 recordings, 0.3 min). The median "
        "activity has 12 people, 16 recordings, 0.7 min."
    ]


def test_long_continuous_recordings_are_not_few(results: dict[str, Any]) -> None:
    training(results)["kind"] = "sliding"
    training(results)["labels"]["wave"] = {"recordings": 1, "seconds": 100.0, "people": 12}
    assert advice(results)[0].startswith("Nothing stands out")
    training(results)["labels"]["wave"]["seconds"] = 19.0
    assert advice(results)[0].startswith("Record more of wave (12 people, 1 recording, 0.3 min).")


def test_an_activity_without_training_is_named_first(results: dict[str, Any]) -> None:
    training(results)["labels"]["bowling"] = {"recordings": 0, "seconds": 0.0, "people": 0}
    assert advice(results) == ["No training recording has bowling: record it."]


def test_confused_activities_are_named_with_the_people_behind_them(results: dict[str, Any]) -> None:
    confusion = np.diag(np.full(27, 16))
    confusion[3, 2], confusion[2, 3], confusion[2, 2] = 1, 6, 10  # clap, wave
    confusion[9, 8] = 1  # once: may be chance
    results["evaluation"]["student-int8"]["confusion"] = confusion.tolist()
    training(results)["labels"]["wave"]["people"] = 9
    (sentence,) = advice(results)
    assert sentence.startswith(
        "clap and wave are confused: 1 of 16 windows of clap predicted as wave, 6 of 16 windows of wave predicted as "
        "clap. Trained on: clap 12 people, 16 recordings, 0.7 min; wave 9 people, 16 recordings, 0.7 min."
    )


def test_confused_pairs_of_many_labels_are_read_from_their_list(results: dict[str, Any]) -> None:
    for score in results["evaluation"].values():
        del score["confusion"]
    score = results["evaluation"]["student-int8"]
    score["confused"] = [{"true": "jog", "predicted": "walk", "count": 5}]
    (sentence,) = advice(results)
    assert sentence.startswith("jog and walk are confused: 5 of 16 windows of jog predicted as walk. Trained on:")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"people": 9}, "Training has 9 people, fewer than 10"),
        ({"people": 1}, "Training has 1 person, fewer than 10"),
        ({"sensors": {"skeleton": 431, "inertial": 300}}, "inertial is missing in 131 of 431 training recordings"),
        ({"unlabelled_share": 0.25}, "25 % of the training clips have no label"),
        ({"unlabelled_share": 0.25, "kind": "sliding"}, "25 % of the time of the training recordings has no label"),
        ({"short": 1}, "Less than a third of the median duration of the activity: 1 training clip"),
        ({"short": 2, "kind": "sliding"}, "Shorter than a window of 2.5 s and not used: 2 training recordings"),
    ],
)
def test_each_gap_has_its_sentence(results: dict[str, Any], changes: dict[str, Any], expected: str) -> None:
    training(results).update(changes)
    (sentence,) = advice(results)
    assert sentence.startswith(expected)


def test_few_tested_people_and_a_split_by_trial_are_stated(results: dict[str, Any]) -> None:
    results["dataset"]["test_subjects"] = ["s2"]
    assert advice(results)[0].startswith("The test has 1 person,")
    results["dataset"]["train_recordings"] = ["r1"]
    training(results)["people"] = 1
    assert advice(results)[0].startswith("Nobody but the people of the training (1) was tested: record others")


def test_the_baseline_is_compared_with_the_delivered_model(results: dict[str, Any]) -> None:
    ours, baseline = results["evaluation"]["student-int8"], results["evaluation"]["minirocket"]
    for score, correct in ((ours, 410), (baseline, 410)):
        score |= {"correct": correct, "accuracy": correct / 432, "wilson95": [0.92, 0.97]}
    assert baseline_verdict(results) == [
        "The baseline MiniRocket (9.2 s) is as accurate per window as the delivered model: 410 of 432 windows against "
        "410 of 432 windows."
    ]
    baseline |= {"correct": 412, "accuracy": 412 / 432}
    verdict, cure = baseline_verdict(results)
    assert (
        "more accurate per window than the delivered model: 412 of 432 windows against 410 of 432 windows." in verdict
    )
    assert "may be chance" in verdict
    assert "--preset base" not in cure
    results["preset"] = "tiny"
    assert "--preset base" in baseline_verdict(results)[1]


def test_a_baseline_that_did_not_run_is_stated(results: dict[str, Any]) -> None:
    del results["evaluation"]["minirocket"]
    assert baseline_verdict(results) == []
    results["stages"][0]["failed"] = "this command needs aeon, which is not installed"
    assert baseline_verdict(results) == [
        "The baseline MiniRocket was not run: this command needs aeon, which is not installed"
    ]


def test_a_sensor_of_few_samples_per_step_is_named_with_the_rate_it_needs(results: dict[str, Any]) -> None:
    results["dataset"]["training"] |= {"frames": {"skeleton": 1.2, "wrist": 7.0}, "step_s": 0.14}
    assert advice(results) == [
        "skeleton has 1.2 samples in a step of 0.14 s: record it with 29 Hz or more, or declare fewer and longer steps "
        "(window in recordings.json)."
    ]
