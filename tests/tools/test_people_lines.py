"""People per core: CPU times per prediction of one process for all people and of a process per person."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.tiny_package import write_tiny_package
from tools.speed.people_lines import Line, PeopleLinesConfig, compared, text_of


def test_figures_are_of_cpu_time_beyond_the_start_per_prediction(tmp_path: Path) -> None:
    write_tiny_package(tmp_path / "package", kind="sliding", hop=2)
    config = PeopleLinesConfig(str(tmp_path / "package"), people=4, processes=2, seconds=4.0, rounds=2)
    calls: list[int] = []

    def send(lines: Sequence[tuple[str | None, Line]], people: int) -> tuple[float, str]:
        """A second for the start, 1 ms for each line of several people, 2 ms for one's own, an answer for each line."""
        calls.append(people)
        answers: list[dict[str, Any]] = []
        for person, line in lines:
            assert (person is None) == (people == 1)
            answer = {"end_s": line["time_s"][-1], "number": line["modality"]}
            answers.append(answer if person is None else {"person": person, **answer})
        text = "".join(json.dumps(answer) + "\n" for answer in answers)
        return 1 + len(lines) * (0.001 if people > 1 else 0.002), text

    found = compared(config, send)
    assert calls == [1, 4, 1, 1] * 2
    assert found["lines_per_hop"] == 1
    assert found["fleet_us_per_hop"] == pytest.approx(1000)
    assert found["own_process_over_fleet"] == pytest.approx(2)
    assert found["fleet_people_per_core"] == pytest.approx(2 * found["own_process_people_per_core"])
    assert found["same_answers"] == "2 of 2 people"


def test_lines_name_their_person() -> None:
    line = {"modality": "wrist", "time_s": [0.0], "samples": [[1.0]]}
    named, alone = map(json.loads, text_of([("ann", line), (None, line)]).splitlines())
    assert named == {"person": "ann", **line}
    assert alone == line
