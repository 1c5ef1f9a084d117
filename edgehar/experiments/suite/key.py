"""The key of a suite's run: a digest of its recordings and its configuration, stored in the result file."""

import hashlib
from pathlib import Path

import numpy as np

from edgehar.command_line import words_of
from edgehar.experiments.stage import Stage
from edgehar.experiments.suite.options import SuiteOptions
from edgehar.experiments.suite.plan import Run
from edgehar.files.atomic import digest_of, sha256
from edgehar.provenance import portable_words
from edgehar.signals.clip import Dataset, arrays_of

FORMAT_VERSION = 1
STORED_OPTIONS = {"ema_decay": "average"}
"""Name of an option -> that in the results in docs/results and in their keys, which are older than the name."""


def stored_option(name: str) -> str:
    """The name under which results store an option."""
    return STORED_OPTIONS.get(name, name)


def contents_of(dataset: Dataset) -> str:
    """Digest of the recordings, independent of the folder they are in."""
    # Keys are older than the optional fields of a sensor, and do not change where these are not used.
    declared = repr(dataset.info)
    for unused in (", kind=(), site=()", ", mirror=''", ", columns=(), lost_joints=False"):
        declared = declared.replace(unused, "")
    digest = hashlib.sha256(declared.encode())
    for clip in dataset.clips:
        digest.update(repr((clip.name, clip.subject, clip.label, clip.segments)).encode())
        for name, array in arrays_of(clip):
            digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def key_of(run: Run, options: SuiteOptions, contents: str) -> str:
    """Digest of a run's configuration, independent of folders: recordings, settings of every stage, files it reads."""
    folder = str(run.folder)
    stages = [
        " ".join(portable_words([word.removeprefix(folder) for word in _stored_words(stage)])) for stage in run.stages
    ]
    files = [sha256(Path(path)) for path in (options.out_of_fold, options.out_of_fold_nano) if path is not None]
    return digest_of([FORMAT_VERSION, run.name, contents, stages, files])


def _stored_words(stage: Stage) -> list[str]:
    """The command line of a stage with the names of options and files that the stored keys contain."""
    settings = {stored_option(name): value for name, value in stage.settings.items()}
    if stage.verb == "logits":
        settings["out"] = settings["out"].replace("/measured/logits-", "/measured/answers-")
    return [*map(str, stage.positional.values()), *words_of(settings)]
