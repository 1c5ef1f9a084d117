"""The student network rewritten in fewer nodes for export: on a small network, nodes cost more than arithmetic.

The outputs are those of `network.model` up to rounding, because:

- Modality projections: the layers of all modalities become one layer on their concatenated inputs. `valid` is
  concatenated too; its weights switch between the vector of a missing modality and the bias of a present one.
- Attention: queries and keys occur only in a product, so the key matrix is multiplied into the query matrix, and the
  value matrix into the output projection. The tokens themselves then serve as keys and values of all heads, and no
  split, transpose or concatenation remains. The key bias adds the same number to a whole row of scores, which softmax
  ignores; the value bias passes through, because the weights of a row sum to 1.
- Lost joints: the stem gets a 1 for each known joint, any of whose features is above 0, instead of each lost one.
- Convolutions stay as they are, but for patches up to the kernel's length: there, a linear layer from all frames to all
  frames has fewer multiply-adds than a convolution that also multiplies the zeros beyond the edges, and onnxruntime
  computes it up to seven times as fast. Their batch normalisation was merged after training.
- Mean over the window: moved in front of the last linear layer, and written as a product, since onnxruntime's mean
  rounds otherwise for one window than for several.
- GELU: written in the order that onnxruntime and TensorRT recognise as one operator.

Linear layers get two axes only, for which product and bias are one node (Gemm). Training and pruning use
`network.model`; these modules are built from it for export.
"""

import math
from typing import cast

import torch
from torch import Tensor, nn

from edgehar.student.network.model import Encoder, Head
from edgehar.teacher.network.convolutions import PatchConvolutions, TokenConvolution
from edgehar.teacher.network.layers import Attention, Block, FeedForward


def gelu(values: Tensor) -> Tensor:
    """GELU, exact form (Hendrycks and Gimpel, arXiv 1606.08415)."""
    return values * (torch.erf(values / math.sqrt(2)) + 1) * 0.5


def window_mean(rows: Tensor, steps: int) -> Tensor:
    """The mean over the steps of each window, (B*S, D) -> (B, D); the bits do not depend on B."""
    width = rows.shape[1]
    return (torch.full((1, steps), 1 / steps) @ rows.reshape(-1, steps, width)).reshape(-1, width)


def linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    """A layer with these (O, I) weights and (O,) biases in float32."""
    outputs, inputs = weight.shape
    layer = nn.Linear(inputs, outputs)
    layer.weight, layer.bias = nn.Parameter(weight.float().contiguous()), nn.Parameter(bias.float())
    return layer


class FusedFeedForward(nn.Module):
    """Residual pre-norm feed-forward block, as in `EncoderBlock` and `Block`."""

    def __init__(self, norm: nn.LayerNorm, feedforward: FeedForward) -> None:
        """The same block with the layers of an existing one."""
        super().__init__()
        self.norm, self.expand, self.contract = norm, feedforward.expand, feedforward.contract

    def forward(self, rows: Tensor) -> Tensor:
        """(N, D) -> (N, D)."""
        return rows + self.contract(gelu(self.expand(self.norm(rows))))

    def mean(self, rows: Tensor, steps: int) -> Tensor:
        """(B*S, D) -> the mean over the steps of `forward`, (B, D)."""
        hidden = gelu(self.expand(self.norm(rows)))  # (B*S, U)
        return window_mean(rows, steps) + self.contract(window_mean(hidden, steps))


def dense_convolution(convolution: nn.Conv1d, frames: int) -> nn.Linear:
    """The layer (N, P*C) -> (N, P*O) that a convolution is for P = `frames`, with zeros beyond them."""
    kernel = convolution.weight.detach()  # (O, C, k)
    outputs, channels, length = kernel.shape
    weight = torch.zeros(frames, outputs, frames, channels)
    for place in range(frames):
        first = place - length // 2  # the frame that the kernel begins at
        for frame in range(max(first, 0), min(first + length, frames)):
            weight[place, :, frame] = kernel[:, :, frame - first]
    assert convolution.bias is not None
    return linear(weight.flatten(2).flatten(0, 1), convolution.bias.detach().repeat(frames))


