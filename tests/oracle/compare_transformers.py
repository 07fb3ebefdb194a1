# SPDX-License-Identifier: MIT
"""Compares the oracle with Hugging Face's BitNetForCausalLM and LlamaForCausalLM: the evidence that the oracle computes the
published networks.

usage: compare_transformers.py FOLDER_OF_MODELS
       compare_transformers.py SMOLLM2.gguf

Needs PyTorch and transformers, so it is no test; README.md has its results. Keys and values are not rounded here.

Random models: Hugging Face's linear layers are AutoBitLinear with weights quantized online, and the tokens are chosen as
sequences.py does.

SmolLM2-135M-Instruct: the network gets the oracle's dequantized weights; the vocabulary is the file's, with the rules of the
published tokenizer.json. Its tokens of some texts, and what it writes after them with greedy decoding, go to smollm2.json,
which check_smollm2.py holds the library to. With the packages accelerate and gguf, the weights are also compared with those
that transformers reads from the file.
"""
import argparse
import json
from pathlib import Path

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, BitNetConfig, BitNetForCausalLM, LlamaConfig, LlamaForCausalLM
from transformers.integrations.bitnet import AutoBitLinear

import gguf_io
import oracle
from sequences import ClearanceOracle, find

LENGTH = 64

# What SmolLM2 is asked. A conversation as its template has it; digits, apostrophes, other scripts; program text.
SYSTEM = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
TEXTS = [
    SYSTEM + "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n",
    "In 1969 Neil Armstrong didn't walk alone: café, naïve, Москва, 東京, 12345 --",
    "def fibonacci(n):\n    ",
    "The three primary colours are",
]
WRITTEN = 24


class PlainCacheOracle(ClearanceOracle):
    def store(self, x):
        return x


def master_weights(matrix):
    """Weights whose mean size is the scale, and which absmean quantization rounds to the codes."""
    return matrix.codes * (matrix.scale / np.abs(matrix.codes).mean())


NAMES = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_sub_norm": "self_attn.attn_sub_norm", "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_sub_norm": "mlp.ffn_sub_norm", "ffn_down": "mlp.down_proj"}  # fmt: skip


def build(model):
    """Hugging Face's network with the weights of an oracle's model."""
    ternary = isinstance(model.layers[0].attn_q, oracle.Ternary)
    config, network = (BitNetConfig, BitNetForCausalLM) if ternary else (LlamaConfig, LlamaForCausalLM)
    gate = model.layers[0].ffn_gate
    network = network(config(
        vocab_size=len(model.embedding), hidden_size=model.embedding.shape[1],
        intermediate_size=len(gate.codes if ternary else gate), num_hidden_layers=len(model.layers),
        num_attention_heads=model.heads, num_key_value_heads=model.kv_heads, hidden_act=model.activation,
        rms_norm_eps=model.epsilon, rope_parameters={"rope_type": "default", "rope_theta": model.theta},
        tie_word_embeddings=False, bos_token_id=1, eos_token_id=2, attn_implementation="eager")).eval()  # fmt: skip
    weights = {
        "model.embed_tokens": model.embedding,
        "model.norm": model.output_norm,
        "lm_head": model.head,
    }
    for i, layer in enumerate(model.layers):
        for ours, theirs in NAMES.items():
            name, tensor = f"model.layers.{i}.{theirs}", getattr(layer, ours)
            if isinstance(tensor, oracle.Ternary):
                rows, cols = tensor.codes.shape
                network.set_submodule(name, AutoBitLinear(cols, rows, bias=False, online_quant=True))
                tensor = master_weights(tensor)
            if tensor is not None:
                weights[name] = tensor
    state = {f"{name}.weight": torch.tensor(np.asarray(tensor, np.float32)) for name, tensor in weights.items()}
    network.load_state_dict(state, strict=True)
    return network


def compare(name, model, network, tokens):
    with torch.no_grad():
        theirs = network(torch.tensor([tokens])).logits[0].double().numpy()
    for dtype in (np.float64, np.float32):
        ours = oracle.Oracle(model, dtype, kv_type=dtype).logits(tokens)
        size = np.sqrt(np.mean(np.square(theirs)))
        difference = np.abs(ours - theirs).max()
        print(f"{name}: {dtype.__name__} max |difference| {difference:.1e}, {difference / size:.1e} of the RMS")


def compare_random(folder):
    for path in sorted(folder.glob("*.gguf")):
        model = oracle.load(path)
        compare(path.stem, model, build(model), find(PlainCacheOracle(model), LENGTH))


def smollm2_tokenizer(metadata):
    tokens, kinds = (metadata[f"tokenizer.ggml.{key}"] for key in ("tokens", "token_type"))
    merges = [tuple(merge.split(" ")) for merge in metadata["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])  # fmt: skip
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token, kind in zip(tokens, kinds) if kind == 3])
    return tokenizer


def compare_with_their_reader(path, network):
    """What transformers makes of the file, with its own decoder and its own order of the rows of queries and keys."""
    theirs = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).state_dict()
    differing = [name for name, tensor in network.state_dict().items() if not torch.equal(tensor, theirs[name])]
    print(f"weights as transformers reads them: {len(differing)} of {len(theirs)} differ {differing[:3]}")


def compare_smollm2(path):
    model, metadata = oracle.load(path), gguf_io.read(path)[0]
    tokenizer, network = smollm2_tokenizer(metadata), build(model)
    texts = []
    for text in TEXTS:
        tokens = tokenizer.encode(text).ids
        with torch.no_grad():
            written = network.generate(
                torch.tensor([tokens]), attention_mask=torch.ones(1, len(tokens), dtype=torch.int64), do_sample=False,
                max_new_tokens=WRITTEN, eos_token_id=metadata["tokenizer.ggml.eos_token_id"],
                pad_token_id=metadata["tokenizer.ggml.eos_token_id"])[0, len(tokens) :].tolist()  # fmt: skip
        compare(repr(text[-30:]), model, network, tokens + written)
        print(repr(tokenizer.decode(written, skip_special_tokens=False)))
        texts.append({"text": text, "tokens": tokens, "written": written})
    lines = ",\n".join(json.dumps(text) for text in texts)
    Path(__file__).with_name("smollm2.json").write_text(f"[\n{lines}\n]\n")
    compare_with_their_reader(path, network)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path)
    path = parser.parse_args().models
    compare_random(path) if path.is_dir() else compare_smollm2(path)


if __name__ == "__main__":
    main()
