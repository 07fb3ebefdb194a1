# SPDX-License-Identifier: MIT
"""An embedding model's checkpoint as GGUF, as bitnet.cpp's convert-bitnet-embedding-to-gguf.py lays it out: weights of linear
layers in I2_S, all else in F16, Gemma's own norms with the 1 that its checkpoints leave out, no head."""
import numpy as np

import gguf_io
import hf_io
import oracle

POOLING_LAST = 3


def metadata(config, vocabulary):
    gemma = config["model_type"] == "gemma3_text"
    architecture = "gemma3" if gemma else "qwen3"
    byte_tokens = [f"<0x{i:02X}>" for i in range(256)]
    words = [f"t{i}" for i in range(vocabulary - 259)]
    keys = {
        "context_length": config["max_position_embeddings"],
        "embedding_length": config["hidden_size"],
        "block_count": config["num_hidden_layers"],
        "feed_forward_length": config["intermediate_size"],
        "rope.dimension_count": config["head_dim"],
        "rope.freq_base": float(config["rope_theta"]),
        "attention.head_count": config["num_attention_heads"],
        "attention.head_count_kv": config["num_key_value_heads"],
        "attention.key_length": config["head_dim"],
        "attention.value_length": config["head_dim"],
        "attention.layer_norm_rms_epsilon": config["rms_norm_eps"],
        "pooling_type": POOLING_LAST,
    }
    return {"general.architecture": architecture} | {f"{architecture}.{key}": value for key, value in keys.items()} | {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": ["<unk>", "<s>", "</s>"] + byte_tokens + words,
        "tokenizer.ggml.scores": np.zeros(vocabulary, "f4"),
        "tokenizer.ggml.token_type": np.array([2, 3, 3] + [6] * 256 + [1] * len(words), "i4"),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
    }


def write(path, folder):
    config, _ = hf_io.read(folder)
    model = oracle.load(folder)  # with the 1
    tensors = {"token_embd.weight": model.embedding.astype(np.float16)}
    for i, layer in enumerate(model.layers):
        for part, tensor in vars(layer).items():
            if tensor is not None:
                is_norm = isinstance(tensor, np.ndarray)
                tensors[f"blk.{i}.{part}.weight"] = tensor.astype(np.float16) if is_norm else tensor
    tensors["output_norm.weight"] = model.output_norm.astype(np.float16)
    gguf_io.write(path, metadata(config, len(model.embedding)), tensors)
