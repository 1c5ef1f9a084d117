"""Inference with a package: signals in, predictions out, with the windows and preprocessing of the training."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgehar.checks import as_name_tuple, check_threads
from edgehar.deploy.personal.head import PersonalHead
from edgehar.deploy.runtime.session import BoundGraph, GraphSession, open_session
from edgehar.deploy.runtime.signature import open_package
from edgehar.deploy.runtime.tuned_profile import read_tuned_settings
from edgehar.deploy.samples import ReadParts, are_finite, as_parts, check_mapping
from edgehar.deploy.whole_recording import BATCH_STEPS, as_clip, open_long, usable_batches
from edgehar.errors import ConfigError, DataError, PackageError
from edgehar.metrics.calibration import softmax
from edgehar.package.folder import EdgePackage
from edgehar.package.manifest import PARTS
from edgehar.package.personal import Personal, read_personal
from edgehar.signals.clip import UNKNOWN, Bools, Clip, Floats, Prediction
from edgehar.signals.windows import Windows, cut_clip, cut_steps

DYNAMIC_OPERATOR = b"DynamicQuantizeLinear"


def load(
    path: Path | str,
    precision: str | None = None,
    threads: int | None = None,
    providers: Sequence[str] | None = None,
    key: Path | str | None = None,
    isolate: bool = False,
    personal: Path | str | None = None,
) -> "Recognizer":
    """Open a package for inference.

    Args:
        path: the package's folder.
        precision: one of the package's precisions; its default if None.
        threads: onnxruntime's threads, 1 to 1024; 1 if None.
        providers: execution providers in order of preference; if None, TensorRT, CUDA, CPU if available. Without
            precision, providers and key, the settings that `edgehar bench --tune` stored for this machine are used.
        key: file of a public key that must have signed the package; None skips the check.
        isolate: load it and predict once in a child process first, on the CPU: for packages of unknown authors.
        personal: file of `edgehar enrol`, `correct` or `adapt`; its activities come after the package's.

    Raises:
        PackageError: the package is damaged, or not signed with the key; with `isolate`, also if the child died. The
            personal file is damaged or belongs to another package.
        ConfigError: an unknown provider, or an unusable number of threads or key.
    """
    check_threads(threads, "threads")
    if providers is not None:
        providers = as_name_tuple(providers, "providers")
    package = open_package(path, key)
    tuned = None if precision or providers else read_tuned_settings(package, key is not None)
    if tuned is not None:
        precision, threads, providers = tuned.precision, threads or tuned.threads, tuned.providers
    if isolate:
        from edgehar.deploy.runtime.isolation import try_in_child  # only now: other programs start faster

        try_in_child(package, (precision or package.manifest.default_precision,))
    learnt = None if personal is None else read_personal(personal, package.manifest)
    return Recognizer(package, precision, 1 if threads is None else threads, providers, learnt)


class Recognizer:
    """The encoder and the head of a package in one precision; see `load` for the arguments.

    Attributes:
        package: the opened package.
        manifest: its manifest; with a personal file, the labels of its activities are added.
        precision: the precision of the graphs.
        providers: the execution providers that compute: those of the encoder, then those of the head.
        is_dynamic: whether activations are quantised with a scale that depends on all rows of a batch.
    """

    def __init__(
        self,
        package: EdgePackage,
        precision: str | None = None,
        threads: int = 1,
        providers: Sequence[str] | None = None,
        personal: Personal | None = None,
    ) -> None:
        """Open both graphs; with what a person added, the head is the fp32 one."""
        self.package, self.manifest, self.personal = package, package.manifest, personal
        self.precision = precision or self.manifest.default_precision
        self._info = self.manifest.info
        self._names = tuple(spec.name for spec in self.manifest.modalities)
        precisions = dict.fromkeys(PARTS, self.precision) | ({} if personal is None else {"head": "fp32"})
        paths = {part: package.graph(part, precisions[part]) for part in PARTS}
        graphs = {part: package.read(path.name) for part, path in paths.items()}  # verified, even if changed since

        def opened(part: str) -> GraphSession:
            return open_session(paths[part], part, package.manifest, threads, providers, graphs[part])

        self._encoder = opened("encoder")
        if personal is None:
            self._head: GraphSession | PersonalHead = opened("head")
        else:
            self._head = PersonalHead(package, personal, threads, providers)
            self.manifest = replace(self.manifest, labels=self._head.labels)
        self.is_dynamic = any(DYNAMIC_OPERATOR in graph for graph in graphs.values())
        self.providers = tuple(dict.fromkeys((*self._encoder.providers, *self._head.providers)))

    def encode(self, features: dict[str, Floats], valid: Floats) -> Floats:
        """Tokens (N, D) of steps.

        Args:
            features: modality -> (N, P, G, F) or (N, P * G * F), from `edgehar.signals.preprocess.prepare`.
            valid: (N, M) 1.0 where a modality's step is valid, in the manifest's order.
        """
        inputs = {name: features[name].reshape(len(valid), -1) for name in self._names}
        inputs["valid"] = valid.astype(np.float32, copy=False)
        return self._encoder.run(inputs)

    def classify(self, tokens: Floats) -> Floats:
        """Logits (B, K) of windows of tokens (B, S, D); raises PackageError unless finite and one per label."""
        return self._checked_logits(self._head.run({"tokens": tokens}), len(tokens))

    def bind(self, part: str, inputs: dict[str, Floats]) -> BoundGraph:
        """The "encoder" or the "head" of these arrays, see `GraphSession.bind`; those of `encode` and `classify`."""
        if part == "encoder":
            return self._encoder.bind(inputs)
        classify, windows = self._head.bind(inputs), len(inputs["tokens"])
        return lambda: self._checked_logits(classify(), windows)

    def _checked_logits(self, logits: Floats, windows: int) -> Floats:
        """The logits (B, K) of this many windows; raises PackageError as `classify`."""
        if logits.shape != (windows, len(self.manifest.labels)) or not are_finite(logits):
            raise PackageError(
                f"{self.package.path}: logits {logits.shape} of the {self.precision} head are not finite or not one "
                f"per label; expected {len(self.manifest.labels)} numbers per window; export the model again"
            )
        return logits

    def probabilities(self, logits: Floats) -> Floats:
        """Softmax over the last axis, with the package's temperature if it has one."""
        calibration = self.manifest.calibration
        return softmax(logits, 1.0 if calibration is None else calibration.temperature)

    def predict_prepared(self, windows: Windows) -> Floats:
        """Logits (N, K) of prepared windows, in batches."""
        batch = max(1, BATCH_STEPS // self.manifest.window.steps)
        if len(windows) <= batch:
            return self.classify(self._tokens(windows.features, windows.valid))
        parts: list[Floats] = []
        for first in range(0, len(windows), batch):
            rows = slice(first, first + batch)
            features = {name: array[rows] for name, array in windows.features.items()}
            valid = {name: array[rows] for name, array in windows.valid.items()}
            parts.append(self.classify(self._tokens(features, valid)))
        return np.concatenate(parts)

    def features(self, windows: Windows) -> Floats:
        """The input of the classifier (B, F) of one batch of windows; raises ConfigError without `personal`."""
        return self.personal_head.features(self._tokens(windows.features, windows.valid))

    def classify_features(self, features: Floats) -> Floats:
        """Logits (B, K) of features (B, F), as `features` returns them."""
        return self.personal_head.classify(features)

    @property
    def personal_head(self) -> PersonalHead:
        """The head of a package opened with `personal`; raises ConfigError without it."""
        if not isinstance(self._head, PersonalHead):
            raise ConfigError("features of a package opened without personal; expected an empty one; open it again")
        return self._head

    def _tokens(self, features: dict[str, Floats], valid: dict[str, Bools]) -> Floats:
        """Tokens (B, S, D) of one batch of windows (B, S, ...)."""
        shape = valid[self._names[0]].shape  # (B, S)
        flags: Floats = np.empty((shape[0] * shape[1], len(valid)), np.float32)  # (B * S, M)
        for column, name in enumerate(self._names):
            flags[:, column] = valid[name].reshape(-1)
        tokens = self.encode(features, flags)  # (B * S, D)
        return tokens.reshape(*shape, tokens.shape[-1])

    def predict_clip(self, clip: Clip) -> list[Prediction]:
        """One prediction per window of a recording; see `iter_clip`."""
        return list(self.iter_clip(clip))

    def iter_clip(self, clip: Clip) -> Iterator[Prediction]:
        """One prediction per window of a recording, in order, as they are computed, in bounded memory.

        Windows without a usable step are skipped. Raises DataError, instead of the first prediction, if the recording
        is shorter than a window or has no usable step.
        """
        yield from self.iter_prepared(self.windows_of_clip(clip))

    def windows_of_clip(self, clip: Clip) -> Iterator[Windows]:
        """The windows that `iter_clip` predicts, prepared, in batches; same errors."""
        return usable_batches(
            lambda most: cut_clip(clip, self._info, self.manifest.normalisation, most), self._info, clip.name
        )

    def iter_prepared(self, batches: Iterable[Windows]) -> Iterator[Prediction]:
        """One prediction per window of batches of prepared windows."""
        for windows in batches:
            probabilities = self.probabilities(self.predict_prepared(windows))
            spans = zip(windows.start_s.tolist(), windows.end_s.tolist(), strict=True)
            yield from (self.prediction(row, *span) for row, span in zip(probabilities, spans, strict=True))

    def predict_windows(self, signals: dict[str, Any], times_s: dict[str, Any] | None = None) -> list[Prediction]:
        """One prediction per window; see `predict` for the arguments and errors."""
        return list(self.iter_windows(signals, times_s))

    def iter_windows(
        self, signals: Mapping[str, Any], times_s: Mapping[str, Any] | None = None
    ) -> Iterator[Prediction]:
        """`predict_windows`, each prediction as it is computed, in bounded memory beside the arrays.

        Arrays of a continuous recording are read block by block and never copied; they may be memory-mapped files.
        """
        yield from self.iter_prepared(self.windows_of(signals, times_s))

    def windows_of(self, signals: Mapping[str, Any], times_s: Mapping[str, Any] | None = None) -> Iterator[Windows]:
        """The windows that `iter_windows` predicts, in batches; see `predict` for the arguments and errors."""
        self._check_names(signals, times_s)
        parts = as_parts(signals, times_s, self._info) if self.manifest.window.kind == "sliding" else None
        if parts is not None:
            yield from self.windows_of_parts(parts)
            return
        clip, start_s = as_clip(signals, times_s, self._info)
        yield from _later(self.windows_of_clip(clip), start_s)

    def windows_of_parts(self, parts: Mapping[str, ReadParts]) -> Iterator[Windows]:
        """`windows_of` a continuous recording that is read part by part, in bounded memory.

        Args:
            parts: modality -> a function that reads its samples from the start; see
                `edgehar.deploy.samples.sample_parts`. It is called twice, first to check all samples.
        """
        recording, start_s = open_long(parts, self._info, self.manifest.normalisation)
        clip = Clip("recording", "", "", {}, {})
        batches = usable_batches(lambda most: cut_steps(recording, clip, self._info, most), self._info, clip.name)
        yield from _later(batches, start_s)

    def predict(self, signals: dict[str, Any], times_s: dict[str, Any] | None = None) -> Prediction:
        """Predict the activity of a recording; with sliding windows, from the mean of their probabilities.

        Args:
            signals: modality -> (T, C), or (T, G, 2 or 3) for a skeleton, in the units of the manifest; any subset of
                the package's modalities. A sample with a value that is not finite counts as lost; of a skeleton, that
                joint.
            times_s: modality -> (T,) seconds on one clock, not decreasing; if None, samples have the nominal rates.
                Different samples with one time are spread until the next (`edgehar.signals.coarse_clock`). Packages
                of kind "clip" stretch the recording from its first to its last time; there, a sensor may have no
                times, and spans the whole recording.

        Raises DataError for an unknown modality, a wrong shape, or a recording without usable samples.
        """
        windows = self.predict_windows(signals, times_s)
        if len(windows) == 1:
            return windows[0]
        mean = np.stack([window.probabilities for window in windows]).mean(axis=0, dtype=np.float32)  # (K,)
        return self.prediction(mean, windows[0].start_s, windows[-1].end_s)

    def prediction(
        self, probabilities: Floats, start_s: float, end_s: float, class_index: int | None = None
    ) -> Prediction:
        """The prediction for (K,) probabilities: the given class, else the most probable; "unknown" below threshold."""
        index = int(probabilities.argmax()) if class_index is None else class_index
        score = float(probabilities[index])
        label = self.manifest.labels[index] if self.above_threshold(score) else UNKNOWN
        return Prediction(label, score, probabilities, start_s, end_s)

    def above_threshold(self, score: float) -> bool:
        """Whether a prediction with this score keeps its label: always if the package stores no threshold."""
        calibration = self.manifest.calibration
        return calibration is None or calibration.threshold is None or score >= calibration.threshold

    def check_modalities(self, names: Iterable[str]) -> None:
        """Raise DataError unless every name is a modality of the package."""
        unknown = [name for name in names if name not in self._names]
        if unknown:
            raise DataError(
                f"modality {', '.join(map(repr, unknown))}: the package has {', '.join(self._names)}; rename it"
            )

    def _check_names(self, signals: Mapping[str, Any], times_s: Mapping[str, Any] | None) -> None:
        """Raise DataError unless signals and times are dicts of the package's modalities that go together."""
        check_mapping(signals, "signals")
        self.check_modalities(signals)
        if times_s is None:
            return
        names = set(check_mapping(times_s, "times_s"))
        if names != set(signals) if self.manifest.window.kind == "sliding" else not names <= set(signals):
            raise DataError(
                f"times_s for {sorted(times_s)}, signals for {sorted(signals)}; expected the same modalities"
            )


def _later(batches: Iterator[Windows], start_s: float) -> Iterator[Windows]:
    """The windows with their times on a clock on which the recording starts at `start_s`."""
    for windows in batches:
        yield replace(windows, start_s=windows.start_s + start_s, end_s=windows.end_s + start_s)
