"""Torch's transformer blocks spelled out, without the shortcuts that cannot be traced."""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from ocngame.games.twins import Traced, Twin

__all__ = ["TRANSFORMERS", "transformer_twin"]


def transformer_twin(module: nn.Module) -> Twin:
    """Give the twin of an encoder, a decoder or a layer of one.

    Args:
        module: The module, of a class in `TRANSFORMERS`.

    Returns:
        Its twin.
    """
    return Twin(module, partial(TRANSFORMERS[type(module)], module), {})


def _encoder_layer(
    self: Any,
    src: Traced,
    src_mask: Traced = None,
    src_key_padding_mask: Traced = None,
    is_causal: bool = False,  # noqa: ARG001 - a hint
) -> Traced:
    def attended(x: Traced) -> Traced:
        return self.dropout1(_attend(self.self_attn, x, x, src_mask, src_key_padding_mask))

    x = _residual(self, src, attended, self.norm1)
    return _residual(self, x, partial(_feed_forward, self, self.dropout2), self.norm2)


def _decoder_layer(
    self: Any,
    tgt: Traced,
    memory: Traced,
    tgt_mask: Traced = None,
    memory_mask: Traced = None,
    tgt_key_padding_mask: Traced = None,
    memory_key_padding_mask: Traced = None,
    tgt_is_causal: bool = False,  # noqa: ARG001 - a hint
    memory_is_causal: bool = False,  # noqa: ARG001 - a hint
) -> Traced:
    def own(x: Traced) -> Traced:
        return self.dropout1(_attend(self.self_attn, x, x, tgt_mask, tgt_key_padding_mask))

    def across(x: Traced) -> Traced:
        found = _attend(self.multihead_attn, x, memory, memory_mask, memory_key_padding_mask)
        return self.dropout2(found)

    x = _residual(self, tgt, own, self.norm1)
    x = _residual(self, x, across, self.norm2)
    return _residual(self, x, partial(_feed_forward, self, self.dropout3), self.norm3)


def _encoder(
    self: Any,
    src: Traced,
    mask: Traced = None,
    src_key_padding_mask: Traced = None,
    is_causal: bool | None = None,  # noqa: ARG001 - a hint
) -> Traced:
    for layer in self.layers:
        src = layer(src, src_mask=mask, src_key_padding_mask=src_key_padding_mask)
    return src if self.norm is None else self.norm(src)


def _decoder(
    self: Any,
    tgt: Traced,
    memory: Traced,
    tgt_mask: Traced = None,
    memory_mask: Traced = None,
    tgt_key_padding_mask: Traced = None,
    memory_key_padding_mask: Traced = None,
    tgt_is_causal: bool | None = None,  # noqa: ARG001 - a hint
    memory_is_causal: bool = False,  # noqa: ARG001 - a hint
) -> Traced:
    for layer in self.layers:
        tgt = layer(
            tgt, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask
        )
    return tgt if self.norm is None else self.norm(tgt)


def _attend(attention: Any, x: Traced, y: Traced, mask: Any, padding: Any) -> Traced:
    return attention(x, y, y, attn_mask=mask, key_padding_mask=padding, need_weights=False)[0]


def _feed_forward(self: Any, dropout: nn.Module, x: Traced) -> Traced:
    return dropout(self.linear2(self.dropout(self.activation(self.linear1(x)))))


def _residual(
    self: Any, x: Traced, block: Callable[[Traced], Traced], norm: Callable[[Traced], Traced]
) -> Traced:
    return x + block(norm(x)) if self.norm_first else norm(x + block(x))


TRANSFORMERS: dict[type[nn.Module], Callable[..., Traced]] = {
    nn.TransformerEncoderLayer: _encoder_layer,
    nn.TransformerDecoderLayer: _decoder_layer,
    nn.TransformerEncoder: _encoder,
    nn.TransformerDecoder: _decoder,
}
