"""A head whose last layer is computed in numpy, with the activities and corrections of a person."""

from collections.abc import Sequence

import numpy as np

from edgehar.deploy.personal.classifier import ROUGH_STRENGTH, STRENGTH, Centre, personal_classifier
from edgehar.deploy.personal.features import split_head
from edgehar.deploy.runtime.session import BoundGraph, GraphSession, expected_interface
from edgehar.errors import PackageError
from edgehar.package.folder import FEATURES, PARITY, EdgePackage
from edgehar.package.personal import Personal
from edgehar.signals.clip import Floats


class PersonalHead:
    """Takes the place of the head's session; its logits are those of the package's labels, then of the new ones.

    Args:
        package: the opened package; its fp32 head is used.
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
        package: EdgePackage,
        personal: Personal,
        threads: int = 1,
        providers: Sequence[str] | None = None,
    ) -> None:
        """Split the head and open the graph of its features."""
        manifest, path = package.manifest, package.graph("head", "fp32")
        split = split_head(package.read(path.name), str(path))
        self._session = GraphSession(path, threads, providers, split.graph)
        found, expected = self._session.interface, expected_interface(manifest, "head")
        if found.inputs != expected.inputs or len(split.weight) != len(manifest.labels):
            raise PackageError(f"{path}: found {found}; the manifest expects {expected}; export the model again")
        if personal.width != split.weight.shape[1]:
            raise PackageError(
                f"{path}: {split.weight.shape[1]} features; the personal file has {personal.width}; enrol again"
            )
        self.labels = (*manifest.labels, *personal.new_labels(manifest))
        self.providers = self._session.providers
        self._split, self._trained = split, manifest.labels
        self._centre = self._centre_of(package)
        self.weight, self.bias = self.classifier_of(personal)

    def _centre_of(self, package: EdgePackage) -> Centre:
        """The centre that the export stored; in packages without one, that of their synthetic windows."""
        is_stored = FEATURES in package.manifest.files
        name = FEATURES if is_stored else PARITY
        found = package.arrays(name).get("centre" if is_stored else "tokens")
        shape = (
            self._split.weight.shape[1:]
            if is_stored
            else expected_interface(package.manifest, "head").inputs["tokens"][1:]
        )
        usable = found is not None and found.dtype == np.float32 and found.shape[not is_stored :] == shape
        if found is None or not usable or not len(found):
            raise PackageError(f"{package.path / name}: no usable centre of features; export the model again")
        features: Floats = found if is_stored else self.features(found).mean(0)
        if not np.isfinite(features).all():
            raise PackageError(f"{package.path / name}: features that are not finite; export the model again")
        return Centre(features, STRENGTH if is_stored else ROUGH_STRENGTH)

    def classifier_of(self, personal: Personal) -> tuple[Floats, Floats]:
        """Weights (K', F) and biases (K',) with what was learnt."""
        return personal_classifier(self._split.weight, self._split.bias, self._trained, self._centre, personal)

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

    def bind(self, inputs: dict[str, Floats]) -> BoundGraph:
        """As `GraphSession.bind`."""
        features = self._session.bind(inputs)
        return lambda: self.classify(features())
