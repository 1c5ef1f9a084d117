"""The whole way on simulated sensors, in a few minutes: train, shrink, package, verify, measure, answer.

edgehar quickstart
"""

import sys
from dataclasses import dataclass

from edgehar.command_line import parse
from edgehar.config import option
from edgehar.data.registry import DataOptions
from edgehar.entry import guarded
from edgehar.experiments.pipeline import PipelineOptions, run, summary
from edgehar.verbs import call

NEXT_STEPS = """
What next:
  look at the page            {out}/report.html
  ask the model               edgehar run {out}/package --data simulated --clip {clip}
  stream into it              SENSOR_PROGRAM | edgehar run {out}/package --stdin
  real recordings             edgehar pipeline --data utd-mhad --root DIR --out runs/utd
  your own recordings         edgehar data check DIR && edgehar pipeline --data DIR --out runs/own
"""


@dataclass(frozen=True)
class QuickstartOptions:
    """Options of the tour."""

    out: str = option("runs/quickstart", "folder of the run")
    seed: int = option(0, "reproduces the run")


def main(argv: list[str] | None = None) -> int:
    """Run the pipeline on simulated people, then let the packaged model answer for one unseen of them."""
    options = parse(QuickstartOptions, argv, "edgehar quickstart", __doc__ or "")
    data = DataOptions()
    results = run(PipelineOptions(out=options.out, preset="tiny", seed=options.seed, data=data))
    assert results is not None  # nothing asked it to stop early
    unseen = results["dataset"]["test_subjects"][0]
    clip = next(clip.name for clip in data.load().clips if clip.subject == unseen)
    sys.stdout.write(f"\nThe packaged student answers for {clip}, of a person it never saw:\n")
    code = call("run", [f"{options.out}/package", "--data", data.data, "--clip", clip])
    sys.stdout.write("\n" + summary(results, options.out) + NEXT_STEPS.format(out=options.out, clip=clip))
    return code


if __name__ == "__main__":
    sys.exit(guarded(main))
