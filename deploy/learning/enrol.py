"""Add an activity to a package from one to a few recordings, without training; the package is not changed.

    edgehar enrol PACKAGE --label juggling --data utd-mhad --clip a1_s2_t1 a1_s2_t2 --out anna.json
    edgehar enrol PACKAGE --label juggling --input skeleton=one.npy,inertial=one.csv --out anna.json
    edgehar run PACKAGE --personal anna.json --stdin

The file holds a vector of features for each recording. `edgehar forget` removes an activity; deleting the file undoes
everything. How the activity's logit is computed and what it costs: docs/personal.md.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgehar.command_line import Parser
from edgehar.deploy.learning.options import LabelledOptions, personal_output
from edgehar.deploy.learning.recordings import Recorded, read_recordings
from edgehar.entry import guarded
from edgehar.errors import ConfigError, DataError
from edgehar.package.manifest import Manifest
from edgehar.package.personal import (
    MAX_EXAMPLES,
    MAX_NEW_LABELS,
    Example,
    Personal,
    label_problem,
    write_personal,
)


@dataclass(frozen=True)
class EnrolOptions(LabelledOptions):
    """Options of `edgehar enrol`."""


def example_of(label: str, recorded: Recorded) -> Example:
    """A recording as an example of an activity."""
    return Example(label, len(recorded.features), recorded.digest, recorded.features.mean(0, dtype=np.float32))


def with_example(personal: Personal, example: Example) -> Personal:
    """The same with one more example; raises DataError if there are too many."""
    if len(personal.examples) >= MAX_EXAMPLES:
        raise DataError(
            f"{len(personal.examples)} examples and more; expected {MAX_EXAMPLES} at most, a few of each activity; "
            "give fewer recordings"
        )
    return replace(personal, examples=(*personal.examples, example))


def check_new(label: str, manifest: Manifest, personal: Personal) -> None:
    """Raise ConfigError unless an activity of this name can be added."""
    if problem := label_problem(label):
        raise ConfigError(f"--label: {problem}; choose another")
    enrolled = personal.new_labels(manifest)
    if label in manifest.labels or label in enrolled:
        where = "the package" if label in manifest.labels else "the personal file"
        raise ConfigError(
            f"--label {label}: an activity of {where}; expected a new name; use edgehar correct to add recordings of it"
        )
    if len(enrolled) >= MAX_NEW_LABELS:
        raise ConfigError(f"--label {label}: {len(enrolled)} activities were added; expected {MAX_NEW_LABELS} at most")


PARSER = Parser(EnrolOptions, "edgehar enrol", __doc__ or "")


def run(options: EnrolOptions) -> int:
    """Read the recordings and write the personal file."""
    with personal_output(options) as (recognizer, personal):
        check_new(options.label, recognizer.package.manifest, personal)
        before = len(personal.examples)
        known = [one.recording for one in personal.examples]
        for recorded in read_recordings(recognizer, options.recordings, known):
            personal = with_example(personal, example_of(options.label, recorded))
        write_personal(Path(options.out), personal)
    added = personal.new_labels(recognizer.package.manifest)
    sys.stdout.write(
        f"{options.out}: {options.label} from {len(personal.examples) - before} recordings; activities added to "
        f"{recognizer.package.path}: {', '.join(added)}\n"
    )
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))


if __name__ == "__main__":
    sys.exit(guarded(main))
