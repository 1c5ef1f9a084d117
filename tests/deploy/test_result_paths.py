"""Invalid paths of results are rejected before anything is measured."""

import os
from pathlib import Path

import pytest

from edgehar import verbs
from edgehar.deploy.bench import benchmark
from edgehar.deploy.packaging.command import main as package_main
from edgehar.errors import ConfigError
from edgehar.files.atomic import check_writable


@pytest.mark.parametrize("path", ["folder", "file/result.json", "device"])
@pytest.mark.parametrize("verb", ["bench", "evaluate", "evaluate --stream"])
def test_invalid_result_path_is_rejected_first(tmp_path: Path, verb: str, path: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("not a folder")
    os.mkfifo(tmp_path / "device")
    name, *options = verb.split()
    # The package does not exist, which would be detected later.
    with pytest.raises(ConfigError, match=rf"^--json {tmp_path / path}: "):
        verbs.call(name, [str(tmp_path / "package"), *options, "--json", str(tmp_path / path)])


def test_missing_folders_are_accepted_and_not_created_yet(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "folder" / "result.json", "--json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder_is_rejected(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigError, match="--json"):
        check_writable(tmp_path / "result.json", "--json")


def test_folder_that_accepts_no_files_is_rejected() -> None:
    with pytest.raises(ConfigError, match="/proc"):
        check_writable(Path("/proc/result.json"), "--json")


def test_invalid_path_of_the_tuned_profile_is_rejected_first(victim: Path) -> None:
    victim.with_name(f"{victim.name}.tuned.json").mkdir()
    with pytest.raises(ConfigError, match=r"^--tune .*package.tuned.json"):
        benchmark.main([str(victim), "--tune", "--runs", "100"])


def test_keygen_creates_no_folders(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    with pytest.raises(ConfigError, match="new"):
        package_main(["keygen", "--out", str(tmp_path / "new" / "maker")])
    with pytest.raises(ConfigError, match="--out"):
        package_main(["keygen", "--out", ""])
    assert list(tmp_path.iterdir()) == []
