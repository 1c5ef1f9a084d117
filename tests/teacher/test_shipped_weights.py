"""The weights that edgehar comes with: their size, card and people, and fine-tuning from them."""

from pathlib import Path

import pytest

from edgehar.choices import SHIPPED, pretrained_folder
from edgehar.cli import main
from edgehar.data import recordings
from edgehar.teacher.training.checkpoint import load_checkpoint
from tests.edgehar.data.shards.packed import CONTINUOUS, dataset
from tools.shipped_weights import CARD, MOST_BYTES, TERMS, card

FINETUNE = ("finetune", "--preset", "tiny", "--updates", "1", "--pretrained", SHIPPED)


def test_size_card_and_licences():
    folder = pretrained_folder(SHIPPED)
    assert sum(path.stat().st_size for path in folder.iterdir()) <= MOST_BYTES
    checkpoint = load_checkpoint(folder, ("pretrained",))
    assert (folder / CARD).read_text(encoding="utf-8") == card(checkpoint)
    assert [source["data"] for source in checkpoint.data["sources"]] == list(TERMS)
    assert {source["split"] for source in checkpoint.data["sources"]} == {"all"}
    assert sum(tensor.numel() for tensor in checkpoint.weights.values()) >= checkpoint.facts["parameters"]


def test_fine_tuning_on_other_sensors_and_people(tmp_path: Path):
    recordings.write(dataset(CONTINUOUS, gaps=False), tmp_path / "mine")
    words = [*FINETUNE, "--data", str(tmp_path / "mine"), "--split", "odd-even", "--out", str(tmp_path / "teacher")]
    assert main(words) == 0
    teacher = load_checkpoint(tmp_path / "teacher", ("teacher",))
    assert teacher.network == load_checkpoint(pretrained_folder(SHIPPED), ("pretrained",)).network
    assert teacher.data["frame_rate"] == 50


@pytest.mark.parametrize("name", ["simulated", "shoulder-exercises"])
def test_its_people_are_not_tested(name: str, data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["--data", name, "--split", "loso:s1"] if name == "simulated" else ["--data", str(data_root / name)]
    assert main([*FINETUNE, *words, "--out", str(tmp_path / "teacher")]) == 2
    assert f"of {name}, which pretraining has seen" in capsys.readouterr().err
