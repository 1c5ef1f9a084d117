"""A package that ends the child process gives a PackageError; a good one loads as without the child."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgehar
from edgehar.deploy.runtime.isolation import call_in_child
from edgehar.errors import PackageError
from tests.deploy.running import ROOT

WITH_ISOLATION = """
import sys, edgehar
recognizer = edgehar.load(sys.argv[1], isolate=True)
print(recognizer.manifest.name, "torch" in sys.modules)
"""


def test_isolated_load_gives_the_same_predictions(clip_package: Path) -> None:
    tokens = np.ones((2, 6, 16), np.float32)
    expected = edgehar.load(clip_package).classify(tokens)
    np.testing.assert_array_equal(edgehar.load(clip_package, isolate=True).classify(tokens), expected)


@pytest.mark.parametrize(
    ("function", "arguments", "reason"),
    [
        ("os:abort", {}, "ended by SIGABRT; expected a prediction; do not use this package"),
        ("tests.deploy.deaths:die", {"number": 8}, "ended by SIGFPE"),
        ("tests.deploy.deaths:die", {"number": 9}, "ended by SIGKILL, perhaps for lack of memory"),
        ("os:_exit", {"status": 3}, "ended by exit code 3"),
        ("edgehar.deploy.recognizer:load", {"path": "nowhere"}, "nowhere: no manifest.json"),
        ("tests.deploy.deaths:allocate", {"size": 6 << 30}, "MemoryError"),
    ],
)
def test_death_of_the_child_is_named(function: str, arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(PackageError, match=reason) as problem:
        call_in_child(function, "package", **arguments)
    assert len(str(problem.value).splitlines()) == 1


def test_child_that_does_not_end_is_killed() -> None:
    with pytest.raises(PackageError, match=r"no prediction within 0\.1 s"):
        call_in_child("tests.deploy.deaths:wait", "package", timeout_s=0.1, seconds=60)


def test_child_needs_neither_torch_nor_the_working_folder(clip_package: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITH_ISOLATION, str(clip_package)]
    completed = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": ""}
    )
    assert (completed.stdout, completed.returncode) == ("tiny False\n", 0), completed.stderr
