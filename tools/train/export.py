#!/usr/bin/env python3
"""Write a checkpoint as GGUF: embedding in float16, norms in float32, and each ternary matrix in float32.

usage: export.py DATA CHECKPOINT OUT.gguf --name NAME

A ternary matrix holds -s, 0 and +s only, s being the mean absolute weight in float32; a reader finds the codes by sign.
"""
# SPDX-License-Identifier: MIT
import argparse
import json
from pathlib import Path

import gguf
import numpy as np

from data import BOS, EOS
from evaluate import load
from model import BitLinear, quantize_weight

ARCH = "bitnet-b1.58"


def tensors(model):
    """GGUF names and arrays, in the order of the network."""
    yield "token_embd.weight", model.token_embd.detach().numpy().astype(np.float16)
    for i, block in enumerate(model.blk):
        for name, layer in block.named_children():
            w = layer.weight.detach()
            if isinstance(layer, BitLinear):
                codes, scale = quantize_weight(w)
                w = codes * scale
                assert np.all(np.abs(w.numpy()[codes.numpy() != 0]) == scale.numpy())
            yield f"blk.{i}.{name}.weight", w.numpy()
    yield "output_norm.weight", model.output_norm.weight.detach().numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--name", required=True)
    args = parser.parse_args()

    model, _ = load(args.checkpoint)
    c = model.config
    if not c.quantize:
        parser.error("this checkpoint was trained without quantization")
    tokenizer = json.loads((args.data / "tokenizer.json").read_text())
    vocab = tokenizer["model"]["vocab"]
    tokens = sorted(vocab, key=vocab.get)
    assert [vocab[token] for token in tokens] == list(range(c.vocab))
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in tokenizer["model"]["merges"]]

    writer = gguf.GGUFWriter(args.out, ARCH)
    writer.add_name(args.name)
    writer.add_license("MIT")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_vocab_size(c.vocab)
    writer.add_context_length(c.context)
    writer.add_embedding_length(c.hidden)
    writer.add_block_count(c.layers)
    writer.add_feed_forward_length(c.ffn)
    writer.add_rope_dimension_count(c.hidden // c.heads)
    writer.add_head_count(c.heads)
    writer.add_head_count_kv(c.kv_heads)
    writer.add_layer_norm_rms_eps(c.eps)
    writer.add_rope_freq_base(c.theta)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([control if token in (BOS, EOS) else normal for token in tokens])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(vocab[BOS])
    writer.add_eos_token_id(vocab[EOS])
    writer.add_add_bos_token(True)
    for name, array in tensors(model):
        writer.add_tensor(name, np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
