"""The fastest precision of a machine is measured once and used from then on, on that machine and package only."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import deploy
from deploy import benchmark
from deploy.choice import machine, manifest_sha256, profile_path
from edgehar.errors import ConfigError
from edgehar.package import EdgePackage, amend_package


@pytest.fixture
def package(tmp_path: Path, int8_package: Path) -> Path:
    return Path(shutil.copytree(int8_package, tmp_path / "my package"))


def changed(package: Path, **changes: Any) -> None:
    path = profile_path(package)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_the_fastest_is_kept_and_used(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main([str(package), "--tune", "--runs", "100"]) == 0
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert document == json.loads(profile_path(package).read_text())
    rows = document["candidates"]
    assert [(row["precision"], row["threads"]) for row in rows] == [
        (precision, 1) for precision in ("fp32", "int8", "int8-dynamic", "fp16")
    ]
    chosen = document["chosen"]
    fastest = min(row["hop_median_ms"] for row in rows if row["same_answer_as_fp32"] >= 0.95)
    assert any(row.items() >= chosen.items() and row["hop_median_ms"] == fastest for row in rows)
    assert deploy.load(package).precision == chosen["precision"]
    assert deploy.load(package, "fp32").precision == "fp32"
    # A profile of another machine, or of the package before it was changed, says nothing.
    slowest = next(name for name in ("fp16", "int8-dynamic") if name != chosen["precision"])
    changed(package, chosen={"precision": slowest, "threads": 1})
    assert deploy.load(package).precision == slowest
    changed(package, machine={"cpu": "another"})
    assert deploy.load(package).precision == "int8"
    changed(package, machine=document["machine"])
    amend_package(package, {}, metrics={})
    assert deploy.load(package).precision == "int8"


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "[" * 100_000,
        json.dumps({"format": "other", "format_version": 1}),
        json.dumps({"format": "edgehar-tuning", "format_version": 1}),
        " " * (2 << 20),
    ],
    ids=lambda text: text[:20],
)
def test_a_damaged_profile_is_named_and_ignored(package: Path, text: str) -> None:
    profile_path(package).write_text(text)
    with pytest.warns(RuntimeWarning, match="no profile that can be used"):
        assert deploy.load(package).precision == "int8"


@pytest.mark.parametrize(
    "chosen",
    [
        {"precision": "int4", "threads": 1},
        {"precision": "fp32", "threads": 10**6},
        {"precision": ["fp32"], "threads": 1},
        {"precision": "fp32", "threads": "many"},
        5,
    ],
)
def test_a_profile_cannot_name_what_is_not_there(package: Path, chosen: Any) -> None:
    entry = {"format": "edgehar-tuning", "format_version": 1, "machine": machine(), "chosen": chosen}
    entry["manifest_sha256"] = manifest_sha256(EdgePackage.open(package))
    profile_path(package).write_text(json.dumps(entry))
    with pytest.warns(RuntimeWarning, match="no profile that can be used"):
        assert deploy.load(package).precision == "int8"


def test_what_tuning_does_not_take_is_refused(package: Path) -> None:
    with pytest.raises(ConfigError, match="leave one of them out"):
        benchmark.main([str(package), "--tune", "--precision", "fp32"])
    with pytest.raises(ConfigError, match="100 or more"):
        benchmark.main([str(package), "--tune", "--runs", "99"])
    with pytest.raises(ConfigError, match="--threads 0"):
        benchmark.main([str(package), "--tune", "--threads", "0"])


def test_a_pipe_in_place_of_a_profile_is_not_waited_for(package: Path) -> None:
    os.mkfifo(profile_path(package))
    assert deploy.load(package).precision == "int8"
