"""The comparison of boards: what it reads of a machine, what it computes, and when it says that two sides differ."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgehar.deploy.packaging.quantize import quantize
from edgehar.errors import ConfigError, DataError
from edgehar.package.folder import EdgePackage
from tests.deploy.tiny_package import write_tiny_package
from tools.aarch64 import Options, choose_sides, find_python310, main, pinned, reference_of
from tools.aarch64_compare import Row, compare, table
from tools.aarch64_probe import ANSWERS, Arrays, parity_windows, stream_inputs, write_arrays
from tools.aarch64_probe import main as probe
from tools.aarch64_root import choose_mirror, emulator, python_of, run_tool, show_one_processor
from tools.aarch64_side import Side, StoredLogits, fits_jetpack, newest_symbols, platform_options

REFERENCE = Side("x86_64", "3.11", ("numpy==2.3.5", "onnxruntime==1.31.1"), ("python",))
BOARD = Side("aarch64", "3.11", ("numpy<2", "onnxruntime==1.18.*"), ("emulator", "python"))


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Arrays:
    """What this machine answers for a small package with two precisions."""
    folder = tmp_path_factory.mktemp("board")
    write_tiny_package(folder / "package", kind="sliding", hop=2)
    quantize(folder / "package", ("int8",))
    write_arrays(folder / "inputs.npz", stream_inputs(EdgePackage.open(folder / "package").manifest))
    assert probe([str(folder / name) for name in ("package", "inputs.npz", ".")]) == 0
    with np.load(folder / ANSWERS, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def gave(side: Side, arrays: Arrays, labels: tuple[str, ...] = ("walk", "sit")) -> StoredLogits:
    evaluation = {"predictions": [{"score": 0.9, "predicted": label} for label in labels], "correct": 2, "total": 2}
    return StoredLogits(side, {}, [], arrays, {"fp32": evaluation})


def rows_of(ours: StoredLogits, theirs: StoredLogits) -> dict[tuple[str, str], Row]:
    return {(row.precision, row.what): row for row in compare(ours, theirs)}


def test_a_side_that_answers_the_same_passes_bit_for_bit(answers: Arrays) -> None:
    rows = rows_of(gave(BOARD, answers), gave(REFERENCE, answers))
    assert set(rows) == {(precision, what) for precision in ("fp32", "int8") for what in ("logits", "stream")} | {
        ("fp32", "evaluate")
    }
    assert all(row.passed and row.identical and row.same == 1 for row in rows.values())
    assert "FAILED" not in table(list(rows.values()))


def test_fp32_that_is_off_fails_and_int8_is_judged_by_what_quantisation_moves(answers: Arrays) -> None:
    moved = {name: array + np.float32(0.001) for name, array in answers.items()}
    rows = rows_of(gave(BOARD, moved), gave(REFERENCE, answers))
    assert not rows["fp32", "logits"].passed
    assert rows["int8", "logits"].passed
    assert not rows["int8", "logits"].identical
    far = {name: array + (np.float32(100) if name == "int8/logits" else 0) for name, array in answers.items()}
    assert not rows_of(gave(BOARD, far), gave(REFERENCE, answers))["int8", "logits"].passed


def test_other_answers_other_counts_and_no_numbers_fail(answers: Arrays) -> None:
    reference = gave(REFERENCE, answers)
    assert not rows_of(gave(BOARD, answers, ("walk", "walk")), reference)["fp32", "evaluate"].passed
    assert not rows_of(gave(BOARD, answers, ("walk",)), reference)["fp32", "evaluate"].passed
    fewer = answers | {"int8/stream": answers["int8/stream"][:-1]}
    row = rows_of(gave(BOARD, fewer), reference)["int8", "stream"]
    assert not row.passed
    assert "FAILED" in table([row])
    lost = answers | {"int8/logits": np.full_like(answers["int8/logits"], np.nan)}
    assert not rows_of(gave(BOARD, lost), reference)["int8", "logits"].passed


def test_windows_are_the_packages_own_whatever_their_number(tmp_path: Path) -> None:
    write_tiny_package(tmp_path / "package")
    package = EdgePackage.open(tmp_path / "package")
    windows = parity_windows(package)
    assert len(windows) == 40
    assert {array.shape[:2] for array in windows.features.values()} == {(40, 6)}


def test_a_side_is_compared_with_the_same_wheels_where_they_ran(answers: Arrays) -> None:
    first = gave(REFERENCE, answers)
    same = gave(replace(BOARD, machine="x86_64", python="3.10"), answers)
    assert reference_of(BOARD, [first, same, gave(BOARD, answers)]) is same
    assert reference_of(same.side, [first]) is first
    assert reference_of(BOARD, [first]) is first


@pytest.mark.parametrize(
    ("targets", "mirror"),
    [
        ("bookworm main http://mirror.example/debian/", "http://mirror.example/debian"),
        ("bookworm-security main http://a.example/debian-security/\nbookworm main file:/b/", "file:/b"),
        ("trixie contrib http://a.example/x\ntrixie main https://b.example/debian", "https://b.example/debian"),
        ("noble main http://mirror.example/ubuntu/", None),
        ("", None),
    ],
)
def test_the_mirror_is_the_one_of_apt(targets: str, mirror: str | None) -> None:
    assert choose_mirror(targets) == mirror


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="this machine has no apt")
def test_apt_tells_its_mirrors_whichever_form_its_sources_have(tmp_path: Path) -> None:
    sources = {
        "one.sources": "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\nComponents: main\n",
        "one.list": "deb [arch=amd64] http://mirror.example/debian bookworm main contrib\n",
    }
    for name, text in sources.items():
        folder = tmp_path / name.replace(".", "-")
        folder.mkdir()
        (folder / name).write_text(text)
        places = ("-o", "Dir::Etc::sourcelist=/dev/null", "-o", f"Dir::Etc::sourceparts={folder}")
        shown = ("--no-release-info", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)", "Created-By: Packages")
        assert choose_mirror(run_tool(("apt-get", *places, "indextargets", *shown), "apt")) == (
            "http://mirror.example/debian"
        )


def test_missing_tools_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="sudo apt-get install qemu-user-static"):
        emulator()


def test_what_a_tool_said_last_is_in_the_message() -> None:
    with pytest.raises(DataError, match="the tool ended with 3: no such wheel; correct that"):
        run_tool((sys.executable, "-c", "import sys; print('no such wheel'); sys.exit(3)"), "the tool")


def test_a_root_names_its_python_and_shows_one_processor(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no usr/bin/python3\.N"):
        python_of(tmp_path)
    (tmp_path / "usr/bin").mkdir(parents=True)
    for name in ("python3.9", "python3.10", "python3.10-config"):
        (tmp_path / "usr/bin" / name).touch()
    assert python_of(tmp_path) == (tmp_path / "usr/bin/python3.10", "3.10")
    show_one_processor(tmp_path)
    assert (tmp_path / "proc/cpuinfo").read_text().count("processor") == 1
    (tmp_path / "proc/cpuinfo").write_text("its own")
    show_one_processor(tmp_path)
    assert (tmp_path / "proc/cpuinfo").read_text() == "its own"


def test_wheels_are_asked_for_as_the_board_needs_them() -> None:
    assert pinned("3.10") == ("numpy==2.2.6", "onnxruntime==1.23.2")
    assert len(pinned("3.12")) == 2
    words = platform_options(replace(BOARD, python="3.10"))
    assert {"manylinux_2_35_aarch64", "manylinux2014_aarch64", "cp310"} <= set(words)
    assert "manylinux_2_36_aarch64" not in words


def test_libraries_newer_than_jetpacks_are_noticed(tmp_path: Path) -> None:
    (tmp_path / "a.so").write_bytes(b"\x7fELF\0GLIBC_2.17\0GLIBCXX_3.4.21\0")
    assert fits_jetpack(newest_symbols(tmp_path))
    (tmp_path / "b.so.1").write_bytes(b"\x7fELF\0GLIBC_2.38\0")
    assert newest_symbols(tmp_path) == {"GLIBC": "2.38", "GLIBCXX": "3.4.21"}
    assert not fits_jetpack(newest_symbols(tmp_path))


def test_what_is_missing_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    with pytest.raises(ConfigError, match="make quickstart first or give PACKAGE=DIR"):
        main([str(tmp_path / "none"), "--work", str(tmp_path / "work")])
    with pytest.raises(ConfigError, match=r"expected a Python 3\.10"):
        find_python310(str(tmp_path / "none"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="give PYTHON310=PATH"):
        choose_sides(Options(emulate=False), tmp_path)
