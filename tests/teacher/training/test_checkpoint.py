"""A checkpoint replaces an earlier checkpoint of its kind only; other files are safe."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from edgehar.entry import guarded
from edgehar.errors import ConfigError
from edgehar.signals.clip import DatasetInfo
from edgehar.signals.modality import ModalitySpec, WindowSpec
from edgehar.signals.preprocess import Normalisation
from edgehar.teacher import pretrain
from edgehar.teacher.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edgehar.teacher.training.processes import ProcessGroup
from edgehar.teacher.training.stage import checkpoint_output

SINGLE = ProcessGroup(0, 1, torch.device("cpu"))
WATCH = ModalitySpec("watch", 3, "g", 50.0, 5)
INFO = DatasetInfo("test", (WATCH,), ("a", "b"), WindowSpec("clip", 4, 0.1))


def trained(kind: str, value: float = 1.0) -> Checkpoint:
    scale = Normalisation.identity((WATCH,))
    return Checkpoint(kind, {"dim": 2, "convolutions": 2}, INFO, scale, {}, [], {}, {"weight": torch.full((2,), value)})


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["package/manifest.json", "notes.txt", "moments.safetensors/mine"])
def test_checkpoint_that_holds_other_files_is_not_replaced(name: str, tmp_path: Path):
    out = tmp_path / "pretrained"
    save_checkpoint(out, trained("pretrained"))
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).write_text("notes")
    before = contents(out)
    with pytest.raises(ConfigError, match=rf"--out .* {name.partition('/')[0]},"):
        pretrain.main(["--out", str(out), "--preset", "tiny"])
    with pytest.raises(ConfigError, match=rf"--out .* {name.partition('/')[0]},"):  # added during training
        save_checkpoint(out, trained("pretrained", 2.0))
    assert contents(out) == before


def test_checkpoint_of_another_kind_is_not_replaced(tmp_path: Path):
    out = tmp_path / "teacher"
    save_checkpoint(out, trained("teacher"))
    before = contents(out)
    with pytest.raises(ConfigError, match=r"--out .* teacher checkpoint.* pretrained"):
        pretrain.main(["--out", str(out), "--preset", "tiny"])
    with (
        pytest.raises(ConfigError, match=r"--out .* teacher checkpoint.* student"),
        checkpoint_output(out, SINGLE, kind="student"),
    ):
        pass
    assert contents(out) == before


@pytest.mark.parametrize("content", ["{}", "[]", '{"kind": "pretrained"}'])
def test_checkpoint_json_of_another_format_is_not_replaced(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/checkpoint.json").write_text(content)
    assert guarded(pretrain.main, ["--out", str(tmp_path / "mine"), "--preset", "tiny"]) == 2
    error = capsys.readouterr().err
    assert f"--out {tmp_path / 'mine'}" in error
    assert "checkpoint.json" in error
    assert (tmp_path / "mine/checkpoint.json").read_text() == content


def test_earlier_checkpoint_is_replaced_even_if_damaged(tmp_path: Path):
    out = tmp_path / "student"
    for value in (1.0, 2.0, 3.0):
        with checkpoint_output(out, SINGLE, kind="student"):
            save_checkpoint(out, trained("student", value))
        assert load_checkpoint(out, ("student",)).weights["weight"][0] == value
        (out / "checkpoint.json").write_bytes((out / "checkpoint.json").read_bytes()[: -100 if value == 2 else None])
    assert json.loads((out / "checkpoint.json").read_text())["kind"] == "student"


def test_progress_of_all_rounds_is_deleted_on_success_only(tmp_path: Path):
    out = tmp_path / "pruned"
    rounds = [tmp_path / f".pruned.progress{suffix}" for suffix in ("", ".1", ".12")]
    others = [tmp_path / name for name in (".pruned.progress.old", ".pruned2.progress.1", ".xpruned.progress")]
    for file in (*rounds, *others):
        file.write_bytes(b"saved")
    with pytest.raises(KeyboardInterrupt), checkpoint_output(out, SINGLE, kind="pruned") as progress:
        raise KeyboardInterrupt
    assert progress == rounds[0]
    assert all(file.exists() for file in rounds)  # resuming needs them
    with checkpoint_output(out, SINGLE, kind="pruned"):
        save_checkpoint(out, trained("pruned"))
    assert not any(file.exists() for file in rounds)
    assert all(file.exists() for file in others)


def test_partial_progress_of_a_dead_process_is_deleted(tmp_path: Path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    partial = tmp_path / f"..pruned.progress.2.{ended.pid}.tmp"
    partial.write_bytes(b"partial")
    with checkpoint_output(tmp_path / "pruned", SINGLE, kind="pruned"):
        assert not partial.exists()


@pytest.mark.parametrize("exists", [True, False])
def test_symbolic_link_is_written_through(exists: bool, tmp_path: Path):
    disk, link = tmp_path / "disk" / "student", tmp_path / "runs" / "student"
    link.parent.mkdir()
    link.symlink_to(disk)
    if exists:
        save_checkpoint(disk, trained("student"))
    with checkpoint_output(link, SINGLE, kind="student") as progress:
        progress.write_bytes(b"saved")
        save_checkpoint(link, trained("student", 5.0))
    assert link.is_symlink()
    assert load_checkpoint(disk, ("student",)).weights["weight"][0] == 5.0
    assert [path.name for path in link.parent.iterdir()] == ["student"]
    assert sorted(path.name for path in disk.parent.iterdir()) == [".student.lock", "student"]


def test_old_link_of_a_dead_process_is_deleted(tmp_path: Path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    save_checkpoint(tmp_path / "student", trained("student"))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f".student.{ended.pid}.old").symlink_to(tmp_path / "elsewhere")
    with checkpoint_output(tmp_path / "student", SINGLE, kind="student"):
        assert sorted(path.name for path in tmp_path.iterdir()) == [".student.lock", "elsewhere", "student"]
