"""`edgehar data`: text, JSON and exit codes."""

import json
from pathlib import Path

import numpy as np
import pytest

from edgehar.cli import main
from edgehar.data import recordings
from edgehar.signals.clip import Clip, Dataset, DatasetInfo, Segment
from edgehar.signals.modality import ModalitySpec, WindowSpec

SLIDING = WindowSpec("sliding", 4, 0.1)


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    code = main(["data", *argv])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    specs = (ModalitySpec("watch", 3, "g", 10, 1), ModalitySpec("strap", 2, "V", 5, 1, group=1))
    info = DatasetInfo("mine", specs, ("walk", "rest"), WindowSpec("sliding", 4, 0.1), "me, 2026", "CC0")
    times_s = np.arange(20) / 10
    valid = np.arange(20) >= 5
    clips = (
        Clip("r1", "s2", "1", {"watch": np.ones((20, 3), np.float32)}, {"watch": valid}, None, {"watch": times_s},
             (Segment(0.0, 1.5, 0), Segment(1.5, 1.9, 1))),
        Clip("r2", "s10", "1", {"strap": np.ones((20, 2), np.float32)}, {"strap": ~valid | valid}, None,
             {"strap": times_s}),
    )  # fmt: skip
    recordings.write(Dataset(info, clips), tmp_path / "mine")
    return tmp_path / "mine"


