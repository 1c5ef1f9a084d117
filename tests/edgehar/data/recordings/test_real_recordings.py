"""Recordings of strangers: what is odd about them is named, and nothing else."""

from pathlib import Path

import pytest

from edgehar.data.recordings.check import survey


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("shoulder-exercises", {}),
        # s022 wore the watch the other way on the stairs, s050 in everything.
        ("selfback", {"gravity points": 2, "gravity of person 's050' points": 1}),
    ],
)
def test_warnings_about_recordings_of_strangers(data_root: Path, name: str, kinds: dict[str, int]) -> None:
    folder = data_root / name
    if not folder.is_dir():
        pytest.skip(f"no recordings in {folder}")
    dataset, problems = survey(folder)
    assert dataset is not None
    assert {kind: sum(kind in problem.message for problem in problems) for kind in kinds} == kinds
    assert len(problems) == sum(kinds.values())
