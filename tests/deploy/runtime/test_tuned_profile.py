"""Tests of the profile that `edgehar bench --tune` stores."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import edgehar
from edgehar.deploy.runtime.providers import CPU
from edgehar.deploy.runtime.tuned_profile import machine, manifest_sha256, profile_path
from edgehar.package.folder import EdgePackage, amend_package
from tests.deploy.running import ROOT


@pytest.fixture
def package(tmp_path: Path, int8_package: Path) -> Path:
    return Path(shutil.copytree(int8_package, tmp_path / "my package"))


def write_profile(package: Path, chosen: Any) -> None:
    """Write a profile of this machine and package with these settings."""
    entry = {"format": "edgehar-tuning", "format_version": 1, "machine": machine(), "chosen": chosen}
    entry["manifest_sha256"] = manifest_sha256(EdgePackage.open(package))
    profile_path(package).write_text(json.dumps(entry))


def change_profile(package: Path, **changes: Any) -> None:
    path = profile_path(package)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_profile_applies_to_its_machine_and_package_only(package: Path) -> None:
    write_profile(package, {"precision": "fp16", "threads": 1, "providers": [CPU]})
    assert edgehar.load(package).precision == "fp16"
    assert edgehar.load(package, "fp32").precision == "fp32"
    # A profile of another machine, or of the package before a change, is ignored.
    change_profile(package, machine={"cpu": "another"})
    assert edgehar.load(package).precision == "int8"
    change_profile(package, machine=machine())
    assert edgehar.load(package).precision == "fp16"
    amend_package(package, {}, metrics={})
    with pytest.warns(RuntimeWarning, match="measured with another package"):
        assert edgehar.load(package).precision == "int8"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ("[" * 100_000, "damaged"),
        ('{"format": "other", "format_version": 1}', "machine, manifest_sha256, chosen"),
        (" " * (2 << 20), "more than"),
    ],
    ids=lambda text: text[:20],
)
def test_damaged_profile_is_reported_and_ignored(package: Path, text: str, reason: str) -> None:
    profile_path(package).write_text(text)
    with pytest.warns(RuntimeWarning, match=f"unusable profile: .*{reason}"):
        assert edgehar.load(package).precision == "int8"


@pytest.mark.parametrize(
    "chosen",
    [
        {"precision": "int4", "threads": 1, "providers": [CPU]},
        {"precision": "fp32", "threads": 10**6, "providers": [CPU]},
        {"precision": ["fp32"], "threads": 1, "providers": [CPU]},
        {"precision": "fp32", "threads": "many", "providers": [CPU]},
        {"precision": "fp32", "threads": 1.0, "providers": [CPU]},
        {"precision": "fp32", "threads": 1, "providers": ["NoSuchProvider"]},
        {"precision": "fp32", "threads": 1, "providers": []},
        {"precision": "fp32", "threads": 1, "providers": [[CPU]]},
        {"precision": "fp32", "threads": 1},
        5,
    ],
)
def test_unusable_settings_are_reported_and_ignored(package: Path, chosen: Any) -> None:
    write_profile(package, chosen)
    with pytest.warns(RuntimeWarning, match="unusable profile"):
        assert edgehar.load(package).precision == "int8"


def test_command_prints_the_warning_in_one_line(package: Path) -> None:
    profile_path(package).write_text("{")
    command = [sys.executable, "-m", "edgehar.cli", "run", str(package), "--stdin"]
    completed = subprocess.run(command, capture_output=True, text=True, check=True, input="", cwd=ROOT)
    first = completed.stderr.splitlines()[0]
    assert first.startswith(f"edgehar: {profile_path(package)}: unusable profile: damaged")
    assert "RuntimeWarning" not in completed.stderr


def test_pipe_in_place_of_a_profile_is_ignored(package: Path) -> None:
    os.mkfifo(profile_path(package))
    assert edgehar.load(package).precision == "int8"
