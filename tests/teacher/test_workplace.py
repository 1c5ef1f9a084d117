"""A stage writes where it was told and takes nothing away that is not an earlier result of the same stage."""

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
from edgehar.teacher.training.loop import ProcessGroup
from edgehar.teacher.training.stage import checkpoint_output

ALONE = ProcessGroup(0, 1, torch.device("cpu"))
WATCH = ModalitySpec("watch", 3, "g", 50.0, 5)
INFO = DatasetInfo("test", (WATCH,), ("a", "b"), WindowSpec("clip", 4, 0.1))


def trained(kind: str, value: float = 1.0) -> Checkpoint:
    scale = Normalisation.identity((WATCH,))
    return Checkpoint(kind, {"dim": 2}, INFO, scale, {}, [], {}, {"weight": torch.full((2,), value)})


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["package/manifest.json", "notes.txt", "moments.safetensors/mine"])
def test_what_someone_put_into_a_checkpoint_is_not_lost(name: str, tmp_path: Path):
    out = tmp_path / "pretrained"
    save_checkpoint(out, trained("pretrained"))
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).write_text("dear")
    before = contents(out)
    with pytest.raises(ConfigError, match=rf"holds {name.partition('/')[0]}, which would be lost"):
        pretrain.main(["--out", str(out), "--preset", "tiny"])
    with pytest.raises(ConfigError, match="which would be lost"):  # put there while the stage was at work
        save_checkpoint(out, trained("pretrained", 2.0))
    assert contents(out) == before


def test_a_checkpoint_of_another_kind_is_not_replaced(tmp_path: Path):
    out = tmp_path / "teacher"
    save_checkpoint(out, trained("teacher"))
    before = contents(out)
    with pytest.raises(ConfigError, match="holds a teacher checkpoint and would get a pretrained one"):
        pretrain.main(["--out", str(out), "--preset", "tiny"])
    with pytest.raises(ConfigError, match="would get a student one"), checkpoint_output(out, ALONE, kind="student"):
        pass
    assert contents(out) == before


@pytest.mark.parametrize("content", ["{}", "[]", '{"kind": "pretrained"}'])
def test_a_file_that_is_only_called_like_a_checkpoint_is_not_replaced(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/checkpoint.json").write_text(content)
    assert guarded(pretrain.main, ["--out", str(tmp_path / "mine"), "--preset", "tiny"]) == 2
    assert "checkpoint.json is of something else; nothing was changed" in capsys.readouterr().err
    assert (tmp_path / "mine/checkpoint.json").read_text() == content


def test_an_earlier_result_is_replaced_and_so_is_a_damaged_one(tmp_path: Path):
    out = tmp_path / "student"
    for value in (1.0, 2.0, 3.0):
        with checkpoint_output(out, ALONE, kind="student"):
            save_checkpoint(out, trained("student", value))
        assert load_checkpoint(out, ("student",)).weights["weight"][0] == value
        (out / "checkpoint.json").write_bytes((out / "checkpoint.json").read_bytes()[: -100 if value == 2 else None])
    assert json.loads((out / "checkpoint.json").read_text())["kind"] == "student"


def test_what_an_earlier_command_saved_of_its_rounds_goes_when_the_output_is_there(tmp_path: Path):
    out = tmp_path / "pruned"
    rounds = [tmp_path / f".pruned.progress{suffix}" for suffix in ("", ".1", ".12")]
    others = [tmp_path / name for name in (".pruned.progress.old", ".pruned2.progress.1", ".xpruned.progress")]
    for file in (*rounds, *others):
        file.write_bytes(b"saved")
    with pytest.raises(KeyboardInterrupt), checkpoint_output(out, ALONE, kind="pruned") as progress:
        raise KeyboardInterrupt
    assert progress == rounds[0]
    assert all(file.exists() for file in rounds)  # to be resumed from
    with checkpoint_output(out, ALONE, kind="pruned"):
        save_checkpoint(out, trained("pruned"))
    assert not any(file.exists() for file in rounds)
    assert all(file.exists() for file in others)


def test_what_a_writer_of_a_round_left_half_written_goes(tmp_path: Path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    half = tmp_path / f"..pruned.progress.2.{gone.pid}.tmp"
    half.write_bytes(b"half")
    with checkpoint_output(tmp_path / "pruned", ALONE, kind="pruned"):
        assert not half.exists()


@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_written_through(there: bool, tmp_path: Path):
    disk, link = tmp_path / "disk" / "student", tmp_path / "runs" / "student"
    link.parent.mkdir()
    link.symlink_to(disk)
    if there:
        save_checkpoint(disk, trained("student"))
    with checkpoint_output(link, ALONE, kind="student") as progress:
        progress.write_bytes(b"saved")
        save_checkpoint(link, trained("student", 5.0))
    assert link.is_symlink()
    assert load_checkpoint(disk, ("student",)).weights["weight"][0] == 5.0
    assert [path.name for path in link.parent.iterdir()] == ["student"]
    assert sorted(path.name for path in disk.parent.iterdir()) == [".student.lock", "student"]


def test_a_link_that_an_earlier_version_left_behind_goes(tmp_path: Path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    save_checkpoint(tmp_path / "student", trained("student"))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f".student.{gone.pid}.old").symlink_to(tmp_path / "elsewhere")
    with checkpoint_output(tmp_path / "student", ALONE, kind="student"):
        assert sorted(path.name for path in tmp_path.iterdir()) == [".student.lock", "elsewhere", "student"]
