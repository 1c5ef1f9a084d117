"""Speed-up of pruned packages beside their reduction of multiply-adds.

    python tools/speed/pruned.py runs/demo/package --pruned runs/demo/package-pruned

One process, one thread, batch 1, a random window, all packages in turn; the first package is the reference. Times are
from the features of a window to logits, with onnxruntime and, if it is installed, LiteRT. A small network's speed-up
is smaller than its reduction of multiply-adds, since every node has a fixed cost. Writes
docs/results/board/pruned-speed-NAME.json.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgehar.command_line import Parser
from edgehar.config import Options, option, positional
from edgehar.deploy.bench.benchmark import macs_of
from edgehar.deploy.bench.stability import stability_warnings
from edgehar.deploy.bench.timing import BenchmarkTarget, time_interleaved
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.runtime.device import device_facts, device_state
from edgehar.deploy.runtime.providers import CPU, LITERT, LITERT_PRECISIONS, available_providers
from edgehar.deploy.runtime.tuned_profile import manifest_sha256
from edgehar.entry import guarded
from edgehar.errors import ConfigError
from edgehar.files.atomic import write_json
from edgehar.package.folder import EdgePackage
from edgehar.provenance import portable, stamp

FORMAT = "edgehar-pruned-speed"
RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results" / "board"
FLOOR = 0.8
"""Required speed-up, as a share of the reduction of multiply-adds."""


@dataclass(frozen=True)
class PrunedSpeedConfig(Options):
    """Speed-up of pruned packages."""

    package: str = positional("folder of the unpruned package")
    pruned: tuple[str, ...] = option((), "folders of the pruned packages")
    runs: int = option(2000, "timed runs of each package", at_least=100)
    litert: bool = option(True, "also run LiteRT, if it is installed")
    json: str | None = option(None, "file for the result; default: docs/results/board/pruned-speed-NAME.json")

    def __post_init__(self) -> None:
        """Raise ConfigError without a package to compare."""
        super().__post_init__()
        if not self.pruned:
            raise ConfigError("--pruned: found no folder; expected one or more, separated by commas")


PARSER = Parser(PrunedSpeedConfig, "python tools/speed/pruned.py", __doc__ or "")


def compared(packages: dict[str, EdgePackage], times: dict[tuple[str, str], dict[str, float]]) -> list[dict[str, Any]]:
    """A row per package and runtime: multiply-adds and time, and both compared with the first package's.

    Args:
        packages: name -> package, the unpruned one first.
        times: (name, runtime) -> milliseconds.
    """
    first = next(iter(packages))
    whole = macs_of(packages[first].manifest)["window"]
    rows: list[dict[str, Any]] = []
    for (name, runtime), found in times.items():
        macs = macs_of(packages[name].manifest)["window"]
        before = times[first, runtime]
        # Load of other processes distorts wall time, so both wall and CPU time count.
        speed_up = min(before[key] / found[key] for key in ("median_ms", "cpu_median_ms"))
        rows.append(
            {
                "package": name,
                "way": runtime,
                "macs": macs,
                "parameters": packages[name].manifest.parameters,
                **found,
                "speed_up": speed_up,
                "macs_ratio": whole / macs,
                "share": speed_up / (whole / macs),
            }
        )
    return rows


def main(argv: list[str] | None = None) -> int:
    """Time every package with every runtime, print a line for each, write the result."""
    config = PARSER.parse(argv)
    folders = [config.package, *config.pruned]
    packages = {Path(folder).name: EdgePackage.open(folder) for folder in folders}
    if len(packages) < len(folders):
        raise ConfigError(f"{', '.join(folders)}: expected folders with different names, which name the rows")
    before = device_state()
    subjects: dict[tuple[str, str], BenchmarkTarget] = {}
    for name, package in packages.items():
        for precision in ("fp32", "int8"):
            subjects[name, precision] = BenchmarkTarget(Recognizer(package, precision, 1, (CPU,)))
        if config.litert and LITERT in available_providers():
            for precision in [one for one in LITERT_PRECISIONS if one in package.manifest.graphs]:
                subjects[name, f"{precision} {LITERT}"] = BenchmarkTarget(Recognizer(package, precision, 1, (LITERT,)))
    turns = time_interleaved({key: subject.actions["window_network"] for key, subject in subjects.items()}, config.runs)
    rows = compared(packages, {key: times.milliseconds() for key, times in turns.items()})
    device = device_facts()
    names = ",".join(list(packages)[1:])
    words = ["python", "tools/speed/pruned.py", config.package, "--pruned", names, "--runs", str(config.runs)]
    result: dict[str, Any] = {
        "format": FORMAT,
        "format_version": 1,
        "command": portable(words),
        **stamp(),
        "name": packages[Path(config.package).name].manifest.name,
        "manifests_sha256": {name: manifest_sha256(package) for name, package in packages.items()},
        "floor": FLOOR,
        "threads": 1,
        "runs": config.runs,
        "rows": rows,
        "remarks": stability_warnings(before, device_state(), device["cores"] or 1),
        "device": device,
    }
    for row in rows:
        sys.stdout.write(
            f"{row['package']:<40}{row['way']:<14}{row['median_ms']:.3f} ms  speed-up {row['speed_up']:.2f}, "
            f"multiply-adds reduced by {row['macs_ratio']:.2f}\n"
        )
    path = RESULTS / f"pruned-speed-{result['name']}.json" if config.json is None else Path(config.json)
    write_json(path, result)
    sys.stdout.write(f"written to {path}\n{json.dumps(result)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
