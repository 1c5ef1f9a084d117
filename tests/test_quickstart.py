"""What a newcomer does: `edgehar quickstart`, then the commands and the example of README in the same folder."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgehar.experiments.pipeline import PipelineOptions, plan
from edgehar.experiments.stage import is_done
from tests.edgehar.experiments.in_process import edgehar
from tests.test_readme import NEEDS_QUICKSTART, README


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `edgehar quickstart` was run, in a process of its own; later commands run in this one."""
    folder = tmp_path_factory.mktemp("newcomer")
    done = subprocess.run(
        [sys.executable, "-m", "edgehar", "quickstart"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def results(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "runs/quickstart/results.json").read_text())


def output_of(words: list[str], folder: Path) -> str:
    done = edgehar(*words, folder=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_quickstart_trains_an_accurate_student(newcomer: Path):
    found = results(newcomer)
    assert len(found["dataset"]["labels"]) == 14
    assert found["evaluation"]["student-int8"]["accuracy"] > 0.6
    assert (newcomer / "runs/quickstart/report.html").stat().st_size > 10_000


@pytest.mark.parametrize("command", NEEDS_QUICKSTART)
def test_command_on_the_quickstart_package_succeeds(command: str, newcomer: Path):
    program, *words = command.split()
    assert program == "edgehar"
    assert output_of(words, newcomer).strip()


def test_python_example_predicts_an_activity(newcomer: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(newcomer)
    random = np.random.default_rng(0)
    names: dict[str, Any] = {"joints": random.normal(size=(60, 20, 3)), "motion": random.normal(size=(100, 6))}
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(example, names)
    assert names["prediction"].label in names["recognizer"].manifest.labels


@pytest.mark.parametrize(
    "model",
    [["runs/quickstart/package", "--data", "simulated"], ["--checkpoint", "runs/quickstart/student"]],
    ids=["package", "checkpoint"],
)
def test_answer_is_explained_as_json_and_as_a_picture(model: list[str], newcomer: Path):
    words = ["explain", *model, "--clip", "wave_s2_t1", "--label", "wave", "--picture", "why.html"]
    document = json.loads(output_of(words, newcomer).splitlines()[-1])
    assert document["label"] == "wave"
    assert len(document["steps"]) == 16
    important = max(document["sensors"]["skeleton"]["groups"], key=lambda group: group["total"])
    assert "right" in important["name"] or "left" in important["name"]
    assert "Why wave?" in (newcomer / "why.html").read_text()
    (newcomer / "why.html").unlink()


def test_run_writes_results_a_report_and_two_packages(newcomer: Path):
    run = newcomer / "runs/quickstart"
    found = results(newcomer)
    assert list(found["evaluation"]) == ["teacher", "student", "student-int8", "pruned", "pruned-int8", "minirocket"]
    for score in found["evaluation"].values():
        assert score["total"] == 4 * 14 * 4
        assert score["correct"] == sum(row[number] for number, row in enumerate(score["confusion"]))
    by_name = {stage["name"]: stage for stage in found["stages"]}
    assert by_name["export-pruned"]["macs"] <= 0.7 * by_name["export"]["macs"]
    assert by_name["pretrain"]["history"][-1]["loss"] < by_name["pretrain"]["history"][0]["loss"]
    for precision, stage in (("fp32", "export"), ("int8", "quantize")):
        graphs = [run / "package" / f"{part}.{precision}.onnx" for part in ("encoder", "head")]
        assert by_name[stage]["bytes"] == sum(path.stat().st_size for path in graphs)
    page = (run / "report.html").read_text()
    assert "draw_circle" in page
    assert "<img" in page
    assert {path.name for path in (run / "package").glob("*.onnx")} == {
        f"{part}.{precision}.onnx" for part in ("encoder", "head") for precision in ("fp32", "int8")
    }


def test_evaluating_the_package_gives_the_score_in_results(newcomer: Path):
    stdout = output_of(["evaluate", "runs/quickstart/package", "--precision", "int8"], newcomer)
    printed = json.loads(stdout.splitlines()[-1])
    score = results(newcomer)["evaluation"]["student-int8"]
    assert {key: printed[key] for key in score} == score


@pytest.mark.parametrize("name", ["manifest.json", "parity.npz", "encoder.int8.onnx"])
def test_damaged_package_is_written_again(name: str, newcomer: Path):
    run = Path("runs/quickstart")
    (quantize,) = (stage for stage in plan(PipelineOptions(str(run)), ()) if stage.name == "quantize")
    assert run / "package" / name in quantize.products
    assert quantize.amends == "export"
    record = newcomer / "runs/quickstart/stages/quantize.json"
    key = json.loads(record.read_text())["key"]
    here = Path.cwd()
    os.chdir(newcomer)
    damaged = newcomer / "runs/quickstart/package" / name
    good = damaged.read_bytes()
    try:
        assert is_done(record, key)
        damaged.write_bytes(good + b"x")
        assert not is_done(record, key)
    finally:
        damaged.write_bytes(good)
        os.chdir(here)
