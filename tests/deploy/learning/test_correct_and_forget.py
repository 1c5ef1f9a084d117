"""`edgehar correct` moves an activity towards recordings; `edgehar forget` undoes."""

from pathlib import Path

import pytest

import edgehar
from edgehar.deploy.learning import correct, enrol, forget
from edgehar.errors import ConfigError, DataError, PackageError
from tests.deploy.learning.recorded import recording, words_of
from tests.deploy.tiny_package import LABELS


def words(folder: Path, *seeds: int) -> list[str]:
    return [words_of(folder, recording(seed), str(seed)) for seed in seeds]


def wrong_label(package: Path) -> str:
    """An activity that the recordings are not recognised as."""
    found = edgehar.load(package).predict(recording(9).signals).label
    return next(label for label in LABELS if label != found)


def test_corrected_recordings_of_that_kind_get_the_label(
    tmp_path: Path, clip_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    label, out = wrong_label(clip_package), tmp_path / "anna.json"
    arguments = [str(clip_package), "--label", label, "--input", *words(tmp_path, *range(9)), "--out", str(out)]
    assert correct.main(arguments) == 0
    assert f"before, {label} now" in capsys.readouterr().out
    recognizer = edgehar.load(clip_package, personal=out)
    assert recognizer.manifest.labels == LABELS
    assert recognizer.predict(recording(9).signals).label == label


def test_one_correction_moves_an_activity_less_than_many(tmp_path: Path, clip_package: Path) -> None:
    label = wrong_label(clip_package)
    index, scores = LABELS.index(label), list[float]()
    for count in (0, 1, 5):
        out = tmp_path / f"{count}.json"
        if count:
            arguments = ["--label", label, "--input", *words(tmp_path, *range(count)), "--out", str(out)]
            correct.main([str(clip_package), *arguments])
        recognizer = edgehar.load(clip_package, personal=out if count else None)
        scores.append(float(recognizer.predict(recording(9).signals).probabilities[index]))
    assert scores == sorted(scores)


def test_unknown_label_is_named(tmp_path: Path, clip_package: Path) -> None:
    arguments = ["--label", "juggle", "--input", *words(tmp_path, 0), "--out", str(tmp_path / "a.json")]
    with pytest.raises(ConfigError, match=r"--label juggle: expected one of wave, clap.*use edgehar enrol"):
        correct.main([str(clip_package), *arguments])


def test_same_recording_twice_is_named(tmp_path: Path, clip_package: Path) -> None:
    arguments = ["--label", "wave", "--input", *words(tmp_path, 0), "--out", str(tmp_path / "a.json")]
    correct.main([str(clip_package), *arguments])
    with pytest.raises(DataError, match="the same samples as the personal file"):
        correct.main([str(clip_package), *arguments])


@pytest.fixture
def learnt(tmp_path: Path, clip_package: Path) -> Path:
    """A file with an enrolled and a corrected activity."""
    out = tmp_path / "anna.json"
    enrol.main([str(clip_package), "--label", "juggle", "--input", *words(tmp_path, 0), "--out", str(out)])
    correct.main([str(clip_package), "--label", "wave", "--input", *words(tmp_path, 10), "--out", str(out)])
    return out


def test_one_activity_is_forgotten(clip_package: Path, learnt: Path) -> None:
    assert forget.main([str(learnt), "--package", str(clip_package), "--label", "juggle"]) == 0
    assert edgehar.load(clip_package, personal=learnt).manifest.labels == LABELS
    forget.main([str(learnt), "--package", str(clip_package), "--label", "wave"])
    assert not learnt.exists()


def test_everything_is_forgotten(clip_package: Path, learnt: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert forget.main([str(learnt), "--package", str(clip_package)]) == 0
    assert not learnt.exists()
    assert "2 recordings forgotten; the file was deleted" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--label", "sit"], "--label sit: expected one of juggle, wave"), (["--adaptation"], "holds none")],
)
def test_what_is_not_there_is_named(clip_package: Path, learnt: Path, arguments: list[str], message: str) -> None:
    before = learnt.read_bytes()
    with pytest.raises(ConfigError, match=message):
        forget.main([str(learnt), "--package", str(clip_package), *arguments])
    assert learnt.read_bytes() == before


def test_other_files_are_never_deleted(tmp_path: Path, clip_package: Path) -> None:
    (tmp_path / "notes.json").write_text("{}")
    with pytest.raises(PackageError, match="not a personal file"):
        forget.main([str(tmp_path / "notes.json"), "--package", str(clip_package)])
    assert (tmp_path / "notes.json").exists()


def test_forgetting_through_a_link_deletes_what_was_learnt(tmp_path: Path, clip_package: Path) -> None:
    out, link = tmp_path / "anna.json", tmp_path / "link.json"
    link.symlink_to(out)
    arguments = ["--label", wrong_label(clip_package), "--input", *words(tmp_path, 0)]
    correct.main([str(clip_package), *arguments, "--out", str(link)])
    assert out.is_file()
    assert link.is_symlink()
    forget.main([str(link), "--package", str(clip_package)])
    assert not out.exists()
