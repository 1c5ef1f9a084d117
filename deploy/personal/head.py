"""A head whose last layer is computed in numpy, with the activities and corrections of a person."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgehar.deploy.personal.classifier import personal_classifier
from edgehar.deploy.personal.features import split_head
from edgehar.deploy.runtime.session import GraphSession, expected_interface
from edgehar.errors import PackageError
from edgehar.package.manifest import Manifest
from edgehar.package.personal import Personal
from edgehar.signals.clip import Floats


class PersonalHead:
    """Takes the place of the head's session; its logits are those of the package's labels, then of the new ones.

    Args:
        path: the ONNX file of the fp32 head; only its name in messages.
        data: its bytes.
        manifest: of the package.
        personal: what was learnt.
        threads: onnxruntime's threads.
        providers: execution providers in order of preference.

    Attributes:
        labels: of the logits.
        providers: the execution providers that compute the features.

    Raises PackageError if the head does not end with a linear layer, or has another width than the personal file.
    """

    def __init__(
        self,
        path: Path,
        data: bytes,
        manifest: Manifest,
        personal: Personal,
        threads: int = 1,
        providers: Sequence[str] | None = None,
    ) -> None:
        """Split the head and open the graph of its features."""
        split = split_head(data, str(path))
        self._session = GraphSession(path, threads, providers, split.graph)
        found, expected = self._session.interface, expected_interface(manifest, "head")
        if found.inputs != expected.inputs or len(split.weight) != len(manifest.labels):
            raise PackageError(f"{path}: found {found}; the manifest expects {expected}; export the model again")
        if personal.width != split.weight.shape[1]:
            raise PackageError(
                f"{path}: {split.weight.shape[1]} features; the personal file has {personal.width}; enrol again"
            )
        self.labels = (*manifest.labels, *personal.new_labels(manifest))
        self.weight, self.bias = personal_classifier(split.weight, split.bias, manifest.labels, personal)
        self.providers = self._session.providers

    def features(self, tokens: Floats) -> Floats:
        """The input of the classifier (B, F), before any adaptation, of windows of tokens (B, S, D)."""
        return self._session.run({"tokens": tokens})

    def classify(self, features: Floats) -> Floats:
        """Logits (B, K) of features (B, F)."""
        logits: Floats = (features @ self.weight.T + self.bias).astype(np.float32, copy=False)
        return logits

    def run(self, inputs: dict[str, Floats]) -> Floats:
        """Logits (B, K) of windows, as a session of the whole head."""
        return self.classify(self._session.run(inputs))
