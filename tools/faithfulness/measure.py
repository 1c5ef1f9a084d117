"""Measures the faithfulness of explanations: do they show what the network used?

    python tools/faithfulness/measure.py synthetic --seeds 0,1,2,3,4
    python tools/faithfulness/measure.py simulated --checkpoints runs/sim0/student,runs/sim1/student
    python tools/faithfulness/measure.py deletion --checkpoints runs/utd0/student --root DATA/utd-mhad
    python tools/faithfulness/measure.py table

`simulated` compares saliency with what the body simulator moves, `deletion` removes and adds the most important parts,
`synthetic` trains small students on series with a known box of signal. A checkpoint's own seed is the seed of its
measurement. Writes docs/results/faithfulness/CHECK-DATA-seedN.json, with DATA-guided for a student whose training was
guided by saliency; `table` writes the tables of docs/explanations.md.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgehar.command_line import Parser
from edgehar.config import Options, option, positional
from edgehar.entry import guarded
from edgehar.errors import ConfigError
from edgehar.files.atomic import write_json
from edgehar.provenance import portable, stamp
from edgehar.teacher.training.checkpoint import load_checkpoint
from tools.faithfulness.deletion import measure_deletion
from tools.faithfulness.simulated import measure_simulated
from tools.faithfulness.synthetic import measure_synthetic
from tools.faithfulness.table import write_tables

REPOSITORY = Path(__file__).resolve().parent.parent.parent
FORMAT, FORMAT_VERSION = "edgehar-faithfulness", 1
CHECKS = ("simulated", "deletion", "synthetic", "table")


@dataclass(frozen=True)
class FaithfulnessOptions(Options):
    """Options of the command."""

    check: str = positional("what to measure, or table", choices=CHECKS)
    checkpoints: tuple[str, ...] = option((), "student checkpoints, for simulated and deletion")
    seeds: tuple[int, ...] = option((0,), "seeds of synthetic", at_least=0)
    windows: int = option(100, "most windows per checkpoint or seed", at_least=2)
    root: str | None = option(None, "folder with the recordings of the checkpoints' data set")
    out: str = option("docs/results/faithfulness", "folder of the result files")

    def __post_init__(self) -> None:
        """Raise ConfigError unless checkpoints are given exactly where they are needed."""
        super().__post_init__()
        if (self.check in ("simulated", "deletion")) != bool(self.checkpoints):
            raise ConfigError(f"--checkpoints with {self.check}: expected for simulated and deletion, and only there")


PARSER = Parser(FaithfulnessOptions, "python tools/faithfulness/measure.py", __doc__ or "")


def training_suffix(guided: dict[str, Any]) -> str:
    """What a checkpoint's name gets if its training was guided by saliency; empty if it was not."""
    if not guided.get("guided"):
        return ""
    return "-guided-adaptive" if guided["guided_adaptive"] else "-guided"


def measurements(options: FaithfulnessOptions) -> list[tuple[str, int, dict[str, Any]]]:
    """Name of the data, seed and scores of each run."""
    if options.check == "synthetic":
        return [("box", seed, measure_synthetic(options.windows, seed)) for seed in options.seeds]
    runs: list[tuple[str, int, dict[str, Any]]] = []
    for folder in map(Path, options.checkpoints):
        checkpoint = load_checkpoint(folder, ("student", "pruned"))
        trained: dict[str, Any] = checkpoint.facts.get("options", {})
        seed = int(trained.get("seed", 0))
        if options.check == "simulated":
            found = measure_simulated(folder, options.windows, seed)
        else:
            found = measure_deletion(folder, options.root, options.windows, seed)
        guided = trained.get("guided", {})
        training = {"parameters": checkpoint.facts["parameters"], "training": trained.get("train"), "guided": guided}
        runs.append((f"{checkpoint.info.name}{training_suffix(guided)}", seed, {**training, **found}))
    return runs


def main(argv: list[str] | None = None) -> int:
    """Measure and write a result file per checkpoint or seed, or write the tables."""
    options = PARSER.parse(argv)
    folder = Path(options.out)
    if options.check == "table":
        sys.stdout.write("\n".join(write_tables(folder, REPOSITORY / "docs" / "explanations.md")) + "\n")
        return 0
    for data, seed, found in measurements(options):
        document = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "check": options.check,
            "command": portable(PARSER.words(options)),
            "seed": seed,
            **stamp(),
            **found,
        }
        path = folder / f"{options.check}-{data}-seed{seed}.json"
        write_json(path, document)
        sys.stdout.write(f"{path}: {found['windows']} windows, accuracy {found['accuracy']:.2%}\n")
        for method, scores in found["methods"].items():
            shown = ", ".join(f"{name} {entry['mean']:.3f}" for name, entry in scores.items() if name != "seconds")
            sys.stdout.write(f"  {method:<22}{shown}\n")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
