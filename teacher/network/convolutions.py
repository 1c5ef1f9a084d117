"""Convolutions over the frames of a patch, and over the tokens of a window.

A linear layer on a patch sees a movement that comes a frame later as another one. Convolutions pooled over the patch
do not, as in ROCKET (arXiv 1910.13051), whose features are the maximum and the share of positive values of many
convolutions. The step remains the unit of a stream: nothing here looks beyond the patch, and tokens are combined in the
student's head, from which a stream computes one window per hop.

Training normalises each convolution's output over the batch (arXiv 1502.03167); `fold_norms` then merges that into the
weights, so that stored and exported networks have none.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edgehar.errors import ConfigError
from edgehar.signals.modality import ModalitySpec

SMALLEST_SQUARE = 1e-6
"""Added under the root of a magnitude, whose slope at 0 is infinite."""


def magnitudes(frames: Tensor, spec: ModalitySpec) -> Tensor:
    """Root-mean-square over the axes of each triaxial sensor's values and motions, (N, P, G*F) -> (N, P, G*2).

    They do not depend on how the sensor is turned.
    """
    axes = frames.unflatten(2, (spec.groups * 2, spec.group))
    return ((axes * axes).mean(3) + SMALLEST_SQUARE).sqrt()


class Convolution(nn.Module):
    """A convolution over the second-to-last axis that keeps its length, with batch normalisation while it trains."""

    def __init__(self, channels: int, units: int, kernel: int) -> None:
        """A layer of `units` outputs and a kernel of odd length."""
        super().__init__()
        self.convolution = nn.Conv1d(channels, units, kernel, padding=kernel // 2)
        self.norm: nn.Module = nn.Identity()

    def forward(self, frames: Tensor) -> Tensor:
        """(N, L, C) -> (N, L, units)."""
        return self.norm(self.convolution(frames.transpose(1, 2))).transpose(1, 2)


class PatchConvolutions(nn.Module):
    """First layers of a modality: convolutions over the frames of a patch, then maximum and mean over the patch."""

    def __init__(self, spec: ModalitySpec, units: int, layers: int, kernel: int) -> None:
        """Layers of equal width; a triaxial sensor's magnitudes are inputs, too."""
        super().__init__()
        self.spec = spec
        self.has_magnitudes = spec.group == 3 and not spec.is_skeleton
        channels = spec.groups * (spec.features + spec.lost_joints + 2 * self.has_magnitudes)
        self.layers = nn.ModuleList(Convolution(units if index else channels, units, kernel) for index in range(layers))

    @property
    def typed_layers(self) -> list[Convolution]:
        """`layers` as a list of their type."""
        return cast(list[Convolution], list(self.layers))

    def frames(self, features: Tensor) -> Tensor:
        """Inputs of the first convolution, (N, P*G*F) -> (N, P, C); a lost joint has a 1 in each of its frames."""
        spec = self.spec
        frames = features.unflatten(1, (spec.patch, spec.groups * spec.features))  # (N, P, G*F)
        if self.has_magnitudes:
            return torch.cat([frames, magnitudes(frames, spec)], 2)
        if spec.lost_joints:
            largest = frames.unflatten(2, (spec.groups, spec.features)).abs().amax(3)  # (N, P, G)
            return torch.cat([frames, 1 - (largest > 0).to(frames.dtype)], 2)
        return frames

    def forward(self, features: Tensor) -> Tensor:
        """(..., P*G*F) -> (..., 2 * units)."""
        frames = self.frames(features.flatten(0, -2))
        for layer in self.typed_layers:
            frames = functional.gelu(layer(frames))
        return torch.cat([frames.amax(1), frames.mean(1)], 1).unflatten(0, features.shape[:-1])


class TokenConvolution(nn.Module):
    """Residual convolution over the step tokens of a window."""

    def __init__(self, width: int, kernel: int) -> None:
        """A layer of `width` channels."""
        super().__init__()
        self.layer = Convolution(width, width, kernel)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, S, D) -> (B, S, D)."""
        return tokens + functional.gelu(self.layer(tokens))


def token_convolutions(layers: int, width: int, kernel: int) -> nn.Sequential:
    """Half as many convolutions over step tokens, rounded up, as over the frames of a patch."""
    return nn.Sequential(*(TokenConvolution(width, kernel) for _ in range((layers + 1) // 2)))


def check_kernel(kernel: int) -> None:
    """Raise ConfigError for an even length, which would shift the frames."""
    if kernel % 2 == 0:
        raise ConfigError(f"--kernel {kernel}: expected an odd number")


def convolutions_of(network: nn.Module) -> list[Convolution]:
    """All convolutions of a network."""
    return [module for module in network.modules() if isinstance(module, Convolution)]


def add_norms(network: nn.Module) -> None:
    """Give every convolution a batch normalisation to train with."""
    for layer in convolutions_of(network):
        layer.norm = nn.BatchNorm1d(layer.convolution.out_channels)


def fold_norms(network: nn.Module) -> None:
    """Merge the batch normalisations into the convolutions; the outputs stay those of evaluation."""
    for layer in convolutions_of(network):
        if isinstance(layer.norm, nn.BatchNorm1d):
            layer.convolution = fuse_conv_bn_eval(layer.convolution.eval(), layer.norm.eval())
            layer.norm = nn.Identity()
