"""A person of the body simulator who acts in turns, and an `edgehar run` whose page waits for what that person does."""

import subprocess
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager

from edgehar.errors import DataError
from edgehar.signals.clip import Clip
from edgehar.simulation.dataset import SimulatorConfig, equip, simulate_recording
from tools.live_page.browser import missing_program


def acting(bouts: int) -> Clip:
    """A recording of so many activities in turn."""
    simulator = SimulatorConfig()
    subject, rig = equip(simulator, 2)
    return simulate_recording(simulator, subject, rig, 1, bouts)


def send(process: subprocess.Popen[bytes], lines: Iterable[bytes]) -> None:
    """Write lines to the process until it is ended."""
    assert process.stdin is not None
    for line in lines:
        try:
            process.stdin.write(line + b"\n")
            process.stdin.flush()
        except OSError:
            return


@contextmanager
def served(package: str) -> Generator[tuple[subprocess.Popen[bytes], str]]:
    """The process, with lines expected on its standard input, and the address of its page; killed at the end.

    Raises DataError without a browser to look with, or if the process gives no address.
    """
    if (missing := missing_program()) is not None:
        raise DataError(f"{missing} is not installed; expected chromium and chromedriver; install both")
    command = [sys.executable, "-m", "edgehar", "run", package, "--stdin", "--page", "0", "--activities", "1.5"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    try:
        line = process.stderr.readline().decode()
        if "page at " not in line:
            raise DataError(f"{line.strip()}; expected the address of the page; run the command by hand")
        yield process, line.split()[-1]
    finally:
        process.kill()
        process.wait()
