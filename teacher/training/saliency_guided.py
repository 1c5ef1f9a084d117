"""Saliency-guided training: a network keeps its prediction when the tokens that it needs least are masked.

After Ismail et al. (arXiv 2111.14338, section 3): the tokens of lowest gradient are masked, and the divergence of the
predictions for the whole and the masked window is a further loss. A token is a joint, or a triaxial sensor, in a step.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgehar.config import Options, option
from edgehar.teacher.training.processes import ProcessGroup

Window = dict[str, Tensor]
"""Modality -> features (B, S, P, G, F), or validity (B, S)."""


@dataclass(frozen=True)
class GuidedConfig(Options):
    """Saliency-guided training."""

    guided: float = option(0.0, "weight of saliency-guided training, about three times as slow; 0 for none", at_least=0)
    guided_share: float = option(0.5, "share of the tokens that it masks, of lowest gradient", above=0, below=1)
    guided_adaptive: bool = option(
        False, "mask this share times the probability of the label, so that windows that are not learnt stay whole"
    )


def _importance(network: nn.Module, features: Window, valid: Window) -> tuple[Window, Tensor]:
    """Absolute gradients (B, S, G) of the predicted class's logit, and the predictions (B, K)."""
    inputs = {name: tokens.detach().requires_grad_() for name, tokens in features.items()}
    with torch.enable_grad():
        logits: Tensor = network(inputs, valid).logits
        gradients = torch.autograd.grad(logits.amax(1).sum(), list(inputs.values()))
    maps = {name: gradient.abs().sum((2, 4)) for name, gradient in zip(inputs, gradients, strict=True)}
    return maps, logits.detach().softmax(1)


def mask_least_important(
    network: nn.Module,
    features: Window,
    valid: Window,
    target: Tensor,
    config: GuidedConfig,
    generator: torch.Generator,
) -> Window:
    """The windows with their least important tokens masked: replaced by the same tokens of another window.

    So a masked token is within the token's range, as in the paper, and every token has the same distribution as before,
    which batch normalisation needs. Tokens of invalid steps, of either window, are left alone.

    Args:
        network: called with features and validity; its output has `logits`.
        features: modality -> (B, S, P, G, F).
        valid: modality -> (B, S).
        target: (B, K) probabilities, zeros where unlabelled.
        config: the share to mask. If adaptive, it is multiplied by the probability that the network gives the target,
            which is high where accuracy is high and loss low: what SMOOT (arXiv 2310.00772) asks of a batch, here asked
            of each window, so that no state is carried from update to update. Unlabelled windows then stay whole.
        generator: chooses the other windows (CPU).
    """
    importance, probabilities = _importance(network, features, valid)
    other = torch.randperm(len(target), generator=generator).to(target.device)
    usable = {name: valid[name] & valid[name][other] for name in features}  # (B, S)
    ranked = [part.masked_fill(~usable[name][..., None], torch.inf).flatten(1) for name, part in importance.items()]
    order = torch.cat(ranked, 1).argsort(1).argsort(1)  # (B, tokens), 0 for the least important
    share = config.guided_share * ((probabilities * target).sum(1) if config.guided_adaptive else 1.0)
    usable_tokens = torch.stack([flags.sum(1) * importance[name].shape[2] for name, flags in usable.items()]).sum(0)
    masked = order < (share * usable_tokens).round()[:, None]
    flags = masked.split([part.shape[1] for part in ranked], 1)
    return {
        name: torch.where(flag.view(importance[name].shape)[:, :, None, :, None], tokens[other], tokens)
        for (name, tokens), flag in zip(features.items(), flags, strict=True)
    }


def _first_half(value: Any) -> Any:
    """What belongs to the first half of a batch, in a tensor or a dict of tensors."""
    if isinstance(value, Tensor):
        return value.chunk(2)[0]
    return {name: part.chunk(2)[0] for name, part in value.items()}


@dataclass(frozen=True)
class Guide:
    """Calls a network in training, with masked copies of its windows if training is guided by saliency.

    Attributes:
        network: the network itself, not wrapped for several processes; its output's first field is `logits`.
        config: weight and share.
        processes: the processes that train together.
    """

    network: nn.Module
    config: GuidedConfig
    processes: ProcessGroup

    def __call__(
        self, model: nn.Module, features: Window, valid: Window, target: Tensor, generator: torch.Generator
    ) -> tuple[tuple[Any, ...], Tensor | float]:
        """The output for this process's windows of a batch, and the weighted divergence to add to its loss.

        Args:
            model: the network as it is trained, wrapped or not.
            features: modality -> (B, S, P, G, F), of all processes.
            valid: modality -> (B, S).
            target: (B, K), as in `mask_least_important`.
            generator: of the update.
        """
        own, own_valid = self.processes.shard_all(features), self.processes.shard_all(valid)
        if not self.config.guided:
            return tuple(model(own, own_valid)), 0.0
        masked = mask_least_important(self.network, features, valid, target, self.config, generator)
        both = {name: torch.cat([tokens, self.processes.shard(masked[name])]) for name, tokens in own.items()}
        output = tuple(model(both, {name: flags.repeat(2, 1) for name, flags in own_valid.items()}))
        whole, kept = output[0].log_softmax(1).chunk(2)
        divergence = functional.kl_div(kept, whole, reduction="batchmean", log_target=True)
        return tuple(map(_first_half, output)), self.config.guided * divergence
