"""Explain a prediction of a package: which steps, sensors, joints and axes made the answer.

    edgehar explain PACKAGE --input skeleton=skeleton.npy,inertial=inertial.csv
    edgehar explain PACKAGE --data utd-mhad --root DIR --clip a1_s1_t1 --picture why.html
    edgehar explain PACKAGE --input watch=watch.csv --at 12.5 --label walk --json why.json

Of several windows the one with the highest score is explained. The last line is one JSON document, described in
docs/explanations.md. With --checkpoint, a trained checkpoint is explained by gradients; see edgehar explain
--checkpoint --help.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from edgehar.checks import MAX_THREADS
from edgehar.command_line import Parser
from edgehar.config import Options, group, option, positional
from edgehar.deploy.explanation.explain import explain_windows
from edgehar.deploy.live.recording_input import file_windows, input_files, load_clip
from edgehar.deploy.recognizer import Recognizer, load
from edgehar.deploy.runtime.providers import PROVIDERS_HELP
from edgehar.deploy.runtime.signature import key_option
from edgehar.errors import ConfigError
from edgehar.explanation.options import AnswerOptions
from edgehar.explanation.saliency import METHODS
from edgehar.package.folder import check_result
from edgehar.report.explanation import publish
from edgehar.signals.windows import Windows

OTHER_MODE = (
    "\nA trained checkpoint, by gradients: edgehar explain --checkpoint DIR; see edgehar explain --checkpoint --help."
)


@dataclass(frozen=True)
class RecordingOptions(Options):
    """Recording; exactly one of --input and --data is required."""

    input: tuple[str, ...] = option((), "recording in files: MODALITY=FILE for each sensor, .csv or .npy")
    data: str | None = option(None, "recording of a data set, given by name or folder; with --clip")
    root: str | None = option(None, "folder with the recordings of a named data set")
    clip: str | None = option(None, "name of the clip of --data")

    def __post_init__(self) -> None:
        """Raise ConfigError unless there is exactly one source, and for options that contradict it."""
        super().__post_init__()
        if bool(self.input) == (self.data is not None):
            found = "--input and --data" if self.input else "no recording"
            raise ConfigError(f"{found}: expected one of --input and --data")
        if (self.data is None) != (self.clip is None):
            raise ConfigError("--clip: expected together with --data; give both")
        if self.data is None and self.root is not None:
            raise ConfigError("--root with --input: expected --data; omit --root")


@dataclass(frozen=True)
class ExplainConfig(Options):
    """Options of `edgehar explain`."""

    package: str = positional("folder of the edge package")
    method: str = option("tsr", "temporal saliency rescaling, or plain occlusion", choices=METHODS)
    precision: str | None = option(None, "precision to run; default: as chosen by bench --tune, or the package's")
    threads: int | None = option(
        None, "onnxruntime's threads; default: as chosen by bench --tune, or 1", at_least=1, at_most=MAX_THREADS
    )
    providers: tuple[str, ...] = option((), PROVIDERS_HELP)
    key: str | None = key_option()
    answer: AnswerOptions = group(AnswerOptions)
    recording: RecordingOptions = group(RecordingOptions)


def recording_windows(recognizer: Recognizer, recording: RecordingOptions) -> Iterator[Windows]:
    """The prepared windows of the recording, in batches."""
    if recording.data is not None and recording.clip is not None:
        clip = load_clip(recognizer.manifest, recording.data, recording.root, recording.clip)[1]
        return recognizer.windows_of_clip(clip)
    return file_windows(recognizer, recording.input)


PARSER = Parser(ExplainConfig, "edgehar explain", (__doc__ or "").partition("\n")[0] + OTHER_MODE)


def run(config: ExplainConfig) -> int:
    """Print the explanation as text and JSON, and write the files that were requested."""
    read = (config.recording.data, *input_files(config.recording.input))
    check_result(config.answer.json, config.package, read=read)
    check_result(config.answer.picture, config.package, "--picture", read=(config.answer.json, *read))
    recognizer = load(config.package, config.precision, config.threads, config.providers, config.key)
    choice = config.answer.choice
    choice.check(recognizer.manifest.labels)
    windows = recording_windows(recognizer, config.recording)
    explanation = explain_windows(recognizer, windows, choice, config.method)
    document = {"package": config.package, "precision": recognizer.precision, **explanation.to_json()}
    publish(explanation, document, config.answer.json, config.answer.picture)
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))
