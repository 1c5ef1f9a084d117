"""The same student in fewer nodes, for export: on a small network a node costs more than its arithmetic.

What is merged, and why the answers stay:

- widening: the layers of all modalities are one layer on what they give side by side. `valid` joins as further inputs,
  whose weights lead from the vector of a missing modality to the bias of one that is there.
- attention: queries and keys meet in a product only, so the matrix that makes a key is moved into the one that makes a
  query, and the one that makes a value into the projection. What is left of keys and values is the tokens themselves,
  the same for all heads, and nothing is split, transposed or put together again. The bias of the keys adds the same to
  a whole row of scores, which softmax drops; the bias of the values passes, because a row of weights adds up to one.
- the mean over the window: taken before the last linear layer instead of behind it.
- GELU: written in the order that onnxruntime and TensorRT know as one operation.

Linear layers see two axes only, where bias and product are one node. Training keeps `network.model`, whose layers and
heads can be pruned; these are made from it and go into a graph.
"""

import math
from typing import cast

import torch
from torch import Tensor, nn

from edgehar.student.network.model import Encoder, Head
from edgehar.teacher.network.layers import Attention, Block, FeedForward


def gelu(values: Tensor) -> Tensor:
    """Hendrycks and Gimpel 2016 (arXiv 1606.08415), exact form."""
    return values * (torch.erf(values / math.sqrt(2)) + 1) * 0.5


def mean_of(rows: Tensor, steps: int) -> Tensor:
    """The mean over the steps of a window, (B*S, D) -> (B, D)."""
    return rows.reshape(-1, steps, rows.shape[1]).mean(1)


def linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    """A layer with these (O, I) weights and (O,) biases in float32."""
    outputs, inputs = weight.shape
    layer = nn.Linear(inputs, outputs)
    layer.weight, layer.bias = nn.Parameter(weight.float().contiguous()), nn.Parameter(bias.float())
    return layer


class FusedFeedForward(nn.Module):
    """A normalised feed-forward part, added to its input, as in `EncoderBlock` and `Block`."""

    def __init__(self, norm: nn.LayerNorm, feedforward: FeedForward) -> None:
        """Take the weights of a block."""
        super().__init__()
        self.norm, self.expand, self.contract = norm, feedforward.expand, feedforward.contract

    def forward(self, rows: Tensor) -> Tensor:
        """(N, D) -> (N, D)."""
        return rows + self.contract(gelu(self.expand(self.norm(rows))))

    def mean(self, rows: Tensor, steps: int) -> Tensor:
        """(B*S, D) -> the mean over the steps of `forward`, (B, D)."""
        hidden = gelu(self.expand(self.norm(rows)))  # (B*S, U)
        return mean_of(rows, steps) + self.contract(mean_of(hidden, steps))


class FusedEncoder(nn.Module):
    """One step of every modality -> one token, as `edgehar.student.network.model.Encoder`."""

    def __init__(self, encoder: Encoder) -> None:
        """Take the weights of a student's encoder."""
        super().__init__()
        projections = [cast(nn.Linear, encoder.modality_projection[name]) for name in encoder.names]
        missing = torch.stack([encoder.missing[name].detach() for name in encoder.names], 1)  # (W, M)
        there = torch.stack([layer.bias.detach() for layer in projections], 1)  # (W, M)
        weight = torch.cat([*(layer.weight.detach() for layer in projections), there - missing], 1)
        self.stems = nn.ModuleList(encoder.stem[name] for name in encoder.names)
        self.modality_projection = linear(weight, missing.sum(1))
        self.blocks = nn.ModuleList(FusedFeedForward(block.norm, block.feedforward) for block in encoder.parts)
        self.norm, self.token_projection = encoder.norm, encoder.token_projection

    def forward(self, *inputs: Tensor) -> Tensor:
        """Every modality's (N, P*G*F), then valid (N, M) -> token (N, D)."""
        *features, valid = inputs
        flags = valid.split(1, 1)  # (N, 1) each
        seen = [gelu(stem(part)) * flag for stem, part, flag in zip(self.stems, features, flags, strict=True)]
        fused = self.modality_projection(torch.cat([*seen, valid], 1))  # (N, W)
        for block in self.blocks:
            fused = block(fused)
        return self.token_projection(self.norm(fused))


class FusedAttention(nn.Module):
    """Multi-head self-attention whose keys and values are the tokens themselves, as `layers.Attention`."""

    def __init__(self, attention: Attention) -> None:
        """Multiply the matrices of keys and values into those of queries and projection."""
        super().__init__()
        self.heads, shape = attention.heads, (attention.heads, attention.head_dim)
        query, key, value = attention.qkv.weight.detach().double().reshape(3, *shape, -1)  # (H, C, D) each
        query_bias, _, value_bias = attention.qkv.bias.detach().double().reshape(3, *shape)  # (H, C) each
        key = key / math.sqrt(attention.head_dim)
        project = attention.project.weight.detach().double().reshape(-1, *shape)  # (D, H, C)
        self.query_key = linear(
            torch.einsum("hck,hcd->hkd", key, query).flatten(0, 1),  # (H*D, D)
            torch.einsum("hck,hc->hk", key, query_bias).flatten(),
        )
        self.value_projection = linear(
            torch.einsum("ohc,hcd->ohd", project, value).flatten(1),  # (D, H*D)
            torch.einsum("ohc,hc->o", project, value_bias) + attention.project.bias.detach(),
        )

    def forward(self, rows: Tensor, steps: int) -> Tensor:
        """(B*S, D) -> (B*S, D)."""
        width = rows.shape[1]
        tokens = rows.reshape(-1, steps, width)  # (B, S, D)
        queries = self.query_key(rows).reshape(-1, steps * self.heads, width)  # (B, S*H, D)
        weight = (queries @ tokens.transpose(1, 2)).softmax(-1)  # (B, S*H, S)
        return self.value_projection((weight @ tokens).reshape(-1, self.heads * width))


class FusedBlock(nn.Module):
    """One transformer block, as `edgehar.teacher.network.layers.Block`."""

    def __init__(self, block: Block) -> None:
        """Take the weights of a block."""
        super().__init__()
        self.norm, self.attention = block.attention_norm, FusedAttention(block.attention)
        self.feedforward = FusedFeedForward(block.feedforward_norm, block.feedforward)

    def attend(self, rows: Tensor, steps: int) -> Tensor:
        """(B*S, D) -> (B*S, D), without the feed-forward part."""
        return rows + self.attention(self.norm(rows), steps)

    def forward(self, rows: Tensor, steps: int) -> Tensor:
        """(B*S, D) -> (B*S, D)."""
        return self.feedforward(self.attend(rows, steps))


class FusedHead(nn.Module):
    """The tokens of a window -> logits, as `edgehar.student.network.model.Head`."""

    def __init__(self, head: Head) -> None:
        """Take the weights of a student's head."""
        super().__init__()
        *earlier, last = (FusedBlock(block) for block in head.parts)
        self.position_embedding, self.earlier, self.last = head.position_embedding, nn.ModuleList(earlier), last
        self.norm, self.classifier = head.norm, head.classifier

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, S, D) -> logits (B, K)."""
        steps, width = self.position_embedding.shape
        rows = (tokens + self.position_embedding).reshape(-1, width)  # (B*S, D)
        for block in self.earlier:
            rows = block(rows, steps)
        fused = self.last.feedforward.mean(self.last.attend(rows, steps), steps)  # (B, D)
        return self.classifier(self.norm(fused))
