"""End to end on simulated sensors, in a few minutes: train, compress, package, verify, measure, recognise.

edgehar quickstart
"""

import sys
from dataclasses import dataclass

from edgehar import verbs
from edgehar.command_line import Parser
from edgehar.config import Options, option, seed_option
from edgehar.data.registry import DataOptions
from edgehar.entry import guarded
from edgehar.experiments.pipeline import PipelineOptions, run_pipeline, summary

NEXT_STEPS = """
Next steps:
  open the report             {out}/report.html
  recognise a recording       edgehar run {out}/package --data simulated --clip {clip}
  recognise a live stream     SENSOR_PROGRAM | edgehar run {out}/package --stdin
  train on a public data set  edgehar pipeline --data utd-mhad --root DIR --out runs/utd
  train on your recordings    edgehar data check DIR && edgehar pipeline --data DIR --out runs/own
"""


@dataclass(frozen=True)
class QuickstartOptions(Options):
    """Options of the quickstart."""

    out: str = option("runs/quickstart", "folder of the run")
    seed: int = seed_option()


PARSER = Parser(QuickstartOptions, "edgehar quickstart", __doc__ or "")


def run(options: QuickstartOptions) -> int:
    """Run the pipeline on simulated subjects, then recognise a recording of a test subject with the package."""
    data = DataOptions()
    # All simulated recordings are labelled; pretraining is requested here to show every stage. Trials would take longer
    # than all of them.
    run_options = PipelineOptions(
        out=options.out, preset="tiny", seed=options.seed, pretraining=True, budget_minutes=0, data=data
    )
    results = run_pipeline(run_options)
    assert results is not None  # no stage to stop after was given
    test_subject = results["dataset"]["test_subjects"][0]
    clip = next(clip.name for clip in data.load().clips if clip.subject == test_subject)
    sys.stdout.write(f"\nPredictions of the packaged student for {clip}, of a subject not trained on:\n")
    settings = {"package": f"{options.out}/package", "data": data.data, "clip": clip}
    code = verbs.run("run", verbs.build("run", settings))
    sys.stdout.write("\n" + summary(results, options.out) + NEXT_STEPS.format(out=options.out, clip=clip))
    return code


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))


if __name__ == "__main__":
    sys.exit(guarded(main))
