"""A test person who is recognised far worse than the rest: in results.json and at the end of a run."""

from edgehar.experiments.pipeline import summary
from edgehar.experiments.results import outlying_text
from tests.edgehar.report.run_results import full_results

SCORE = {
    "per_subject": {
        "ann": {"correct": 55, "total": 58},
        "bob": {"correct": 35, "total": 58},
        "cat": {"correct": 56, "total": 58},
    }
}
WORN = "watch, channels 1 to 3: gravity of person 'bob' points 150 degrees away."


def test_the_sentence_names_the_person_and_a_sensor_worn_otherwise() -> None:
    alone = outlying_text(SCORE, {"ann": [WORN]})
    assert alone is not None
    assert alone.startswith("Person 'bob' is recognised far worse than the rest: 35 of 58 correct (60%)")
    assert alone.endswith("(96%).")
    assert outlying_text(SCORE, {"bob": [WORN]}) == f"{alone} A sensor seems to be worn otherwise, too: {WORN}"
    assert outlying_text({"per_subject": {"ann": {"correct": 5, "total": 9}}}, {}) is None


def test_the_end_of_a_run_names_the_person() -> None:
    results = full_results()
    assert "far worse" not in summary(results, "out")
    text = outlying_text(SCORE, {})
    results["evaluation"][results["delivered"]]["outlying_subject"] = text
    assert f"\n{text}\nresults: out/results.json" in summary(results, "out")
