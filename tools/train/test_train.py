#!/usr/bin/env python3
"""Checks of the recipe that need no training: test_train.py (plain Python, or pytest).

The comparison with the published network needs the package transformers, and is skipped without it.
"""
# SPDX-License-Identifier: MIT
import math

import numpy as np
import torch

import train
from data import chapters
from evaluate import heldout_loss
from model import BitLinear, Config, Model, quantize_activation, quantize_weight


def test_codes():
    x, w = torch.randn(7, 256), torch.randn(64, 256) * 0.02
    xq, xs = quantize_activation(x)
    wq, ws = quantize_weight(w)
    assert xq.abs().amax(-1).eq(127).all() and ((xq * xs - x).abs() <= xs * 0.5001).all()
    assert set(wq.unique().tolist()) == {-1, 0, 1} and ws == w.abs().mean()


def test_matmul_of_codes_is_exact():
    x, layer = torch.randn(7, 256), BitLinear(256, 64, True, 0.02)
    xq, xs = quantize_activation(x)
    wq, ws = quantize_weight(layer.weight.detach())
    exact = (xq.long() @ wq.long().t()) * (xs * ws)
    assert torch.allclose(layer(x, torch.float32), exact, rtol=1e-6, atol=0)
    # bfloat16 sums are exact too, and lose only the last rounding of the result
    assert torch.allclose(layer(x, torch.bfloat16), exact, rtol=2 ** -8, atol=0)


def test_gradient_is_straight_through():
    x, layer = torch.randn(7, 256, requires_grad=True), BitLinear(256, 64, True, 0.02)
    grad = torch.randn(7, 64)
    layer(x, torch.float32).backward(grad)
    xq, xs = quantize_activation(x.detach())
    wq, ws = quantize_weight(layer.weight.detach())
    assert torch.allclose(x.grad, grad @ (wq * ws), atol=1e-5)
    assert torch.allclose(layer.weight.grad, grad.t() @ (xq * xs), atol=1e-5)


def test_windows():
    bos, context = 0, 16
    tokens = np.arange(1, 1001)
    tokens[[0, 300, 700]] = bos
    inputs, targets = train.windows(tokens, bos, context, 3)
    again, _ = train.windows(tokens, bos, context, 3)
    assert (inputs == again).all() and not np.array_equal(inputs, train.windows(tokens, bos, context, 4)[0])
    assert (inputs[:, 0] == bos).all() and (inputs[:, 1:] == targets[:, :-1]).all()
    assert {2, 302, 702} <= set(targets[:, 0].tolist())  # the openings


def test_chapters():
    lines = ["TITLE", "", "VOLUME I", "", "CHAPTER I", "", "It was _so_", "very  late.", "", "  a verse", "  of two", "",
             "CHAPTER II", "", "More.", "", "FINIS", "A NOTE ON THE TEXT", "", "modern"]
    assert [c["text"] for c in chapters("Emma", lines)] == [
        "Emma, Chapter 1\n\nIt was so very late.\n\na verse\nof two", "Emma, Chapter 2\n\nMore."]


def test_heldout_loss():
    """An untrained model with a zero embedding gives every token the same chance."""
    model = Model(Config(vocab=256, hidden=128, layers=1, heads=2, kv_heads=1, ffn=128, context=32))
    model.token_embd.data.zero_()
    assert math.isclose(math.exp(heldout_loss(model, [list(range(70)), [5] * 9], 0)), 256, rel_tol=1e-5)


def test_published_network():
    try:
        from transformers import BitNetConfig, BitNetForCausalLM
        from transformers.integrations.bitnet import AutoBitLinear
    except ImportError:
        print("  transformers is not installed: skipped")
        return
    names = {"attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
             "attn_v": "self_attn.v_proj", "attn_sub_norm": "self_attn.attn_sub_norm", "attn_output": "self_attn.o_proj",
             "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
             "ffn_sub_norm": "mlp.ffn_sub_norm", "ffn_down": "mlp.down_proj"}
    for quantize in (False, True):
        c = Config(vocab=512, layers=2, quantize=quantize)
        model = Model(c).eval()
        for p in model.parameters():
            if p.dim() == 1:
                p.data.uniform_(0.5, 1.5)
        theirs = BitNetForCausalLM(BitNetConfig(
            vocab_size=c.vocab, hidden_size=c.hidden, intermediate_size=c.ffn, num_hidden_layers=c.layers,
            num_attention_heads=c.heads, num_key_value_heads=c.kv_heads, max_position_embeddings=c.context,
            rms_norm_eps=c.eps, rope_parameters={"rope_type": "default", "rope_theta": c.theta},
            tie_word_embeddings=True, bos_token_id=0, eos_token_id=1)).eval()
        if quantize:
            for layer in theirs.model.layers:
                for part in (layer.self_attn, layer.mlp):
                    for name, child in list(part.named_children()):
                        if isinstance(child, torch.nn.Linear):
                            setattr(part, name, AutoBitLinear(child.in_features, child.out_features, bias=False,
                                                              online_quant=True))
        weights = {"model.embed_tokens.weight": model.token_embd, "lm_head.weight": model.token_embd,
                   "model.norm.weight": model.output_norm.weight}
        for i, block in enumerate(model.blk):
            weights |= {f"model.layers.{i}.{name}.weight": getattr(block, ours).weight for ours, name in names.items()}
        theirs.load_state_dict(weights)
        ids = torch.randint(0, c.vocab, (2, 64))
        with torch.no_grad():
            difference = (model(ids) - theirs(ids).logits.view(-1, c.vocab)).abs()
        # Where a value lies on the edge between two codes the last bit decides, and a step of int8 is seen in the
        # logits: the mean, not the largest difference, is what must stay small.
        assert difference.mean() < (5e-3 if quantize else 1e-5), difference.mean()


if __name__ == "__main__":
    torch.manual_seed(0)
    for name, function in list(globals().items()):
        if name.startswith("test_"):
            print(name)
            function()
