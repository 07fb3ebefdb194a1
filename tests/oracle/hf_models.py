# SPDX-License-Identifier: MIT
"""Random models as Hugging Face checkpoints, one for each layout in which ternary models are published, and dense ones.

make_models.py writes them. The scales are chosen as there.
"""
import json
from dataclasses import dataclass, field, replace

import numpy as np

import hf_io
from hf_io import BFloat16

VOCABULARY = 320
SUB_NORMS = ("self_attn.attn_sub_norm", "mlp.ffn_sub_norm")  # BitNet b1.58 2B-4T
INNER_NORMS = ("self_attn.inner_attn_ln", "mlp.ffn_layernorm")  # 1bitLLM


@dataclass(frozen=True)
class Checkpoint:
    classes: str
    model_type: str
    weights: str  # how linear layers are stored: one of the methods of Writer
    hidden: int = 256
    ffn: int = 512
    layers: int = 2
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 64
    tied: bool = True
    numbers: str = "bfloat16"  # of what is not a linear layer
    norms: tuple = ()  # the names of the sub-norms
    biases: bool = False
    qk_norms: bool = False
    shards: int = 1
    input_norms: str = ""  # before each linear layer: what they are called
    gemma: bool = False  # norms behind attention and feed-forward network too, and the weights of all less 1
    headless: bool = False
    outlier: bool = False  # one channel of the residual stream is 1000 times the rest
    experts: int = 0
    config: dict = field(default_factory=dict)


