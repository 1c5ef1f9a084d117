"""Comparison of platforms: discovery of tools, computed outputs, and differences above a limit."""

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
from tools.aarch64.compare import CompareConfig, choose_platforms, find_python310, main, pinned, reference_of
from tools.aarch64.emulator import choose_mirror, emulator, python_of, run_tool, show_one_processor
from tools.aarch64.platforms import Platform, PlatformOutput, fits_jetpack, newest_symbols, platform_options
from tools.aarch64.probe import OUTPUTS, Arrays, parity_windows, stream_inputs, write_arrays
from tools.aarch64.probe import main as probe
from tools.aarch64.tolerance import Row, compare, table

REFERENCE = Platform("x86_64", "3.11", ("numpy==2.3.5", "onnxruntime==1.31.1"), ("python",))
BOARD = Platform("aarch64", "3.11", ("numpy<2", "onnxruntime==1.18.*"), ("emulator", "python"))


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Arrays:
    """Outputs of this machine for a small package with two precisions."""
    folder = tmp_path_factory.mktemp("board")
    write_tiny_package(folder / "package", kind="sliding", hop=2)
    quantize(folder / "package", ("int8",))
    write_arrays(folder / "inputs.npz", stream_inputs(EdgePackage.open(folder / "package").manifest))
    assert probe([str(folder / name) for name in ("package", "inputs.npz", ".")]) == 0
    with np.load(folder / OUTPUTS, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def output_of(platform: Platform, arrays: Arrays, labels: tuple[str, ...] = ("walk", "sit")) -> PlatformOutput:
    evaluation = {"predictions": [{"score": 0.9, "predicted": label} for label in labels], "correct": 2, "total": 2}
    return PlatformOutput(platform, {}, [], arrays, {"fp32": evaluation})


def rows_of(ours: PlatformOutput, theirs: PlatformOutput) -> dict[tuple[str, str], Row]:
    return {(row.precision, row.what): row for row in compare(ours, theirs)}


def test_equal_outputs_pass_bit_for_bit(outputs: Arrays) -> None:
    rows = rows_of(output_of(BOARD, outputs), output_of(REFERENCE, outputs))
    assert set(rows) == {(precision, what) for precision in ("fp32", "int8") for what in ("logits", "stream")} | {
        ("fp32", "evaluate")
    }
    assert all(row.passed and row.identical and row.same == 1 for row in rows.values())
    assert "FAILED" not in table(list(rows.values()))


def test_limit_of_int8_is_its_own_quantisation_error(outputs: Arrays) -> None:
    moved = {name: array + np.float32(0.001) for name, array in outputs.items()}
    rows = rows_of(output_of(BOARD, moved), output_of(REFERENCE, outputs))
    assert not rows["fp32", "logits"].passed
    assert rows["int8", "logits"].passed
    assert not rows["int8", "logits"].identical
    far = {name: array + (np.float32(100) if name == "int8/logits" else 0) for name, array in outputs.items()}
    assert not rows_of(output_of(BOARD, far), output_of(REFERENCE, outputs))["int8", "logits"].passed


def test_other_predictions_counts_and_nan_fail(outputs: Arrays) -> None:
    reference = output_of(REFERENCE, outputs)
    assert not rows_of(output_of(BOARD, outputs, ("walk", "walk")), reference)["fp32", "evaluate"].passed
    assert not rows_of(output_of(BOARD, outputs, ("walk",)), reference)["fp32", "evaluate"].passed
    fewer = outputs | {"int8/stream": outputs["int8/stream"][:-1]}
    row = rows_of(output_of(BOARD, fewer), reference)["int8", "stream"]
    assert not row.passed
    assert "FAILED" in table([row])
    lost = outputs | {"int8/logits": np.full_like(outputs["int8/logits"], np.nan)}
    assert not rows_of(output_of(BOARD, lost), reference)["int8", "logits"].passed


def test_windows_come_from_the_parity_arrays(tmp_path: Path) -> None:
    write_tiny_package(tmp_path / "package")
    package = EdgePackage.open(tmp_path / "package")
    windows = parity_windows(package)
    assert len(windows) == 40
    assert {array.shape[:2] for array in windows.features.values()} == {(40, 6)}


def test_reference_is_the_same_wheels_on_x86_64(outputs: Arrays) -> None:
    first = output_of(REFERENCE, outputs)
    same = output_of(replace(BOARD, machine="x86_64", python="3.10"), outputs)
    assert reference_of(BOARD, [first, same, output_of(BOARD, outputs)]) is same
    assert reference_of(same.platform, [first]) is first
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
def test_mirror_is_found_in_the_targets_of_apt(targets: str, mirror: str | None) -> None:
    assert choose_mirror(targets) == mirror


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="this machine has no apt")
def test_mirror_is_found_in_both_formats_of_apt_sources(tmp_path: Path) -> None:
    sources = {
        "one.sources": "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\nComponents: main\n",
        "one.list": "deb [arch=amd64] http://mirror.example/debian bookworm main contrib\n",
    }
    for name, text in sources.items():
        folder = tmp_path / name.replace(".", "-")
        folder.mkdir()
        (folder / name).write_text(text)
        options = ("-o", "Dir::Etc::sourcelist=/dev/null", "-o", f"Dir::Etc::sourceparts={folder}")
        shown = ("--no-release-info", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)", "Created-By: Packages")
        assert choose_mirror(run_tool(("apt-get", *options, "indextargets", *shown), "apt")) == (
            "http://mirror.example/debian"
        )


def test_missing_tools_are_an_error_with_their_apt_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="sudo apt-get install qemu-user-static"):
        emulator()


def test_error_has_the_last_output_of_a_tool() -> None:
    with pytest.raises(DataError, match=r"the tool .*3: no such wheel"):
        run_tool((sys.executable, "-c", "import sys; print('no such wheel'); sys.exit(3)"), "the tool")


def test_root_has_a_python_and_one_processor(tmp_path: Path) -> None:
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


def test_platform_options_select_wheels_for_jetpack() -> None:
    assert pinned("3.10") == ("numpy==2.2.6", "onnxruntime==1.23.2")
    assert len(pinned("3.12")) == 2
    words = platform_options(replace(BOARD, python="3.10"))
    assert {"manylinux_2_35_aarch64", "manylinux2014_aarch64", "cp310"} <= set(words)
    assert "manylinux_2_36_aarch64" not in words


def test_symbols_newer_than_jetpack_are_detected(tmp_path: Path) -> None:
    (tmp_path / "a.so").write_bytes(b"\x7fELF\0GLIBC_2.17\0GLIBCXX_3.4.21\0")
    assert fits_jetpack(newest_symbols(tmp_path))
    (tmp_path / "b.so.1").write_bytes(b"\x7fELF\0GLIBC_2.38\0")
    assert newest_symbols(tmp_path) == {"GLIBC": "2.38", "GLIBCXX": "3.4.21"}
    assert not fits_jetpack(newest_symbols(tmp_path))


def test_missing_package_python_and_emulator_are_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.aarch64.compare.machine", lambda: "x86_64")
    with pytest.raises(ConfigError, match="PACKAGE=DIR"):
        main([str(tmp_path / "none"), "--work", str(tmp_path / "work")])
    with pytest.raises(ConfigError, match="--python310"):
        find_python310(str(tmp_path / "none"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="PYTHON310=PATH"):
        choose_platforms(CompareConfig(emulate=False), tmp_path)
