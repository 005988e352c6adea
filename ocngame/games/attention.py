r"""Attention spelled out: projections are linear stages, what lies between is a fixed function.

    out = W_o concat_h softmax(q_h k_h' / sqrt(d) + mask) v_h + b_o,     [q, k, v] = W_in x + b_in

(Vaswani et al., 2017, section 3.2). Where query, key and value differ, the input projection is used
once for each, and of every use its own block of outputs is kept.
"""

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from ocngame.games.twins import SharedLinear, Traced, Twin

__all__ = ["attend", "attention_twin"]


@fx.wrap
def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    heads: int,
    mask: Tensor | None = None,
    padding: Tensor | None = None,
    dropout: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Give what the heads attend to.

    Args:
        query: Shape (B, L, E).
        key: Shape (B, S, E).
        value: Shape (B, S, E).
        heads: Number h of heads.
        mask: True or minus infinity where no attention goes, shape (L, S) or (B h, L, S).
        padding: True or minus infinity at keys that are padding, shape (B, S).
        dropout: Probability that a weight is dropped.

    Returns:
        The heads' values side by side, shape (B, L, E), and the weights, shape (B, h, L, S).
    """
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (query, key, value))
    scores = (q * q.shape[-1] ** -0.5) @ k.mT
    if mask is not None:
        shaped = mask.view(-1, heads, *mask.shape[1:]) if mask.ndim == 3 else mask
        scores = _masked(scores, shaped)
    if padding is not None:
        scores = _masked(scores, padding[:, None, None, :])
    weights = F.dropout(scores.softmax(-1), dropout, training=dropout > 0)
    return (weights @ v).transpose(1, 2).flatten(2), weights


def _masked(scores: Tensor, mask: Tensor) -> Tensor:
    if mask.dtype == torch.bool:
        return scores.masked_fill(mask, float("-inf"))
    return scores + mask


def attention_twin(module: nn.MultiheadAttention) -> Twin | None:
    """Give the twin of a multi-head attention.

    Args:
        module: The module.

    Returns:
        Its twin; None if keys and values have sizes of their own or extra entries.
    """
    if module.in_proj_weight is None or module.bias_k is not None or module.add_zero_attn:
        return None
    layers = {"in_proj": SharedLinear(module.in_proj_weight, module.in_proj_bias)}
    return Twin(module, partial(_forward, module), layers)


def _forward(
    self: Any,
    query: Traced,
    key: Traced,
    value: Traced,
    key_padding_mask: Traced = None,
    need_weights: bool = True,
    attn_mask: Traced = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,  # noqa: ARG001 - a hint beside the mask
) -> tuple[Traced, Traced]:
    distinct = {id(x): x if self.batch_first else x.transpose(0, 1) for x in (query, key, value)}
    projected = {name: self.in_proj(x).chunk(3, -1) for name, x in distinct.items()}
    q, k, v = (projected[id(x)][i] for i, x in enumerate((query, key, value)))
    dropout = self.dropout if self.training else 0.0
    reached, weights = attend(q, k, v, self.num_heads, attn_mask, key_padding_mask, dropout)
    out = self.out_proj(reached)
    out = out if self.batch_first else out.transpose(0, 1)
    if not need_weights:
        return out, None
    return out, weights.mean(1) if average_attn_weights else weights