BITNET = {"quant_method": "bitnet"}
MODELS = {
    # microsoft/bitnet-b1.58-2B-4T, and its master weights
    "hf_packed": Checkpoint(
        "BitNetForCausalLM", "bitnet", "multiplied", norms=SUB_NORMS,
        config={"hidden_act": "relu2", "rope_theta": 500000.0, "rms_norm_eps": 1e-5,
                "quantization_config": BITNET | {"linear_class": "autobitlinear", "quantization_mode": "offline"}}),
    "hf_online": Checkpoint(
        "BitNetForCausalLM", "bitnet", "master", norms=SUB_NORMS, shards=3,
        config={"hidden_act": "relu2", "rope_theta": 500000.0, "rms_norm_eps": 1e-5,
                "quantization_config": BITNET | {"linear_class": "autobitlinear", "quantization_mode": "online"}}),
    # 1bitLLM/bitnet_b1_58-large, heads of 100 as the 3B has
    "hf_1bitllm": Checkpoint(
        "BitnetForCausalLM", "llama", "master", hidden=200, ffn=500, heads=2, head_dim=100, norms=INNER_NORMS,
        numbers="float32", config={"rms_norm_eps": 1e-5, "weight_bits": 1, "input_bits": 8, "rope_scaling": None}),
    # tiiuae/Falcon3-1.58bit: heads that are not a share of the hidden size
    "hf_divided": Checkpoint(
        "LlamaForCausalLM", "llama", "divided", head_dim=96, tied=False,
        config={"head_dim": 96, "rope_theta": 1000042, "rms_norm_eps": 1e-6, "attention_bias": False, "mlp_bias": False,
                "quantization_config": BITNET | {"modules_to_not_convert": ["lm_head"]}}),
    # SpectraSuite/TriLM: a scale for each of two shards
    "hf_trilm": Checkpoint(
        "LlamaForCausalLM", "llama", "sharded", kv_heads=4, tied=False, numbers="float16",
        config={"rms_norm_eps": 1e-5, "rope_theta": 10000.0}),
    # prism-ml/Ternary-Bonsai: embedding and head are ternary, too
    "hf_bonsai": Checkpoint(
        "Qwen3ForCausalLM", "qwen3", "grouped", head_dim=128, qk_norms=True, numbers="float16",
        config={"head_dim": 128, "rope_theta": 1000000, "rms_norm_eps": 1e-6, "attention_bias": False,
                "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128},
                "sliding_window": None, "use_sliding_window": False}),
    # Qwen/Qwen2.5, in the layout of transformers 5
    "hf_qwen2": Checkpoint(
        "Qwen2ForCausalLM", "qwen2", "dense", biases=True,
        config={"rms_norm_eps": 1e-6, "sliding_window": 256, "use_sliding_window": False,
                "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0}}),
    # meta-llama/Llama-3.2
    "hf_llama3": Checkpoint(
        "LlamaForCausalLM", "llama", "dense", tied=False, numbers="float16",
        config={"head_dim": 64, "rope_theta": 500000.0, "rms_norm_eps": 1e-5, "attention_bias": False,
                "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                                 "original_max_position_embeddings": 128}}),
}  # fmt: skip
# What training does to a few channels, and random weights do not.
MODELS |= {name + "_outlier": replace(MODELS[name], outlier=True) for name in ("hf_trilm", "hf_bonsai", "hf_qwen2")}
# Behind the others, which have their seeds by their places.
MODELS |= {
    # google/gemma-3: layers with windows, of which each sixth has none
    "hf_gemma3": Checkpoint(
        "Gemma3ForCausalLM", "gemma3_text", "dense", layers=6, kv_heads=1, head_dim=80, qk_norms=True, gemma=True,
        config={"head_dim": 80, "hidden_activation": "gelu_pytorch_tanh", "rms_norm_eps": 1e-6, "rope_theta": 1000000.0,
                "rope_local_base_freq": 10000.0, "sliding_window": 20, "query_pre_attn_scalar": 100,
                "layer_types": 5 * ["sliding_attention"] + ["full_attention"]}),
    # microsoft/bitnet-embedding-0.6b and -270m
    "hf_embedding": Checkpoint(
        "Qwen3Model", "qwen3", "master", head_dim=128, qk_norms=True, input_norms="norm", headless=True,
        config={"head_dim": 128, "rope_theta": 1000000, "rms_norm_eps": 1e-6, "attention_bias": False,
                "sliding_window": None, "use_sliding_window": False}),
    "hf_embedding_gemma": Checkpoint(
        "Gemma3TextModel", "gemma3_text", "master", layers=3, kv_heads=1, head_dim=128, qk_norms=True, gemma=True,
        input_norms="norm", headless=True,
        config={"head_dim": 128, "hidden_activation": "gelu_pytorch_tanh", "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
                "sliding_window": 512, "query_pre_attn_scalar": 128, "layer_types": 3 * ["full_attention"]}),
    # Qwen2.5-32B-BitNet: transformers' BitLinear with use_rms_norm
    "hf_rms_norm": Checkpoint(
        "Qwen2ForCausalLM", "qwen2", "divided", biases=True, tied=False, input_norms="rms_norm",
        config={"rms_norm_eps": 1e-5, "rope_theta": 1000000.0, "use_sliding_window": False,
                "quantization_config": BITNET | {"use_rms_norm": True, "rms_norm_eps": 1e-6,
                                                 "modules_to_not_convert": ["lm_head"]}}),
    # openbmb/BitCPM4-CANN
    "hf_minicpm": Checkpoint(
        "MiniCPMForCausalLM", "minicpm", "grouped_layers",
        config={"rms_norm_eps": 1e-5, "rope_theta": 10000.0, "scale_emb": 12, "scale_depth": 1.4, "dim_model_base": 64,
                "rope_scaling": {"rope_type": "longrope", "original_max_position_embeddings": 512,
                                 "short_factor": [1 + i / 31 for i in range(32)],
                                 "long_factor": [1 + i / 7 for i in range(32)]}}),
    # FermionResearch/Neutrino-8B as Axolotl trains it on: a scale for each row, the mean of its magnitudes
    "hf_neutrino": Checkpoint(
        "Qwen3ForCausalLM", "qwen3", "rows", head_dim=128, qk_norms=True, tied=False,
        config={"head_dim": 128, "rope_theta": 1000000, "rms_norm_eps": 1e-6, "attention_bias": False,
                "sliding_window": None, "use_sliding_window": False}),
    # deepgrove/maple-preview: ternary experts with a scale for each row, windows in three layers of four
    "hf_maple": Checkpoint(
        "MapleForCausalLM", "maple", "rows", layers=4, ffn=144, qk_norms=True, tied=False, experts=12,
        config={"head_dim": 64, "rope_theta": 10000.0, "rms_norm_eps": 1e-6, "intermediate_size": 999, "num_experts": 12,
                "num_experts_per_tok": 3, "moe_intermediate_size": 144, "norm_topk_prob": True, "sliding_window": 20,
                "layer_types": 3 * ["sliding_attention"] + ["full_attention"], "partial_rotary_factor": 0.5,
                "nope_on_global_attention": True, "num_shared_experts": 0}),
    # Qwen/Qwen3-30B-A3B, but without normalised weights
    "hf_qwen3moe": Checkpoint(
        "Qwen3MoeForCausalLM", "qwen3_moe", "dense", ffn=96, head_dim=64, qk_norms=True, tied=False, experts=8,
        config={"head_dim": 64, "rope_theta": 1000000.0, "rms_norm_eps": 1e-6, "num_experts": 8, "num_experts_per_tok": 2,
                "moe_intermediate_size": 96, "norm_topk_prob": False, "decoder_sparse_step": 1, "mlp_only_layers": [],
                "attention_bias": False, "sliding_window": None, "use_sliding_window": False}),
}  # fmt: skip
OUTLIER, OUTLIER_SIZE = 37, 1000


def config(checkpoint):
    return {
        "architectures": [checkpoint.classes],
        "model_type": checkpoint.model_type,
        "hidden_act": "silu",
        "hidden_size": checkpoint.hidden,
        "intermediate_size": checkpoint.ffn,
        "max_position_embeddings": 512,
        "num_attention_heads": checkpoint.heads,
        "num_hidden_layers": checkpoint.layers,
        "num_key_value_heads": checkpoint.kv_heads,
        "tie_word_embeddings": checkpoint.tied,
        "vocab_size": VOCABULARY,
    } | checkpoint.config


def byte_alphabet():
    """The characters that stand for the 256 bytes in vocabularies of byte-level BPE."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = iter(range(256, 512))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


def tokenizer():
    """A vocabulary of the bytes in Llama 3's form, and tokens that no text gives."""
    pieces = byte_alphabet() + [f"<|reserved_special_token_{i}|>" for i in range(VOCABULARY - 256)]
    special = [
        {"id": i, "content": piece, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
         "special": True}
        for i, piece in enumerate(pieces) if i >= 256]  # fmt: skip
    split = {"type": "Split", "behavior": "Isolated", "invert": False, "pattern": {"Regex":
             r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"}}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special, "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": byte_level, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": True,
                  "vocab": {piece: i for i, piece in enumerate(pieces[:256])}, "merges": []}}  # fmt: skip


class Writer:
    """The tensors of a checkpoint, by name."""

    def __init__(self, checkpoint, random):
        self.checkpoint, self.random, self.tensors = checkpoint, random, {}

    def round(self, values):
        numbers = self.checkpoint.numbers
        return BFloat16.rounded(values) if numbers == "bfloat16" else np.asarray(values).astype(numbers)

    def gain(self, gain):
        """Give or take a fifth."""
        return gain * (0.8 + 0.4 * 2.0**-32 * int(self.random.uniform(1)[0]))

    def norm(self, name, size, outlier=1.0, own=True):
        weights = (0 if self.checkpoint.gemma and own else 1) + 0.2 * self.random.normal(size)
        weights[OUTLIER] *= outlier
        self.tensors[name + ".weight"] = self.round(weights)

    def linear(self, name, rows, cols, gain):
        """An input of unit size comes out with size gain."""
        if self.checkpoint.input_norms:
            self.norm(f"{name}.{self.checkpoint.input_norms}", cols, own=False)
        for part, values in getattr(self, self.checkpoint.weights)(name, rows, cols, self.gain(gain)).items():
            self.tensors[f"{name}.{part}"] = values

    def pack(self, codes):
        quarters = np.split((codes + 1).astype(np.uint8), 4)
        return quarters[0] | quarters[1] << 2 | quarters[2] << 4 | quarters[3] << 6

    def multiplied(self, name, rows, cols, gain):
        scale = BFloat16.rounded(np.array([gain / np.sqrt(0.6 * cols)]))
        return {"weight": self.pack(self.random.ternary(rows, cols)), "weight_scale": scale}

    def divided(self, name, rows, cols, gain):
        scale = BFloat16.rounded(np.array([np.sqrt(0.6 * cols) / gain]))
        return {"weight": self.pack(self.random.ternary(rows, cols)), "weight_scale": scale}

    def dense(self, name, rows, cols, gain):
        return {"weight": self.round(self.random.normal(rows, cols) * (gain / np.sqrt(cols)))}

    master = dense

    def sharded(self, name, rows, cols, gain):
        """Two shards of rows; where the inputs come from shards themselves, of columns."""
        scales = np.ones((rows, cols)) * (gain / np.sqrt(0.6 * cols))
        if name.endswith(("o_proj", "down_proj")):
            scales[:, cols // 2 :] *= 1.3
        else:
            scales[rows // 2 :] *= 1.3
        return {"weight": (self.random.ternary(rows, cols) * scales).astype(np.float16)}

    def grouped(self, name, rows, cols, gain):
        """A scale for each 128 weights of a row."""
        scales = (1 + 0.3 * self.random.normal(rows, cols // 128)) * (gain / np.sqrt(0.6 * cols))
        scales = np.repeat(np.abs(scales).astype(np.float16), 128, axis=1)
        return {"weight": self.random.ternary(rows, cols).astype(np.float16) * scales}

    def grouped_layers(self, name, rows, cols, gain):
        """The same in BF16, of linear layers alone."""
        scales = (1 + 0.3 * self.random.normal(rows, cols // 128)) * (gain / np.sqrt(0.6 * cols))
        scales = np.repeat(np.abs(scales), 128, axis=1)
        return {"weight": self.round(self.random.ternary(rows, cols) * scales)}

    def rows(self, name, rows, cols, gain):
        scales = np.abs((1 + 0.3 * self.random.normal(rows, 1)) * (gain / np.sqrt(0.6 * cols)))
        return {"weight": self.round(self.random.ternary(rows, cols) * scales)}

    def bias(self, name, size):
        self.tensors[name + ".bias"] = self.round(0.3 * self.random.normal(size))

    def write(self):
        c = self.checkpoint
        q, kv = c.heads * c.head_dim, c.kv_heads * c.head_dim
        embedding_gain, block_gain = (1, 0.7) if c.tied else (2, 0.4)
        embedding = self.random.normal(VOCABULARY, c.hidden) * (3 * embedding_gain / np.sqrt(c.hidden))
        if c.gemma:  # which multiplies it by the root of its width
            embedding /= np.sqrt(c.hidden)
        if c.model_type == "minicpm":
            embedding /= c.config["scale_emb"]
        if c.weights == "grouped" and not c.outlier:  # no column of a ternary embedding is larger than the others
            embedding = self.grouped("", VOCABULARY, c.hidden, 3)["weight"]
        if c.numbers == "float32":
            embedding = embedding.astype(np.float16)  # which .bitnet files hold exactly
        states = embedding.copy()
        if c.outlier:
            states[:, OUTLIER] *= OUTLIER_SIZE
        self.tensors[f"model.{'word_embeddings' if c.model_type == 'maple' else 'embed_tokens'}.weight"] = self.round(states)
        for i in range(c.layers):
            layer = f"model.layers.{i}."
            self.norm(layer + "input_layernorm", c.hidden)
            self.norm(layer + "post_attention_layernorm", c.hidden)
            if c.gemma:
                self.norm(layer + "pre_feedforward_layernorm", c.hidden)
                self.norm(layer + "post_feedforward_layernorm", c.hidden)
            for name, size in zip(c.norms, (q, c.ffn)):
                self.norm(layer + name, size)
            for name, rows in {"q": q, "k": kv, "v": kv}.items():
                self.linear(f"{layer}self_attn.{name}_proj", rows, c.hidden, 1 if name == "v" else 1.5)
                if c.biases:
                    self.bias(f"{layer}self_attn.{name}_proj", rows)
            if c.qk_norms:
                self.norm(layer + "self_attn.q_norm", c.head_dim)
                self.norm(layer + "self_attn.k_norm", c.head_dim)
            # Without a norm before them these take inputs of another size than one.
            self.linear(layer + "self_attn.o_proj", c.hidden, q, block_gain if c.norms else 2 * block_gain)
            if c.experts:  # whose gates come to the limit of Maple's now and then
                gate = self.random.normal(c.experts, c.hidden) * (2 / np.sqrt(c.hidden))
                self.tensors[layer + "mlp.gate.weight"] = self.round(gate)
            for expert in range(c.experts):
                name = f"{layer}mlp.experts.{expert}."
                self.linear(name + "gate_proj", c.ffn, c.hidden, 4)
                self.linear(name + "up_proj", c.ffn, c.hidden, 4)
                self.linear(name + "down_proj", c.hidden, c.ffn, block_gain / 8)
            if c.experts:
                continue
            self.linear(layer + "mlp.gate_proj", c.ffn, c.hidden, 1)
            self.linear(layer + "mlp.up_proj", c.ffn, c.hidden, 1)
            self.linear(layer + "mlp.down_proj", c.hidden, c.ffn, block_gain if c.norms else 2 * block_gain)
        # A head that is the embedding has the large column, too.
        self.norm("model.norm", c.hidden, 1 / OUTLIER_SIZE if c.outlier and c.tied else 1.0)
        if not c.tied:
            successor = np.argsort(self.random.uniform(VOCABULARY), kind="stable")
            other = self.random.normal(VOCABULARY, c.hidden) * (3 / np.sqrt(c.hidden))
            self.tensors["lm_head.weight"] = self.round(0.5 * embedding[successor] + 0.5 * other)
        if c.headless:
            return {name.removeprefix("model."): tensor for name, tensor in self.tensors.items()}
        return self.tensors


def write(folder, checkpoint, random):
    hf_io.write(folder, config(checkpoint), Writer(checkpoint, random).write(), checkpoint.shards)
    if checkpoint.headless:  # as sentence-transformers says how to pool
        modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
                   {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
                   {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}]
        (folder / "modules.json").write_text(json.dumps(modules))
        (folder / "1_Pooling").mkdir(exist_ok=True)
        pooling = {"word_embedding_dimension": checkpoint.hidden, "pooling_mode_cls_token": False,
                   "pooling_mode_mean_tokens": False, "pooling_mode_lasttoken": True, "include_prompt": True}
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer()))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
