"""Adapt a package to a person by recordings without labels, if held-back answers do not get worse.

    edgehar adapt PACKAGE --data utd-mhad --person s4 --out s4.json
    edgehar adapt PACKAGE --input skeleton=long.npy,inertial=long.csv --out anna.json

A scale and a shift of the network's last features are learnt, without torch and in a few MB. Each half of the
recordings is held back once: the adaptation is refused (exit code 1, nothing is written) if less than 95 % of its
answers stay the same when steps are lost, if no more of them do afterwards, if it has fewer different answers, or if
fewer of the recordings that were enrolled or corrected are right.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgehar.command_line import Parser
from edgehar.config import seed_option
from edgehar.deploy.learning.options import LearningOptions, open_for_learning, personal_output
from edgehar.deploy.learning.recordings import ThinnedWindows, read_recordings
from edgehar.deploy.personal.adaptation import adaptation_of, check
from edgehar.deploy.recognizer import Recognizer
from edgehar.entry import guarded
from edgehar.errors import DataError
from edgehar.package.personal import Personal, write_personal
from edgehar.signals.clip import Floats

MIN_WINDOWS = 20
"""Fewest windows to learn from."""


@dataclass(frozen=True)
class AdaptOptions(LearningOptions):
    """Options of `edgehar adapt`."""

    seed: int = seed_option("random seed of the lost steps")


def read_windows(recognizer: Recognizer, options: AdaptOptions) -> tuple[Floats, Floats, int]:
    """Features of up to MAX_WINDOWS windows (N, F), with lost steps (N, D, F), and the number of recordings."""
    random = np.random.default_rng(options.seed)
    kept, recordings = ThinnedWindows(), 0
    for recorded in read_recordings(recognizer, options.recordings, (), random):
        kept.add(np.concatenate([recorded.features[:, None], recorded.faulty], 1))  # (n, 1 + D, F)
        recordings += 1
    windows = kept.kept()
    if len(windows) < MIN_WINDOWS:
        raise DataError(
            f"{len(windows)} windows of {recordings} recordings; expected {MIN_WINDOWS} or more to learn from; record "
            "more"
        )
    return windows[:, 0], windows[:, 1:], recordings


PARSER = Parser(AdaptOptions, "edgehar adapt", __doc__ or "")


def adapted(recognizer: Recognizer, personal: Personal, options: AdaptOptions) -> tuple[Personal, str]:
    """What is learnt, and why it is refused or an empty text."""
    features, faulty, recordings = read_windows(recognizer, options)
    weight, bias = recognizer.personal_head.classifier_of(personal)
    labelled = [one.features for one in personal.examples]
    examples = np.stack(labelled) if labelled else features[:0]
    truth = np.asarray([recognizer.manifest.labels.index(one.label) for one in personal.examples], np.int64)
    guard = check(features, faulty, examples, truth, weight, bias)
    sys.stdout.write(
        f"{len(features)} windows of {recordings} recordings; held back: {guard.agreement_before:.1%} of the answers "
        f"stay the same when steps are lost, {guard.agreement:.1%} after the adaptation\n"
    )
    return replace(personal, adaptation=adaptation_of(features, weight, bias, recordings)), guard.reason


def run(options: AdaptOptions) -> int:
    """Learn, check and write the personal file; returns 1 if the adaptation is refused."""
    with personal_output(options) as (opened, before):
        personal = replace(before, adaptation=None)  # a new adaptation replaces the one before
        recognizer = open_for_learning(opened.package, options.precision, personal)
        personal, reason = adapted(recognizer, personal, options)
        if reason:
            sys.stdout.write(f"refused: {reason}; {options.out} was not written\n")
            return 1
        write_personal(Path(options.out), personal)
    sys.stdout.write(f"{options.out}: adapted; undo with edgehar forget --adaptation\n")
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))


if __name__ == "__main__":
    sys.exit(guarded(main))
