"""Hops per second of revisions of edgehar with one package, in one run.

    git worktree add ../old a3d7bbc
    python tools/speed/revisions.py runs/quickstart/package --revisions ../old,.

Each revision runs in a process of its own, in turns, one thread, on the CPU. A figure is the median over the rounds of
a low quantile of each round's times, so that other processes weigh little; ratios are of the rounds' pairs. "networks"
are calls of encoder and head with ready inputs. The last line is one JSON document, in which a revision has the name of
its folder.
"""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgehar.command_line import Parser
from edgehar.config import Options, option, positional
from edgehar.deploy.runtime.device import device_facts
from edgehar.entry import guarded
from edgehar.errors import ConfigError, DataError
from edgehar.files.atomic import write_json
from edgehar.provenance import portable, stamp

WORKER = Path(__file__).with_name("hop_worker.py")


@dataclass(frozen=True)
class RevisionsConfig(Options):
    """Speed of revisions."""

    package: str = positional("folder of the package")
    revisions: tuple[str, ...] = option((), "folders of the revisions; ratios are to the first")
    precision: str = option("fp32", "precision of the graphs")
    pushes: int = option(1, "pushes of each sensor per hop", at_least=1)
    rounds: int = option(12, "rounds", at_least=1)
    runs: int = option(150, "timed hops of a round", at_least=20)
    json: str | None = option(None, "also write the result to this file")


PARSER = Parser(RevisionsConfig, "python tools/speed/revisions.py", __doc__ or "")


def measure(config: RevisionsConfig) -> dict[str, Any]:
    """The result as a JSON document; raises DataError if the revisions differ in their predictions."""
    if not config.revisions:
        raise ConfigError("--revisions is empty; expected folders of edgehar; name one or more")
    command = [sys.executable, str(WORKER), str(Path(config.package).resolve()), config.precision, str(config.pushes)]
    found: dict[str, list[list[float]]] = {revision: [] for revision in config.revisions}
    with ExitStack() as stack:
        workers = {
            revision: stack.enter_context(
                subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    env=os.environ | {"PYTHONPATH": str(Path(revision).resolve()), "OMP_NUM_THREADS": "1"},
                )
            )
            for revision in config.revisions
        }
        for revision, worker in workers.items():
            if worker.stdout is None or worker.stdout.readline() != "ready\n":
                raise DataError(f"{revision}: its stream does not start; expected a folder of edgehar; see above")
        generator = np.random.default_rng(0)
        for _ in range(config.rounds):
            for place in generator.permutation(len(config.revisions)):
                worker = workers[config.revisions[place]]
                assert worker.stdin is not None
                assert worker.stdout is not None
                worker.stdin.write(f"{config.runs}\n")
                worker.stdin.flush()
                found[config.revisions[place]].append(json.loads(worker.stdout.readline()))
    first = np.array(found[config.revisions[0]])  # (rounds, 4)
    rows: list[dict[str, Any]] = []
    for revision, rounds in found.items():
        times = np.array(rounds)
        if not np.allclose(times[:, 3], first[:, 3], rtol=1e-3):
            raise DataError(f"{revision}: other predictions than {config.revisions[0]}; expected the same; see why")
        networks = times[:, 1] + times[:, 2]
        row = {
            "revision": Path(revision).resolve().name,
            "hop_us": float(np.median(times[:, 0])),
            "networks_us": float(np.median(networks)),
            "hop_over_networks": float(np.median(times[:, 0] / networks)),
            "hops_per_s_over_first": float(np.median(first[:, 0] / times[:, 0])),
        }
        rows.append(row)
    words = [config.package, "--revisions", ",".join(row["revision"] for row in rows), "--precision", config.precision]
    words += ["--pushes", str(config.pushes), "--rounds", str(config.rounds), "--runs", str(config.runs)]
    return {
        "format": "edgehar-revisions",
        "name": f"{Path(config.package).resolve().name}, pushes per hop: {config.pushes}",
        "command": portable(["python", "tools/speed/revisions.py", *words]),
        **stamp(),
        "pushes": config.pushes,
        "precision": config.precision,
        "rows": rows,
        "device": device_facts(),
    }


def main(argv: list[str] | None = None) -> int:
    """Measure and print."""
    config = PARSER.parse(argv)
    document = measure(config)
    for row in document["rows"]:
        sys.stdout.write(
            f"{row['revision']}: hop {row['hop_us']:.0f} us, networks {row['networks_us']:.0f} us, ratio "
            f"{row['hop_over_networks']:.2f}, {row['hops_per_s_over_first']:.2f} times the hops per second\n"
        )
    if config.json is not None:
        write_json(Path(config.json), document)
    sys.stdout.write(json.dumps(document) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