def test_check_reports_every_problem(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    code, out, err = run(capsys, "check", str(folder))
    assert (code, err) == (0, "")
    assert "2 recordings (continuous) of 2 subjects; watch, strap; 2 labels" in out
    (folder / "index.csv").write_text("recording,subject,trial,label\nr1,,1,\nr2,s10,1,jump\n")
    code, out, err = run(capsys, "check", str(folder))
    assert code == 2
    assert out.startswith(f"{folder}/index.csv:2: recording 'r1'")
    assert f"\n{folder}/index.csv:3: label 'jump'" in out
    assert err.startswith(f"edgehar: {folder}: 2 problems")


def test_info_text(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    code, out, _ = run(capsys, "info", str(folder))
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "mine: 2 recordings of 2 subjects, 2 labels, 1 unlabelled"
    assert lines[1] == "window: sliding, 4 steps of 0.1 s, hop 1"
    assert lines[2].startswith("duration: 1.90 to 1.90 s, median 1.90 s, 0.1 min")
    watch = next(line for line in lines if line.startswith("  watch  "))
    assert watch.split() == ["watch", "3", "g", "10", "10", "1", "1", "20", "25.00%", "47.37%"]
    # Of 2 x 19 steps, half have no watch; all but the first of the marked ones are near a valid sample.
    assert "  watch: steps that training cannot use: absent 50.00%, marked invalid 2.63%" in lines
    assert "  walk            1      1.5  78.9%       1" in lines
    assert lines.index("  s2                1") < lines.index("  s10               1")
    assert lines[-2:] == ["licence: CC0", "cite: me, 2026"]


def test_info_says_what_a_gyroscope_looks_like_and_which_joints_are_lost(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    body = ModalitySpec("body", 6, "m", 20, 2, joints=("hip", "hand"), parents=(0, 0))
    info = DatasetInfo("mine", (ModalitySpec("gyroscope", 3, "rad/s", 20, 2), body), ("walk",), SLIDING)
    clips: list[Clip] = []
    for person in ("ann", "bob", "cat"):
        signals = {
            "gyroscope": rng.normal(0, 80, (100, 3)).astype(np.float32),
            "body": rng.normal(size=(100, 6)).astype(np.float32),
        }
        signals["body"][:20, 3:] = np.nan
        times_s = dict.fromkeys(signals, np.arange(100) / 20)
        clips.append(Clip(person, person, "1", signals, dict.fromkeys(signals, np.ones(100, bool)), 0, times_s))
    recordings.write(Dataset(info, tuple(clips)), tmp_path / "mine")
    code, out, _ = run(capsys, "info", str(tmp_path / "mine"))
    assert code == 0
    assert "  gyroscope: channels 1 to 3: looks like deg/s (the fastest movements turn at 2" in out
    assert "  body: samples without a joint: hand 20.0%" in out.splitlines()
    _, out, _ = run(capsys, "info", str(tmp_path / "mine"), "--json")
    assert json.loads(out)["sensors"][1]["lost_joints"] == {"hand": pytest.approx(0.2)}


def test_info_json(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    code, out, _ = run(capsys, "info", str(folder), "--json")
    facts = json.loads(out)
    assert code == 0
    assert facts["subjects"] == {"s2": 1, "s10": 1}
    assert facts["sensors"][0]["invalid_share"] == 0.25
    assert facts["labels"] == {
        "walk": {"recordings": 1, "seconds": 1.5, "people": 1},
        "rest": {"recordings": 1, "seconds": pytest.approx(0.4), "people": 1},
    }


def test_convert_some_subjects_to_csv_and_back(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    out_folder = tmp_path / "csv"
    code, out, _ = run(capsys, "convert", str(folder), "--out", str(out_folder), "--subjects", "s2", "--csv")
    assert (code, out) == (0, f"{out_folder}: 1 recordings of 1 subjects written\n")
    lines = (out_folder / "watch" / "r1.csv").read_text().splitlines()
    assert lines[:2] == ["time_s,sensor0_x,sensor0_y,sensor0_z,valid", "0.0,1,1,1,0"]
    assert recordings.load(out_folder).clips[0].segments == recordings.load(folder).clips[0].segments
    code, _, err = run(capsys, "convert", str(folder), "--out", str(out_folder))
    assert code == 2
    assert str(out_folder) in err
    code, _, err = run(capsys, "convert", str(folder), "--out", str(tmp_path / "x"), "--subjects", "s3")
    assert code == 2
    assert "--subjects s3" in err
    assert "s2, s10" in err


@pytest.mark.parametrize("name", ["utd-mhad", "sp-sw-har"])
def test_public_data_sets_can_be_converted_and_checked(
    capsys: pytest.CaptureFixture[str], data_root: Path, tmp_path: Path, name: str
) -> None:
    subject = {"utd-mhad": "s4", "sp-sw-har": "s04"}[name]
    argv = ["convert", name, "--root", str(data_root), "--out", str(tmp_path / "own"), "--subjects", subject]
    assert run(capsys, *argv)[0] == 0
    code, out, _ = run(capsys, "check", str(tmp_path / "own"))
    assert code == 0
    assert "recordings" in out


@pytest.mark.parametrize(
    ("argv", "found"),
    [
        (["paint"], "'paint'; expected check, info, "),
        (["check", "/nonexistent"], "/nonexistent: 1 problem"),
        (["info", "/nonexistent"], "'/nonexistent'"),
        (["fetch", "mnist", "--out", "x"], "utd-mhad, sp-sw-har"),
    ],
)
def test_errors_are_one_line(capsys: pytest.CaptureFixture[str], argv: list[str], found: str) -> None:
    code, _, err = run(capsys, *argv)
    assert code == 2
    assert found in err
    assert err.count("\n") == 1


def test_each_action_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys)
    assert code == 0
    for action in ("check", "info", "convert", "fetch"):
        assert f"\n  {action}" in out
        with pytest.raises(SystemExit) as stop:
            main(["data", action, "--help"])
        assert stop.value.code == 0


def test_info_writes_a_picture_of_each_recording(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="pictures need the report extra")
    pictures = tmp_path / "pictures"
    code, out, _ = run(capsys, "info", str(folder), "--plot", str(pictures))
    assert (code, out.splitlines()[-1]) == (0, f"{pictures}: 2 pictures written")
    assert sorted(path.name for path in pictures.iterdir()) == ["r1.png", "r2.png"]
    assert (pictures / "r1.png").read_bytes().startswith(b"\x89PNG")
    code, _, err = run(capsys, "info", str(folder), "--plot", str(pictures))
    assert code == 2
    assert "not empty" in err
