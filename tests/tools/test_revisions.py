"""Revisions of edgehar are timed in processes of their own, with the same predictions."""

import json
from pathlib import Path

import pytest

from tests.deploy.tiny_package import write_tiny_package
from tools.speed.revisions import main

REPOSITORY = Path(__file__).resolve().parents[2]


def test_a_revision_is_as_fast_as_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tiny_package(tmp_path / "package", kind="sliding", hop=2)
    options = ["--revisions", f"{REPOSITORY}", "--rounds", "2", "--runs", "20", "--pushes", "2"]
    result = tmp_path / "result.json"
    assert main([str(tmp_path / "package"), *options, "--json", str(result)]) == 0
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert document == json.loads(result.read_text())
    (row,) = document["rows"]
    assert row["revision"] == REPOSITORY.name
    assert row["hops_per_s_over_first"] == 1
    assert row["hop_over_networks"] > 1
