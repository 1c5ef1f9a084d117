"""Move an activity of a package, or an enrolled one, towards recordings of a person; the package is not changed.

    edgehar correct PACKAGE --label wave --data utd-mhad --clip a3_s4_t1 --out anna.json
    edgehar correct PACKAGE --label wave --input skeleton=wrong.npy,inertial=wrong.csv --out anna.json

The recordings are those that were recognised as something else, with the right name. What they were recognised as
before and after is printed.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from edgehar.command_line import Parser
from edgehar.deploy.learning.enrol import with_examples
from edgehar.deploy.learning.options import LabelledOptions, open_for_learning, personal_output
from edgehar.deploy.learning.recordings import Recorded
from edgehar.deploy.recognizer import Recognizer
from edgehar.entry import guarded
from edgehar.errors import ConfigError, shortened
from edgehar.package.personal import write_personal


@dataclass(frozen=True)
class CorrectOptions(LabelledOptions):
    """Options of `edgehar correct`."""


def recognised(recognizer: Recognizer, recorded: Recorded) -> str:
    """The label of a recording by the mean of its features."""
    probabilities = recognizer.probabilities(recognizer.classify_features(recorded.features))
    return recognizer.prediction(probabilities[0], 0.0, 0.0).label


PARSER = Parser(CorrectOptions, "edgehar correct", __doc__ or "")


def run(options: CorrectOptions) -> int:
    """Read the recordings, write the personal file and print what changed."""
    with personal_output(options) as (recognizer, personal):
        if options.label not in recognizer.manifest.labels:
            raise ConfigError(
                f"--label {options.label}: expected one of {shortened(recognizer.manifest.labels, 40)}; use edgehar "
                "enrol for a new activity"
            )
        personal, read = with_examples(personal, options.label, recognizer, options.recordings)
        write_personal(Path(options.out), personal)
        after = open_for_learning(recognizer.package, options.precision, personal)
    for recorded in read:
        before, now = (recognised(opened, recorded) for opened in (recognizer, after))
        sys.stdout.write(f"{recorded.name}: {before} before, {now} now\n")
    sys.stdout.write(f"{options.out}: {len(read)} recordings of {options.label}\n")
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))


if __name__ == "__main__":
    sys.exit(guarded(main))
