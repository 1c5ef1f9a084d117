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
from edgehar.deploy.learning.recordings import Recorded, RecordingOptions, read_recordings
from edgehar.deploy.recognizer import Recognizer
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


def with_examples(
    personal: Personal, label: str, recognizer: Recognizer, options: RecordingOptions
) -> tuple[Personal, list[Recorded]]:
    """The same with the recordings as examples of an activity, and the recordings.

    Raises DataError if there are too many, or one cannot be used.
    """

    def check(count: int) -> None:
        if count > MAX_EXAMPLES:
            raise DataError(
                f"{count} recordings in one personal file; expected {MAX_EXAMPLES} at most, a few of each activity; "
                "give fewer"
            )

    check(len(personal.examples) + max(len(options.input), len(options.clip)))
    read: list[Recorded] = []
    for recorded in read_recordings(recognizer, options, [one.recording for one in personal.examples]):
        read.append(recorded._replace(features=recorded.features.mean(0, keepdims=True)))
        personal = replace(personal, examples=(*personal.examples, example_of(label, recorded)))
        check(len(personal.examples))
    return personal, read


def check_new(label: str, manifest: Manifest, personal: Personal) -> None:
    """Raise ConfigError unless an activity of this name can be added."""
    if problem := label_problem(label) or ("" if label == label.strip() else f"{label!r} has blanks around it"):
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
        personal, read = with_examples(personal, options.label, recognizer, options.recordings)
        write_personal(Path(options.out), personal)
    added = personal.new_labels(recognizer.package.manifest)
    sys.stdout.write(
        f"{options.out}: {options.label} from {len(read)} recordings; activities added to "
        f"{recognizer.package.path}: {', '.join(added)}\n"
    )
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))


if __name__ == "__main__":
    sys.exit(guarded(main))
