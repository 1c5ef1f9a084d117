"""Patterns of names: which part of a path is the subject, the label, the trial and the sensor."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehar.data.importing.names import file_name, match_name, name_pattern, people, without_sensor
from edgehar.data.recordings.index import name_problem
from edgehar.errors import ConfigError

WORD = st.text("abcdefgh0123456789", min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("{subject}_{label}_{trial}", "day1/ann_sit_down_2", {"subject": "ann", "label": "sit_down", "trial": "2"}),
        ("{subject}/{label}", "x/ann/walk", {"subject": "ann", "label": "walk"}),
        ("{subject}/{}-{trial}", "ann/whatever-2-3", {"subject": "ann", "trial": "3"}),
        ("{subject}_{label}", "ann", None),
        ("P{subject}A{label}", "P01A05", {"subject": "01", "label": "05"}),
    ],
)
def test_fields_of_a_path(pattern: str, path: str, expected: dict[str, str] | None) -> None:
    assert match_name(name_pattern(pattern), PurePosixPath(path)) == expected


def test_two_people_of_one_recording_are_joined() -> None:
    fields = match_name(name_pattern("{subject}_{subject2}_{label}"), PurePosixPath("ann_bob_push"))
    assert people(fields or {}) == "ann+bob"


def test_files_of_the_sensors_of_a_recording_have_one_name() -> None:
    pattern = name_pattern("{subject}_{sensor}_{trial}")
    assert {without_sensor(pattern, PurePosixPath(f"d/ann_{sensor}_1")) for sensor in ("acc", "gyro")} == {"d/ann_1"}


@pytest.mark.parametrize("pattern", ["{subject}{label}", "{who}_{label}", "{label}_{label}", "all"])
def test_unusable_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="--names"):
        name_pattern(pattern)


@given(WORD, WORD, WORD, st.sampled_from("_-. "))
def test_a_name_written_by_a_pattern_is_read_back(subject: str, label: str, trial: str, separator: str) -> None:
    pattern = name_pattern(separator.join(["{subject}", "{label}", "{trial}"]))
    found = match_name(pattern, PurePosixPath(separator.join([subject, label, trial])))
    assert found == {"subject": subject, "label": label, "trial": trial}


@given(st.text(max_size=30), st.sets(st.text(max_size=5), max_size=3))
def test_any_text_becomes_the_name_of_a_recording(text: str, taken: set[str]) -> None:
    name = file_name(text, taken)
    assert name_problem(name) == ""
    assert name not in taken
