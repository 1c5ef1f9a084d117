"""Tests of `edgehar bench --tune`."""

import json
import shutil
from pathlib import Path

import pytest

import edgehar
from edgehar.deploy.bench import benchmark
from edgehar.deploy.bench.tuning import tune, tuning_table
from edgehar.deploy.runtime.providers import CPU
from edgehar.deploy.runtime.tuned_profile import machine, profile_path
from edgehar.errors import ConfigError
from edgehar.files.atomic import write_json
from edgehar.package.folder import EdgePackage, amend_package
from tests.deploy.tiny_package import INERTIAL, write_tiny_package


@pytest.fixture
def package(tmp_path: Path, int8_package: Path) -> Path:
    return Path(shutil.copytree(int8_package, tmp_path / "my package"))


def test_fastest_settings_are_stored_and_used(package: Path) -> None:
    document = tune(EdgePackage.open(package), 2, runs=5, providers=(CPU,), warm_up=1)
    write_json(profile_path(package), document)
    rows = document["candidates"]
    assert [(row["precision"], row["threads"]) for row in rows] == [
        (precision, threads) for precision in ("fp32", "int8", "int8-dynamic", "fp16") for threads in (1, 2)
    ]
    chosen = document["chosen"]
    fastest = min(row["hop_median_ms"] for row in rows if row["same_answer_as_fp32"] >= 0.95)
    assert any(row.items() >= chosen.items() and row["hop_median_ms"] == fastest for row in rows)
    assert edgehar.load(package).precision == chosen["precision"]
    assert edgehar.load(package, "fp32").precision == "fp32"


def test_command_stores_and_prints_the_profile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = tmp_path / "package"
    write_tiny_package(package, specs=(INERTIAL,), steps=2)
    assert benchmark.main([str(package), "--tune", "--runs", "100", "--providers", CPU]) == 0
    *shown, last = capsys.readouterr().out.splitlines()
    document = json.loads(last)
    assert document == json.loads(profile_path(package).read_text())
    assert [*tuning_table(document).splitlines(), f"profile: {profile_path(package)}"] == shown
    assert "chosen for this machine: fp32, 1 thread(s), CPUExecutionProvider" in shown


def test_providers_that_compute_nothing_are_listed(package: Path) -> None:
    # onnxruntime's wheels on PyPI have this provider; it computes none of the operators.
    idle = "AzureExecutionProvider"
    if idle not in machine()["providers"]:
        pytest.skip(f"this onnxruntime has no {idle}")
    document = tune(EdgePackage.open(package), 1, runs=3, providers=(idle, CPU), warm_up=0)
    assert {tuple(row["providers"]) for row in document["candidates"]} == {(CPU,)}
    assert document["not_started"] == [idle]
    assert f"{idle} did not start" in tuning_table(document).splitlines()
    assert document["chosen"]["providers"] == [CPU]


def test_precision_with_low_agreement_is_not_chosen(package: Path) -> None:
    opened = EdgePackage.open(package)
    # "int8" graphs of another network: a package with other weights.
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


def test_unknown_provider_is_rejected(package: Path) -> None:
    with pytest.raises(ConfigError, match="provider NoSuchProvider"):
        benchmark.main([str(package), "--tune", "--providers", "NoSuchProvider"])


def test_invalid_options_of_tune_are_rejected(package: Path) -> None:
    with pytest.raises(ConfigError, match="--tune with --precision"):
        benchmark.main([str(package), "--tune", "--precision", "fp32"])
    with pytest.raises(ConfigError, match=r"--runs 99: .*100"):
        benchmark.main([str(package), "--tune", "--runs", "99"])
    with pytest.raises(ConfigError, match="--threads 0"):
        benchmark.main([str(package), "--tune", "--threads", "0"])
