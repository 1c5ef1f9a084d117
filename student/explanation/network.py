"""A student checkpoint with the interface of a package's recogniser, for occlusion and rescaling."""

import torch

from edgehar.signals.clip import Floats
from edgehar.student.network.model import StudentNetwork


class TorchNetwork:
    """Encoder and head of a student on arrays, see `edgehar.explanation.probe.Network`."""

    def __init__(self, network: StudentNetwork) -> None:
        """A network in evaluation mode."""
        self._network = network

    @torch.no_grad()
    def encode(self, features: dict[str, Floats], valid: Floats) -> Floats:
        """Tokens (N, D) of steps: modality -> (N, P, G, F), and (N, M)."""
        flat = {name: torch.from_numpy(array).flatten(1) for name, array in features.items()}
        return self._network.encoder(flat, torch.from_numpy(valid)).numpy()

    @torch.no_grad()
    def classify(self, tokens: Floats) -> Floats:
        """Logits (B, K) of windows (B, S, D)."""
        return self._network.head(torch.from_numpy(tokens)).numpy()
