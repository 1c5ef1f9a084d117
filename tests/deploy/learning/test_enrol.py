"""`edgehar enrol`: an activity from recordings in files, used by every way to recognise, undone by deleting a file."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import edgehar
from edgehar import cli
from edgehar.deploy.learning import enrol
from edgehar.errors import ConfigError, DataError, PackageError
from edgehar.package.folder import EdgePackage
from edgehar.package.personal import read_personal
from tests.deploy.learning.recorded import recording, words_of
from tests.deploy.packages import digest_of_folder
from tests.deploy.streams import sample_by_sample, steady
from tests.deploy.tiny_package import LABELS


@pytest.fixture
def package(clip_package: Path) -> Path:
    return clip_package


@pytest.fixture
def personal(tmp_path: Path, package: Path) -> Path:
    """A file with the activity "juggle" from two recordings."""
    words = [words_of(tmp_path, recording(seed), str(seed)) for seed in (0, 1)]
    out = tmp_path / "anna.json"
    assert enrol.main([str(package), "--label", "juggle", "--input", *words, "--out", str(out)]) == 0
    return out


def test_enrolled_activity_is_recognised_in_another_recording(package: Path, personal: Path) -> None:
    another = recording(2)
    assert edgehar.load(package).predict(another.signals, another.times_s).label in LABELS
    recognizer = edgehar.load(package, personal=personal)
    assert recognizer.manifest.labels == (*LABELS, "juggle")
    found = recognizer.predict(another.signals, another.times_s)
    assert found.label == "juggle"
    assert found.probabilities.shape == (len(LABELS) + 1,)
    assert found.probabilities.sum() == pytest.approx(1)


def test_package_is_unchanged_and_deleting_the_file_undoes_it(tmp_path: Path, package: Path) -> None:
    copy = Path(shutil.copytree(package, tmp_path / "package"))
    before = digest_of_folder(copy)
    out = tmp_path / "anna.json"
    words = words_of(tmp_path, recording(0))
    enrol.main([str(copy), "--label", "juggle", "--input", words, "--out", str(out)])
    assert digest_of_folder(copy) == before
    out.unlink()
    with pytest.raises(PackageError, match="no such file"):
        edgehar.load(copy, personal=out)
    with pytest.raises(PackageError, match="expected the path"):
        edgehar.load(copy, personal=3)  # pyright: ignore[reportArgumentType]


def test_known_logits_are_those_of_the_package(package: Path, personal: Path) -> None:
    plain, learnt = edgehar.load(package), edgehar.load(package, personal=personal)
    tokens = EdgePackage.open(package).arrays("parity.npz")["tokens"]
    np.testing.assert_allclose(learnt.classify(tokens)[:, : len(LABELS)], plain.classify(tokens), atol=1e-4)


def test_second_activity_extends_the_file(tmp_path: Path, package: Path, personal: Path) -> None:
    words = words_of(tmp_path, recording(30), "other")
    enrol.main([str(package), "--label", "kneel", "--input", words, "--out", str(personal)])
    recognizer = edgehar.load(package, personal=personal)
    assert recognizer.manifest.labels == (*LABELS, "juggle", "kneel")
    assert recognizer.predict(recording(31).signals).label == "kneel"
    assert recognizer.predict(recording(3).signals).label == "juggle"


def test_run_names_the_activity(
    tmp_path: Path, package: Path, personal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = words_of(tmp_path, recording(4), "four")
    capsys.readouterr()
    assert cli.main(["run", str(package), "--personal", str(personal), "--input", words]) == 0
    assert json.loads(capsys.readouterr().out)["label"] == "juggle"


def test_stream_equals_the_whole_recording(tmp_path: Path, sliding_package: Path) -> None:
    out = tmp_path / "anna.json"
    words = words_of(tmp_path, recording(0))
    enrol.main([str(sliding_package), "--label", "juggle", "--input", words, "--out", str(out)])
    recognizer = edgehar.load(sliding_package, personal=out)
    recorded = steady(2.0, 5)
    stream = edgehar.StreamRecognizer(recognizer)
    found = [one for push in sample_by_sample(recorded) for one in stream.push(*push)] + stream.flush()
    expected = recognizer.predict_windows(recorded.signals, recorded.times_s)
    np.testing.assert_allclose([one.probabilities for one in found], [one.probabilities for one in expected], atol=1e-5)
    assert found[0].probabilities.shape == (len(LABELS) + 1,)
    fleet = edgehar.Fleet(recognizer)
    for push in sample_by_sample(recorded):
        fleet.push("anna", *push)
    together = [one for person, one in [*fleet.poll(), *fleet.flush()] if person == "anna"]
    assert [one.label for one in together] == [one.label for one in found]
    np.testing.assert_array_equal(together[-1].probabilities, found[-1].probabilities)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_every_precision_learns_and_reads_the_file_of_another(
    tmp_path: Path, int8_package: Path, precision: str
) -> None:
    out, known = tmp_path / "anna.json", recording(0)
    words = words_of(tmp_path, known)
    enrol.main([str(int8_package), "--label", "juggle", "--input", words, "--out", str(out), "--precision", precision])
    assert edgehar.load(int8_package, precision, personal=out).predict(known.signals).label == "juggle"
    for other in ("fp32", "int8"):
        found = edgehar.load(int8_package, other, personal=out).predict(known.signals)
        assert found.probabilities.shape == (len(LABELS) + 1,)
        assert np.isfinite(found.probabilities).all()


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("wave", "an activity of the package; expected a new name; use edgehar correct"),
        ("juggle", "an activity of the personal file"),
        (" kneel", "blanks around it"),
        ("unknown", "the name 'unknown'; expected another"),
        (" ", "expected one that is not blank"),
        ("a\x1b[2J", "no control characters"),
    ],
)
def test_unusable_label_is_named(tmp_path: Path, package: Path, personal: Path, label: str, message: str) -> None:
    before = personal.read_bytes()
    words = words_of(tmp_path, recording(9), "nine")
    with pytest.raises(ConfigError, match=message):
        enrol.main([str(package), "--label", label, "--input", words, "--out", str(personal)])
    assert personal.read_bytes() == before


def test_recording_twice_is_named(tmp_path: Path, package: Path, personal: Path) -> None:
    words = words_of(tmp_path, recording(8), "a"), words_of(tmp_path, recording(8), "b")
    with pytest.raises(DataError, match=r"the same samples as .*a-skeleton.*expected each recording once"):
        enrol.main([str(package), "--label", "kneel", "--input", *words, "--out", str(tmp_path / "b.json")])
    assert not (tmp_path / "b.json").exists()
    again = words_of(tmp_path, recording(0), "again")
    with pytest.raises(DataError, match="the same samples as the personal file"):
        enrol.main([str(package), "--label", "kneel", "--input", again, "--out", str(personal)])


def test_recording_without_a_sensor_is_named(tmp_path: Path, package: Path) -> None:
    words = words_of(tmp_path, recording(0)).split(",")[0]
    with pytest.raises(DataError, match="inertial usable in less than 50% of the steps; expected all sensors"):
        enrol.main([str(package), "--label", "kneel", "--input", words, "--out", str(tmp_path / "b.json")])


def test_recording_that_is_too_short_is_named(tmp_path: Path, package: Path, sliding_package: Path) -> None:
    short = recording(0)
    short.signals["skeleton"] = short.signals["skeleton"][:4]
    words, out = words_of(tmp_path, short), str(tmp_path / "b.json")
    with pytest.raises(DataError, match="4 samples of skeleton; expected 6 or more"):
        enrol.main([str(package), "--label", "kneel", "--input", words, "--out", out])
    words = words_of(tmp_path, recording(0, 0.2))
    with pytest.raises(DataError, match="shorter than a window"):
        enrol.main([str(sliding_package), "--label", "kneel", "--input", words, "--out", out])


def test_values_that_are_no_numbers_are_named(tmp_path: Path, package: Path) -> None:
    lost = recording(0)
    lost.signals["inertial"][20:] = np.nan
    words = words_of(tmp_path, lost)
    with pytest.raises(DataError, match="sample 20: channel 1 is empty or not a number"):
        enrol.main([str(package), "--label", "kneel", "--input", words, "--out", str(tmp_path / "b.json")])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--input and --data: found neither"),
        (["--input", "x=1", "--data", "simulated", "--clip", "a"], "--input and --data: found both"),
        (["--data", "simulated"], "--data with either --clip or --person"),
        (["--input", "x=1", "--root", "r"], "--root with --input"),
        (["--input", "nothing"], "expected MODALITY=FILE"),
        (["--data", "simulated", "--person", "nobody"], "--person nobody: no recording|channels|rate"),
    ],
)
def test_unusable_sources_are_named(tmp_path: Path, package: Path, arguments: list[str], message: str) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        enrol.main([str(package), "--label", "kneel", *arguments, "--out", str(tmp_path / "b.json")])


def test_file_inside_the_package_or_of_another_kind_is_named(tmp_path: Path, package: Path) -> None:
    words = words_of(tmp_path, recording(0))
    with pytest.raises(ConfigError, match="inside the package"):
        enrol.main([str(package), "--label", "kneel", "--input", words, "--out", str(package / "a.json")])
    (tmp_path / "notes.json").write_text("{}")
    with pytest.raises(PackageError, match="not a personal file"):
        enrol.main([str(package), "--label", "kneel", "--input", words, "--out", str(tmp_path / "notes.json")])
    assert (tmp_path / "notes.json").read_text() == "{}"


def test_file_holds_features_and_no_samples(package: Path, personal: Path) -> None:
    learnt = read_personal(personal, EdgePackage.open(package).manifest)
    assert [one.features.shape for one in learnt.examples] == [(16,), (16,)]
    assert personal.stat().st_size < 2000
