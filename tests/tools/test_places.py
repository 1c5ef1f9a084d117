"""Sensors at new places: the tool on simulated people, and its table."""

import json
from pathlib import Path

from edgehar.data import recordings
from edgehar.simulation.dataset import SimulatorConfig, simulate
from tools import places
from tools.results import transfer


def test_new_places_are_scored_by_every_teacher(tmp_path: Path) -> None:
    recordings.write(simulate(SimulatorConfig(subjects=3, trials=1, activities=("walk", "wave"))), tmp_path / "data")
    out = tmp_path / "docs" / transfer.PLACES
    words = ["--data", str(tmp_path / "data"), "--worn", "wrist", "--elsewhere", "thigh", "--split", "loso:s3"]
    assert places.main([*words, "--updates", "2", "--runs", str(tmp_path / "runs"), "--out", str(out)]) == 0
    (file,) = out.glob("*.json")
    found = json.loads(file.read_text())
    assert list(found["places"]) == [places.UNIVERSAL, places.RENAMED, places.TRAINED]
    assert {score["windows"]["total"] for score in found["places"].values()} == {2}
    text = transfer.page([], transfer.load_places(tmp_path / "docs"))
    assert "| simulated | wrist | thigh | " in text
    assert found["command"] in text