class FusedPatchConvolutions(nn.Module):
    """First layers of a modality, as `edgehar.teacher.network.convolutions.PatchConvolutions`."""

    def __init__(self, stem: PatchConvolutions) -> None:
        """The fused form of trained layers without batch normalisation, which are not changed."""
        super().__init__()
        self.frames, self.patch = stem.frames, stem.spec.patch
        convolutions = [layer.convolution for layer in stem.typed_layers]
        self.is_dense = self.patch <= convolutions[0].kernel_size[0]
        self.layers = nn.ModuleList(
            dense_convolution(layer, self.patch) if self.is_dense else layer for layer in convolutions
        )

    def forward(self, features: Tensor) -> Tensor:
        """(N, P*G*F) -> (N, 2 * units)."""
        frames, axis = self.frames(features), 1 if self.is_dense else 2  # (N, P, C)
        frames = frames.flatten(1) if self.is_dense else frames.transpose(1, 2)  # (N, P*C) or (N, C, P)
        for layer in self.layers:
            frames = gelu(layer(frames))
        frames = frames.unflatten(1, (self.patch, -1)) if self.is_dense else frames
        return torch.cat([frames.amax(axis), frames.mean(axis)], 1)


class FusedEncoder(nn.Module):
    """One step of every modality -> one token, as `edgehar.student.network.model.Encoder`."""

    def __init__(self, encoder: Encoder) -> None:
        """The fused form of a trained encoder, which is not changed."""
        super().__init__()
        projections = [cast(nn.Linear, encoder.modality_projection[name]) for name in encoder.names]
        missing = torch.stack([encoder.missing[name].detach() for name in encoder.names], 1)  # (W, M)
        present = torch.stack([layer.bias.detach() for layer in projections], 1)  # (W, M)
        weight = torch.cat([*(layer.weight.detach() for layer in projections), present - missing], 1)
        self.stems = nn.ModuleList(FusedPatchConvolutions(encoder.typed_stems[name]) for name in encoder.names)
        self.modality_projection = linear(weight, missing.sum(1))
        self.blocks = nn.ModuleList(FusedFeedForward(block.norm, block.feedforward) for block in encoder.typed_blocks)
        self.norm, self.token_projection = encoder.norm, encoder.token_projection

    def forward(self, *inputs: Tensor) -> Tensor:
        """Every modality's (N, P*G*F), then valid (N, M) -> token (N, D)."""
        *features, valid = inputs
        flags = valid.split(1, 1)  # (N, 1) each
        stems = [stem(part) * flag for stem, part, flag in zip(self.stems, features, flags, strict=True)]
        fused = self.modality_projection(torch.cat([*stems, valid], 1))  # (N, W)
        for block in self.blocks:
            fused = block(fused)
        return self.token_projection(self.norm(fused))


class FusedAttention(nn.Module):
    """Multi-head self-attention with the tokens as keys and values, as `edgehar.teacher.network.layers.Attention`."""

    def __init__(self, attention: Attention) -> None:
        """The fused form of a trained attention layer."""
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
    """Transformer block, as `edgehar.teacher.network.layers.Block`."""

    def __init__(self, block: Block) -> None:
        """The fused form of a trained block."""
        super().__init__()
        self.norm, self.attention = block.attention_norm, FusedAttention(block.attention)
        self.feedforward = FusedFeedForward(block.feedforward_norm, block.feedforward)

    def attend(self, rows: Tensor, steps: int) -> Tensor:
        """The residual attention alone, (B*S, D) -> (B*S, D)."""
        return rows + self.attention(self.norm(rows), steps)

    def forward(self, rows: Tensor, steps: int) -> Tensor:
        """(B*S, D) -> (B*S, D)."""
        return self.feedforward(self.attend(rows, steps))


class FusedHead(nn.Module):
    """The tokens of a window -> logits, as `edgehar.student.network.model.Head`."""

    def __init__(self, head: Head) -> None:
        """The fused form of a trained head, which is not changed."""
        super().__init__()
        *earlier, last = (FusedBlock(block) for block in head.typed_blocks)
        self.position_embedding, self.earlier, self.last = head.position_embedding, nn.ModuleList(earlier), last
        self.norm, self.classifier = head.norm, head.classifier
        convolutions = cast(list[TokenConvolution], list(head.convolutions))
        self.convolutions = nn.ModuleList(layer.layer.convolution for layer in convolutions)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, S, D) -> logits (B, K)."""
        steps, width = self.position_embedding.shape
        columns = tokens.transpose(1, 2)  # (B, D, S)
        for convolution in self.convolutions:
            columns = columns + gelu(convolution(columns))
        local = [columns.mean(2), columns.amax(2)]
        rows = (columns.transpose(1, 2) + self.position_embedding).reshape(-1, width)  # (B*S, D)
        for block in self.earlier:
            rows = block(rows, steps)
        fused = self.last.feedforward.mean(self.last.attend(rows, steps), steps)  # (B, D)
        return self.classifier(self.norm(torch.cat([*local, fused], 1)))
