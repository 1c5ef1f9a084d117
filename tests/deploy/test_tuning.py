"""The fastest precision of a machine is measured once and used from then on, on that machine and package only."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import edgehar
from edgehar.deploy.bench import benchmark
from edgehar.deploy.bench.tuning import table, tune
from edgehar.deploy.runtime.providers import CPU
from edgehar.deploy.runtime.tuned_profile import machine, manifest_sha256, profile_path
from edgehar.errors import ConfigError
from edgehar.package.folder import EdgePackage, amend_package
from tests.deploy.running import ROOT
from tests.deploy.tiny_package import INERTIAL, write_tiny_package


@pytest.fixture
def package(tmp_path: Path, int8_package: Path) -> Path:
    return Path(shutil.copytree(int8_package, tmp_path / "my package"))


def write_profile(package: Path, chosen: Any) -> None:
    """A profile of this machine and package that names this."""
    entry = {"format": "edgehar-tuning", "format_version": 1, "machine": machine(), "chosen": chosen}
    entry["manifest_sha256"] = manifest_sha256(EdgePackage.open(package))
    profile_path(package).write_text(json.dumps(entry))


def changed(package: Path, **changes: Any) -> None:
    path = profile_path(package)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_the_fastest_is_kept_and_used(package: Path) -> None:
    document = tune(EdgePackage.open(package), 2, runs=5, providers=(CPU,), warm_up=1)
    assert document == json.loads(profile_path(package).read_text())
    rows = document["candidates"]
    assert [(row["precision"], row["threads"]) for row in rows] == [
        (precision, threads) for precision in ("fp32", "int8", "int8-dynamic", "fp16") for threads in (1, 2)
    ]
    chosen = document["chosen"]
    fastest = min(row["hop_median_ms"] for row in rows if row["same_answer_as_fp32"] >= 0.95)
    assert any(row.items() >= chosen.items() and row["hop_median_ms"] == fastest for row in rows)
    assert edgehar.load(package).precision == chosen["precision"]
    assert edgehar.load(package, "fp32").precision == "fp32"


def test_a_profile_holds_for_its_machine_and_package(package: Path) -> None:
    write_profile(package, {"precision": "fp16", "threads": 1, "providers": [CPU]})
    assert edgehar.load(package).precision == "fp16"
    assert edgehar.load(package, "fp32").precision == "fp32"
    # A profile of another machine, or of the package before it was changed, says nothing.
    changed(package, machine={"cpu": "another"})
    assert edgehar.load(package).precision == "int8"
    changed(package, machine=machine())
    assert edgehar.load(package).precision == "fp16"
    amend_package(package, {}, metrics={})
    with pytest.warns(RuntimeWarning, match="measured with another package, or with this one before it was changed"):
        assert edgehar.load(package).precision == "int8"


def test_the_command_keeps_and_shows_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = tmp_path / "package"
    write_tiny_package(package, specs=(INERTIAL,), steps=2)
    assert benchmark.main([str(package), "--tune", "--runs", "100", "--providers", CPU]) == 0
    *shown, last = capsys.readouterr().out.splitlines()
    document = json.loads(last)
    assert document == json.loads(profile_path(package).read_text())
    assert [*table(document).splitlines(), f"kept in {profile_path(package)}"] == shown
    assert "chosen for this machine: fp32, 1 thread(s), CPUExecutionProvider" in shown


def test_each_provider_is_tried_and_one_that_does_nothing_is_said(package: Path) -> None:
    # Every onnxruntime of PyPI has this one, and it computes no operator of ours.
    idle = "AzureExecutionProvider"
    if idle not in machine()["providers"]:
        pytest.skip(f"this onnxruntime has no {idle}")
    document = tune(EdgePackage.open(package), 1, runs=3, providers=(idle, CPU), warm_up=0)
    assert {tuple(row["providers"]) for row in document["candidates"]} == {(CPU,)}
    assert document["not_started"] == [idle]
    assert f"{idle} did not start" in table(document).splitlines()
    assert document["chosen"]["providers"] == [CPU]


def test_a_precision_with_other_answers_is_never_chosen(package: Path) -> None:
    opened = EdgePackage.open(package)
    # An "int8" that is another network: the graphs of a package with other weights.
    other = package.with_name("other")
    write_tiny_package(other, seed=7)
    files: dict[str, bytes | Path] = {
        opened.manifest.graphs["int8"][part]: EdgePackage.open(other).read(name)
        for part, name in EdgePackage.open(other).manifest.graphs["fp32"].items()
    }
    graphs = {name: opened.manifest.graphs[name] for name in ("fp32", "int8")}
    amend_package(package, files, graphs=graphs)
    document = tune(EdgePackage.open(package), 1, runs=3, providers=(CPU,), warm_up=0)
    assert [row["same_answer_as_fp32"] >= 0.95 for row in document["candidates"]] == [True, False]
    assert document["chosen"]["precision"] == "fp32"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "it is damaged, as it is no JSON"),
        ("[]", "it is damaged, as it is no JSON object"),
        ("[" * 100_000, "it is damaged, as it is no JSON"),
        ('{"format": "other", "format_version": 1}', "it lacks machine, manifest_sha256, chosen"),
        (" " * (2 << 20), "it has more than"),
    ],
    ids=lambda text: text[:20],
)
def test_a_damaged_profile_is_named_and_ignored(package: Path, text: str, said: str) -> None:
    profile_path(package).write_text(text)
    with pytest.warns(RuntimeWarning, match=f"no profile that can be used: .*{said}"):
        assert edgehar.load(package).precision == "int8"


@pytest.mark.parametrize(
    "chosen",
    [
        {"precision": "int4", "threads": 1, "providers": [CPU]},
        {"precision": "fp32", "threads": 10**6, "providers": [CPU]},
        {"precision": ["fp32"], "threads": 1, "providers": [CPU]},
        {"precision": "fp32", "threads": "many", "providers": [CPU]},
        {"precision": "fp32", "threads": 1, "providers": ["NoSuchProvider"]},
        {"precision": "fp32", "threads": 1, "providers": []},
        {"precision": "fp32", "threads": 1, "providers": [[CPU]]},
        {"precision": "fp32", "threads": 1},
        5,
    ],
)
def test_a_profile_cannot_name_what_is_not_there(package: Path, chosen: Any) -> None:
    write_profile(package, chosen)
    with pytest.warns(RuntimeWarning, match="no profile that can be used"):
        assert edgehar.load(package).precision == "int8"


def test_the_command_tells_of_a_profile_without_its_own_source(package: Path) -> None:
    profile_path(package).write_text("{")
    command = [sys.executable, "-m", "edgehar.cli", "run", str(package), "--stdin"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, input="", cwd=ROOT)
    first = answer.stderr.splitlines()[0]
    assert first.startswith(f"edgehar: {profile_path(package)}: no profile that can be used: it is damaged")
    assert "RuntimeWarning" not in answer.stderr


def test_a_provider_that_is_not_there_is_named(package: Path) -> None:
    with pytest.raises(ConfigError, match="NoSuchProvider: this onnxruntime"):
        benchmark.main([str(package), "--tune", "--providers", "NoSuchProvider"])


def test_what_tuning_does_not_take_is_refused(package: Path) -> None:
    with pytest.raises(ConfigError, match="leave one of them out"):
        benchmark.main([str(package), "--tune", "--precision", "fp32"])
    with pytest.raises(ConfigError, match="100 or more"):
        benchmark.main([str(package), "--tune", "--runs", "99"])
    with pytest.raises(ConfigError, match="--threads 0"):
        benchmark.main([str(package), "--tune", "--threads", "0"])


def test_a_pipe_in_place_of_a_profile_is_not_waited_for(package: Path) -> None:
    os.mkfifo(profile_path(package))
    assert edgehar.load(package).precision == "int8"
