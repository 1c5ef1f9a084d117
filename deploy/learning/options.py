"""Options and steps that enrol, correct and adapt share: the package, and the personal file that is written."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import MISSING, dataclass
from pathlib import Path

from edgehar.config import Options, group, option, positional
from edgehar.deploy.learning.recordings import RecordingOptions
from edgehar.deploy.personal.features import split_head
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.runtime.signature import key_option, open_package
from edgehar.errors import ConfigError
from edgehar.files.atomic import check_writable, locked
from edgehar.package.folder import EdgePackage
from edgehar.package.personal import Personal, identity_of, read_personal


@dataclass(frozen=True)
class LearningOptions(Options):
    """Options of a verb that learns."""

    package: str = positional("folder of the edge package")
    out: str = option(MISSING, "personal file to write; an existing one of this package is extended")
    precision: str | None = option(None, "precision of the encoder; default: the package's")
    key: str | None = key_option()
    recordings: RecordingOptions = group(RecordingOptions)


@dataclass(frozen=True, kw_only=True)
class LabelledOptions(LearningOptions):
    """Options of a verb that learns an activity."""

    label: str = option(MISSING, "name of the activity in the recordings")


def empty_personal(package: EdgePackage) -> Personal:
    """What is learnt before the first recording; raises PackageError for a package without features."""
    identity = identity_of(package.manifest)
    head = package.graph("head", "fp32")
    return Personal(identity, split_head(package.read(head.name), str(head)).weight.shape[1])


def open_for_learning(package: EdgePackage, precision: str | None, personal: Personal | None = None) -> Recognizer:
    """A recogniser that computes features."""
    return Recognizer(package, precision, personal=empty_personal(package) if personal is None else personal)


@contextmanager
def personal_output(options: LearningOptions) -> Generator[tuple[Recognizer, Personal]]:
    """The package and what its personal file holds, which no other process writes during the block.

    Raises ConfigError if the file is inside the package or cannot be written, and PackageError if it exists and is not
    a personal file of this package.
    """
    out, package = Path(options.out), open_package(options.package, options.key)
    if package.path.resolve() in out.resolve().parents:
        raise ConfigError(f"--out {out}: inside the package {package.path}; expected a file beside it; choose another")
    check_writable(out, "--out")
    out.parent.mkdir(parents=True, exist_ok=True)
    with locked(out):
        personal = read_personal(out, package.manifest) if out.exists() else empty_personal(package)
        yield open_for_learning(package, options.precision, personal), personal
