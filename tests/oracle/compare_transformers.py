# SPDX-License-Identifier: MIT
"""Compares the oracle with Hugging Face's BitNetForCausalLM: the evidence that the oracle computes the published network.

usage: compare_transformers.py FOLDER_OF_MODELS

Needs PyTorch and transformers, so it is no test; README.md has its results. Hugging Face's linear layers are AutoBitLinear
with weights quantized online. Keys and values are not rounded here, and the tokens are chosen as sequences.py does.
"""
import argparse
from pathlib import Path

import numpy as np
import torch
from transformers import BitNetConfig, BitNetForCausalLM
from transformers.integrations.bitnet import AutoBitLinear

import oracle
from sequences import ClearanceOracle, find

LENGTH = 64


class PlainCacheOracle(ClearanceOracle):
    def store(self, x):
        return x


def master_weights(matrix):
    """Weights whose mean size is the scale, and which absmean quantization rounds to the codes."""
    return matrix.codes * (matrix.scale / np.abs(matrix.codes).mean())


def build(model):
    """Hugging Face's network with the weights of an oracle's model."""
    config = BitNetConfig(
        vocab_size=len(model.embedding), hidden_size=model.embedding.shape[1],
        intermediate_size=len(model.layers[0].ffn_gate.codes), num_hidden_layers=len(model.layers),
        num_attention_heads=model.heads, num_key_value_heads=model.kv_heads, hidden_act=model.activation,
        rms_norm_eps=model.epsilon, rope_parameters={"rope_type": "default", "rope_theta": model.theta},
        tie_word_embeddings=False, bos_token_id=1, eos_token_id=2, attn_implementation="eager")  # fmt: skip
    network = BitNetForCausalLM(config).eval()
    weights = {
        "model.embed_tokens": model.embedding,
        "model.norm": model.output_norm,
        "lm_head": model.head,
    }
    names = {
        "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj", "attn_sub_norm": "self_attn.attn_sub_norm", "attn_output": "self_attn.o_proj",
        "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
        "ffn_sub_norm": "mlp.ffn_sub_norm", "ffn_down": "mlp.down_proj"}  # fmt: skip
    for i, layer in enumerate(model.layers):
        for ours, theirs in names.items():
            name, tensor = f"model.layers.{i}.{theirs}", getattr(layer, ours)
            if isinstance(tensor, oracle.Ternary):
                rows, cols = tensor.codes.shape
                network.set_submodule(name, AutoBitLinear(cols, rows, bias=False, online_quant=True))
                tensor = master_weights(tensor)
            weights[name] = tensor
    state = {f"{name}.weight": torch.tensor(np.asarray(tensor, np.float32)) for name, tensor in weights.items()}
    network.load_state_dict(state, strict=True)
    return network


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    for path in sorted(parser.parse_args().folder.glob("*.gguf")):
        model = oracle.load(path)
        tokens = find(PlainCacheOracle(model), LENGTH)
        with torch.no_grad():
            theirs = build(model)(torch.tensor([tokens])).logits[0].double().numpy()
        for dtype in (np.float64, np.float32):
            ours = oracle.Oracle(model, dtype, kv_type=dtype).logits(tokens)
            size = np.sqrt(np.mean(np.square(theirs)))
            difference = np.abs(ours - theirs).max()
            print(f"{path.stem}: {dtype.__name__} max |difference| {difference:.1e}, {difference / size:.1e} of the RMS")


if __name__ == "__main__":
    main()
