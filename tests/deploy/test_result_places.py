"""What cannot be kept in the end is said before anything is measured."""

import os
from pathlib import Path

import pytest

from edgehar import verbs
from edgehar.deploy.bench import benchmark
from edgehar.deploy.packaging.command import main as package_main
from edgehar.errors import ConfigError
from edgehar.files.atomic import check_writable


@pytest.mark.parametrize("place", ["folder", "file/result.json", "device"])
@pytest.mark.parametrize("verb", ["bench", "evaluate", "evaluate --stream"])
def test_a_result_that_nobody_can_keep_is_refused_at_once(tmp_path: Path, verb: str, place: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("not a folder")
    os.mkfifo(tmp_path / "device")
    name, *options = verb.split()
    # The package is not there, which is found out only when it is opened.
    with pytest.raises(ConfigError, match=rf"^--json {tmp_path / place}: "):
        verbs.call(name, [str(tmp_path / "package"), *options, "--json", str(tmp_path / place)])


def test_missing_folders_of_a_result_are_no_error_and_not_yet_made(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "folder" / "result.json", "--json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigError, match="--json"):
        check_writable(tmp_path / "result.json", "--json")


def test_a_system_folder_that_takes_no_files_is_refused() -> None:
    with pytest.raises(ConfigError, match="/proc"):
        check_writable(Path("/proc/result.json"), "--json")


def test_tuning_that_cannot_be_kept_is_refused_at_once(victim: Path) -> None:
    victim.with_name(f"{victim.name}.tuned.json").mkdir()
    with pytest.raises(ConfigError, match=r"^--tune .*package.tuned.json"):
        benchmark.main([str(victim), "--tune", "--runs", "100"])


def test_keys_make_no_folders(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    with pytest.raises(ConfigError, match="new"):
        package_main(["keygen", "--out", str(tmp_path / "new" / "maker")])
    with pytest.raises(ConfigError, match="--out"):
        package_main(["keygen", "--out", ""])
    assert list(tmp_path.iterdir()) == []
