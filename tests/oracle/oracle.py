# SPDX-License-Identifier: MIT
"""The forward pass of BitNet b1.58 and of Llama's relatives in NumPy: what libbitnet's logits are held to. It shares nothing
with the library.

Written from
  - "The Era of 1-bit LLMs" (arXiv 2402.17764) and the "BitNet b1.58 2B4T Technical Report" (arXiv 2504.12285);
  - Hugging Face's modeling_bitnet.py and integrations/bitnet.py (ActQuant, AutoBitLinear), for squared ReLU;
  - modeling_bitnet.py and utils_quant.py of 1bitLLM's checkpoints (a LLaMA with BitLinear, inner_attn_ln and
    ffn_layernorm), for SiLU;
  - Hugging Face's modeling_llama.py, modeling_qwen2.py, modeling_qwen3.py and modeling_rope_utils.py.
From the library's documentation it takes one thing: keys and values are kept as float16 (kv_type).

dtype is the type of every operation that rounds; the ternary products are exact integers in any case.
"""
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

import gguf_io
import hf_io
from gguf_io import Ternary


@dataclass(frozen=True)
class Layer:
    """A linear layer's matrix is a Ternary, whose inputs are rounded to int8, or an array of floats."""

    attn_norm: np.ndarray
    attn_q: Ternary
    attn_k: Ternary
    attn_v: Ternary
    attn_output: Ternary
    ffn_norm: np.ndarray
    ffn_gate: Ternary
    ffn_up: Ternary
    ffn_down: Ternary
    # What not every architecture has.
    attn_sub_norm: np.ndarray = None
    ffn_sub_norm: np.ndarray = None
    attn_q_bias: np.ndarray = None
    attn_k_bias: np.ndarray = None
    attn_v_bias: np.ndarray = None
    attn_q_norm: np.ndarray = None
    attn_k_norm: np.ndarray = None
    post_attention_norm: np.ndarray = None
    post_ffw_norm: np.ndarray = None
    # Before each matrix, of what it reads.
    attn_q_norm_in: np.ndarray = None
    attn_k_norm_in: np.ndarray = None
    attn_v_norm_in: np.ndarray = None
    attn_output_norm_in: np.ndarray = None
    ffn_gate_norm_in: np.ndarray = None
    ffn_up_norm_in: np.ndarray = None
    ffn_down_norm_in: np.ndarray = None
    # With experts, of which ffn_gate, ffn_up and ffn_down are lists.
    router: np.ndarray = None


@dataclass(frozen=True)
class Model:
    heads: int
    kv_heads: int
    epsilon: float
    theta: float
    activation: str  # "relu2", "silu" or "gelu_pytorch_tanh"
    embedding: np.ndarray
    layers: list
    output_norm: np.ndarray
    head: np.ndarray
    frequencies: np.ndarray = None  # of RoPE, where theta alone does not make them
    magnitude: float = 1.0  # by which its sines and cosines are multiplied
    scaled_embedding: bool = False  # by the square root of its width
    query_scalar: float = None  # by the root of which scores are divided; None: the length of a head
    # Tokens that those of most layers see, themselves included; the last of every six layers has no such window.
    window: int = None
    window_theta: float = 10000.0
    norm_in_epsilon: float = None  # of the norms before each matrix; None: epsilon
    # MiniCPM: by which an embedding and what a layer adds are multiplied, by which what enters the head is divided.
    embedding_scale: float = 1.0
    residual_scale: float = 1.0
    logit_scale: float = 1.0
    window_period: int = 6  # the last of so many layers has no window
    experts_used: int = 0
    normalised: bool = True  # the weights of the experts of a token come to 1
    limit: float = None  # Maple: of the gate from above, of the other factor on both sides
    turned: int = None  # Maple: dimensions of a head that are turned, in layers with windows only


def load(path):
    """The model of a GGUF file of one of BitNet's architectures or of Llama's, or of a checkpoint folder."""
    return load_checkpoint(path) if path.is_dir() else load_gguf(path)


SQUARED_RELU = ("bitnet-b1.58", "bitnet-25")
BITNET_ARCHITECTURES = (*SQUARED_RELU, "bitnet")
USUAL_ACTIVATIONS = dict.fromkeys(SQUARED_RELU, "relu2") | {"gemma3": "gelu_pytorch_tanh"}


def load_gguf(path):
    metadata, tensors = gguf_io.read(path)
    architecture = metadata["general.architecture"]

    heads = metadata[f"{architecture}.attention.head_count"]
    kv_heads = metadata.get(f"{architecture}.attention.head_count_kv", heads)

    def matrix(part, tensor):
        if architecture in BITNET_ARCHITECTURES and not isinstance(tensor, Ternary):
            return gguf_io.ternary(tensor)
        rotated = {"attn_q": heads, "attn_k": kv_heads}.get(part)
        return in_halves(tensor, rotated) if rotated and architecture == "llama" else tensor

    def layer(i):
        parts = {}
        for part, kind in Layer.__annotations__.items():
            tensor = tensors.get(f"blk.{i}.{part.removesuffix('_bias')}.{'bias' if part.endswith('_bias') else 'weight'}")
            parts[part] = matrix(part, tensor) if kind is Ternary else tensor
        return Layer(**parts)

    return Model(
        heads=heads,
        kv_heads=kv_heads,
        epsilon=metadata[f"{architecture}.attention.layer_norm_rms_epsilon"],
        theta=metadata.get(f"{architecture}.rope.freq_base", 10000.0),
        activation=metadata.get(f"{architecture}.hidden_act", USUAL_ACTIVATIONS.get(architecture, "silu")),
        embedding=tensors["token_embd.weight"],
        layers=[layer(i) for i in range(metadata[f"{architecture}.block_count"])],
        output_norm=tensors["output_norm.weight"],
        head=tensors.get("output.weight", tensors["token_embd.weight"]),
        scaled_embedding=architecture == "gemma3",
        window=metadata.get(f"{architecture}.attention.sliding_window"),
    )


def in_halves(matrix, heads):
    """The rows of Llama's queries or keys as Hugging Face has them, in pairs (i, i + half); GGUF's are (2 i, 2 i + 1)."""
    rows, cols = matrix.shape
    return matrix.reshape(heads, rows // heads // 2, 2, cols).transpose(0, 2, 1, 3).reshape(rows, cols)


# What a tensor of a layer is called in a checkpoint.
CHECKPOINT_NAMES = {
    "attn_norm": ["input_layernorm.weight"],
    "attn_q": ["self_attn.q_proj.weight"],
    "attn_k": ["self_attn.k_proj.weight"],
    "attn_v": ["self_attn.v_proj.weight"],
    "attn_output": ["self_attn.o_proj.weight"],
    "ffn_norm": ["post_attention_layernorm.weight"],
    "ffn_gate": ["mlp.gate_proj.weight"],
    "ffn_up": ["mlp.up_proj.weight"],
    "ffn_down": ["mlp.down_proj.weight"],
    "attn_sub_norm": ["self_attn.attn_sub_norm.weight", "self_attn.inner_attn_ln.weight"],
    "ffn_sub_norm": ["mlp.ffn_sub_norm.weight", "mlp.ffn_layernorm.weight"],
    "attn_q_bias": ["self_attn.q_proj.bias"],
    "attn_k_bias": ["self_attn.k_proj.bias"],
    "attn_v_bias": ["self_attn.v_proj.bias"],
    "attn_q_norm": ["self_attn.q_norm.weight"],
    "attn_k_norm": ["self_attn.k_norm.weight"],
} | {
    f"{part}_norm_in": [f"{name}_proj.norm.weight", f"{name}_proj.rms_norm.weight"]
    for part, name in {
        "attn_q": "self_attn.q", "attn_k": "self_attn.k", "attn_v": "self_attn.v", "attn_output": "self_attn.o",
        "ffn_gate": "mlp.gate", "ffn_up": "mlp.up", "ffn_down": "mlp.down"}.items()
}  # fmt: skip
GEMMA_NAMES = {
    "post_attention_norm": ["post_attention_layernorm.weight"],
    "ffn_norm": ["pre_feedforward_layernorm.weight"],
    "post_ffw_norm": ["post_feedforward_layernorm.weight"],
}


EXPERT_NAMES = {"ffn_gate": "gate_proj", "ffn_up": "up_proj", "ffn_down": "down_proj"}


def load_checkpoint(folder):
    config, tensors = hf_io.read(folder)
    maple, experts = config["model_type"] == "maple", config.get("num_experts", 0)
    if maple:
        tensors["model.embed_tokens.weight"] = tensors.pop("model.word_embeddings.weight")
    if "embed_tokens.weight" in tensors:  # of a class that is the network alone
        tensors = {f"model.{name}": tensor for name, tensor in tensors.items()}
    gemma = config["model_type"] == "gemma3_text"
    all_names = CHECKPOINT_NAMES | GEMMA_NAMES if gemma else CHECKPOINT_NAMES
    if gemma:  # Gemma's own norms lack 1; those of BitLinear do not
        own = [name for name in tensors if name.endswith("norm.weight") and not name.endswith(("_proj.norm.weight", "_proj.rms_norm.weight"))]
        tensors |= {name: (1 + tensors[name].astype(np.float32)) for name in own}

    def layer(i):
        parts = {}
        for part, names in all_names.items():
            name = next((f"model.layers.{i}.{name}" for name in names if f"model.layers.{i}.{name}" in tensors), None)
            if name is None:
                continue
            linear = Layer.__annotations__[part] is Ternary
            parts[part] = checkpoint_matrix(config, tensors, name) if linear else tensors[name]
        if experts:
            mlp = f"model.layers.{i}.mlp."
            parts["router"] = tensors[mlp + "gate.weight"]
            for part, name in EXPERT_NAMES.items():
                parts[part] = [tensors[f"{mlp}experts.{e}.{name}.weight"] for e in range(experts)]
        return Layer(**parts)

    heads = config["num_attention_heads"]
    rope = (config.get("rope_scaling") or {}) | (config.get("rope_parameters") or {})
    theta = rope.get("rope_theta", config.get("rope_theta", 10000.0))
    head_dim = config.get("head_dim", config["hidden_size"] // heads)
    frequencies, magnitude = scaled_rope(rope, theta, head_dim)
    quantization = config.get("quantization_config") or {}
    minicpm = config["model_type"] == "minicpm"
    windows = "sliding_attention" in config.get("layer_types", ["sliding_attention"]) if gemma else False
    return Model(
        heads=heads,
        kv_heads=config["num_key_value_heads"],
        epsilon=config["rms_norm_eps"],
        theta=theta,
        activation=config["hidden_activation" if gemma else "hidden_act"],
        embedding=tensors["model.embed_tokens.weight"],
        layers=[layer(i) for i in range(config["num_hidden_layers"])],
        output_norm=tensors["model.norm.weight"],
        head=tensors.get("lm_head.weight", tensors["model.embed_tokens.weight"]),
        frequencies=frequencies,
        magnitude=magnitude,
        scaled_embedding=gemma,
        query_scalar=config.get("query_pre_attn_scalar"),
        # Maple's code hands Flash Attention the number of tokens besides the own one.
        window=config["sliding_window"] + 1 if maple else config["sliding_window"] if windows else None,
        window_theta=theta if maple else config.get("rope_local_base_freq", 10000.0),
        window_period=4 if maple else 6,
        experts_used=config.get("num_experts_per_tok", 0),
        normalised=config.get("norm_topk_prob", True),
        limit=7.0 if maple else None,
        turned=int(head_dim * config["partial_rotary_factor"]) if maple else None,
        norm_in_epsilon=quantization.get("rms_norm_eps", 1e-6) if quantization.get("use_rms_norm") else None,
        embedding_scale=config["scale_emb"] if minicpm else 1.0,
        residual_scale=config["scale_depth"] / np.sqrt(config["num_hidden_layers"]) if minicpm else 1.0,
        logit_scale=config["hidden_size"] / config["dim_model_base"] if minicpm else 1.0,
    )


def checkpoint_matrix(config, tensors, name):
    """A linear layer's weights: of packed ones the codes (BitLinear, AutoBitLinear), of BitNet's masters their rounding
    (WeightQuant, in float32), of other models just what the file has."""
    weights, quantization = tensors[name], config.get("quantization_config") or {}
    if weights.dtype == np.uint8:
        codes = np.concatenate([weights >> 2 * i & 3 for i in range(4)]).astype(np.float32) - 1
        scale = np.float32(tensors[name + "_scale"].item())
        multiplied = quantization.get("linear_class") == "autobitlinear"
        return Ternary(codes, scale if multiplied else np.float32(1) / scale)
    bit_linear = name.removesuffix("weight") + "norm.weight" in tensors
    if quantization.get("quant_method") == "bitnet" or config["architectures"] == ["BitnetForCausalLM"] or bit_linear:
        scale = np.float32(1) / np.float32(np.abs(weights).mean(dtype=np.float64))
        return Ternary(np.clip(np.rint(weights * scale), -1, 1), np.float32(1) / scale)
    return weights


def scaled_rope(rope, theta, head_dim):
    """RoPE's frequencies and what its sines and cosines are multiplied by, in float32 as in Hugging Face's code."""
    kind = rope.get("rope_type", "default")
    if kind == "default":
        return None, 1.0
    if kind == "longrope":  # MiniCPM's code; no text here is longer than the context of the first training
        frequencies = plain_frequencies(theta, head_dim) / np.asarray(rope["short_factor"], np.float32)
        return frequencies, rope.get("attention_factor", 1.0)
    f32, factor, context = np.float32, np.float32(rope["factor"]), rope["original_max_position_embeddings"]
    plain = plain_frequencies(theta, head_dim)
    if kind == "llama3":
        low, high = f32(rope["low_freq_factor"]), f32(rope["high_freq_factor"])
        length = f32(2 * np.pi) / plain
        smooth = (f32(context) / length - low) / (high - low)
        middle = (f32(1) - smooth) * plain / factor + smooth * plain
        return np.where(length > context / low, plain / factor, np.where(length < context / high, plain, middle)), 1.0
    if kind == "yarn":
        turns = [rope.get("beta_fast", 32), rope.get("beta_slow", 1)]
        low, high = (head_dim * np.log(context / (n * 2 * np.pi)) / (2 * np.log(theta)) for n in turns)
        low, high = max(np.floor(low), 0), min(np.ceil(high), head_dim - 1)
        ramp = np.clip((np.arange(head_dim // 2, dtype=f32) - f32(low)) / f32(high - low), f32(0), f32(1))
        return plain / factor * ramp + plain * (f32(1) - ramp), float(0.1 * np.log(rope["factor"]) + 1)
    raise ValueError(f"RoPE of kind {kind}")


def plain_frequencies(theta, head_dim):
    exponents = np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim)
    return np.float32(1) / (theta ** exponents.astype(np.float64)).astype(np.float32)


class Past(NamedTuple):
    """Keys and values of the tokens so far: for each layer two arrays (kv head, token, dimension)."""

    layers: list

    def length(self):
        return self.layers[0][0].shape[1]

    def select(self, tokens):
        """The past that has only these of its tokens."""
        return Past([(keys[:, tokens], values[:, tokens]) for keys, values in self.layers])


class Oracle:
    """One method for each step of the network, so that a test can replace one: every deliberate mistake is a subclass.

    Arrays of activations have one row for each token.
    """

    def __init__(self, model, dtype=np.float64, kv_type=np.float16):
        self.model, self.dtype, self.kv_type = model, dtype, kv_type

    def logits(self, tokens):
        return self.evaluate(tokens)[0]

    def evaluate(self, tokens, past=None, siblings=False):
        """Logits after each token, and the past with the tokens appended.

        As siblings, the tokens are alternatives for one position instead of a sequence: each sees the past and itself.
        """
        model, count = self.model, len(tokens)
        start = past.length() if past else 0
        positions = start + (np.zeros(count) if siblings else np.arange(count))
        among_new = np.eye(count, dtype=bool) if siblings else np.tri(count, dtype=bool)
        visible = np.hstack([np.ones((count, start), bool), among_new])

        x = self.embed(tokens)
        layers = []
        for i, layer in enumerate(model.layers):
            self.windowed = model.window is not None and (i + 1) % model.window_period != 0
            seen = visible
            if self.windowed:
                seen = visible & (np.concatenate([np.arange(start), positions]) > positions[:, None] - model.window)
            y, cached = self.attention(layer, x, positions, seen, past.layers[i] if past else None)
            layers.append(cached)
            x = x + self.scale(self.norm_if_there(y, layer.post_attention_norm))
            x = x + self.scale(self.norm_if_there(self.feed_forward(layer, x), layer.post_ffw_norm))
        return self.head(self.norm(x, model.output_norm) / self.dtype(model.logit_scale)), Past(layers)

    def scale(self, y):
        return y * self.dtype(self.model.residual_scale)

    def embed(self, tokens):
        x = self.model.embedding[np.asarray(tokens)].astype(self.dtype)
        if self.model.scaled_embedding:
            return x * self.dtype(np.sqrt(np.float32(x.shape[-1])))
        return x * self.dtype(self.model.embedding_scale)

    def attention(self, layer, x, positions, visible, cached):
        model = self.model
        h = self.norm(x, layer.attn_norm)
        q, k, v = self.project(layer, h, "attn_q", "attn_k", "attn_v")
        q = self.split(self.add(q, layer.attn_q_bias), model.heads)
        k = self.split(self.add(k, layer.attn_k_bias), model.kv_heads)
        v = self.split(self.add(v, layer.attn_v_bias), model.kv_heads)
        q = self.rotate(self.norm_if_there(q, layer.attn_q_norm), positions)
        k = self.store(self.rotate(self.norm_if_there(k, layer.attn_k_norm), positions))
        v = self.store(v)
        if cached:
            k, v = np.concatenate([cached[0], k], axis=1), np.concatenate([cached[1], v], axis=1)
        y = self.attend(q, self.share(k), self.share(v), visible)
        y = self.norm_if_there(y.transpose(1, 0, 2).reshape(len(x), -1), layer.attn_sub_norm)
        return self.project(layer, y, "attn_output")[0], (k, v)

    def feed_forward(self, layer, x):
        h = self.norm(x, layer.ffn_norm)
        if layer.router is not None:
            return self.experts(layer, h)
        gate, up = self.project(layer, h, "ffn_gate", "ffn_up")
        return self.project(layer, self.norm_if_there(self.activate(gate) * up, layer.ffn_sub_norm), "ffn_down")[0]

    def experts(self, layer, h):
        """Each token by the experts that its router's probabilities, of a softmax over all, are largest for."""
        scores = self.matmul(h, layer.router.T.astype(self.dtype, copy=False))
        chosen = np.argsort(-scores, axis=-1, kind="stable")[:, : self.model.experts_used]
        weights = self.weigh(scores, chosen)
        y = np.zeros_like(h)
        for expert in np.unique(chosen):
            tokens, places = np.nonzero(chosen == expert)
            gate, up = (self.linear(h[tokens], m[expert])[0] for m in (layer.ffn_gate, layer.ffn_up))
            product = self.activate(self.limit(gate)) * self.limit(up, below=True)
            y[tokens] += weights[tokens, places, None] * self.linear(product, layer.ffn_down[expert])[0]
        return y

    def weigh(self, scores, chosen):
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights = np.take_along_axis(weights / self.total(weights), chosen, axis=-1)
        return weights / self.total(weights) if self.model.normalised else weights

    def limit(self, x, below=False):
        if self.model.limit is None:
            return x
        return np.clip(x, -self.model.limit if below else None, self.model.limit)

    def project(self, layer, x, *parts):
        """The linear layers of these names, each behind its own norm if there are such."""
        if layer.attn_q_norm_in is None:
            return self.linear(x, *(getattr(layer, part) for part in parts))
        return [self.linear(self.norm_in(x, getattr(layer, part + "_norm_in")), getattr(layer, part))[0] for part in parts]

    def head(self, x):
        return self.matmul(x, self.model.head.T.astype(self.dtype, copy=False))

    def norm(self, x, weight):
        """RMSNorm."""
        return self.root_mean_square_norm(x, weight, self.model.epsilon)

    def norm_in(self, x, weight):
        return self.root_mean_square_norm(x, weight, self.model.norm_in_epsilon or self.model.epsilon)

    def root_mean_square_norm(self, x, weight, epsilon):
        mean = self.total(x * x) / self.dtype(x.shape[-1])
        return x / np.sqrt(mean + self.dtype(epsilon)) * weight.astype(self.dtype)

    def norm_if_there(self, x, weight):
        return x if weight is None else self.norm(x, weight)

    def add(self, x, bias):
        return x if bias is None else x + bias.astype(self.dtype)

    def linear(self, x, *matrices):
        """Matrices of floats as they are. BitLinear: the ternary matrices times the int8 activations; the product of the
        integers is exact."""
        if not isinstance(matrices[0], Ternary):
            return [self.matmul(x, w.T.astype(self.dtype, copy=False)) for w in matrices]
        codes, scale = self.quantize(x)
        products = ((codes.astype(np.float32) @ w.codes.T).astype(self.dtype) for w in matrices)
        return [product * (self.dtype(w.scale) / scale) for product, w in zip(products, matrices)]

    def quantize(self, x):
        """Absmax int8 of each token: x is about codes / scale."""
        scale = self.dtype(127) / np.maximum(np.abs(x).max(axis=-1, keepdims=True), self.dtype(1e-5))
        return np.clip(np.rint(x * scale), -128, 127), scale

    def split(self, x, heads):
        """From one row a token to (head, token, dimension)."""
        return x.reshape(len(x), heads, -1).transpose(1, 0, 2)

    def share(self, x):
        """Grouped-query attention: each key/value head serves consecutive query heads."""
        return np.repeat(x, self.model.heads // self.model.kv_heads, axis=0)

    def rotate(self, x, positions):
        """RoPE over the pairs (i, i + half).

        Frequencies and angles are float32 in every mode, as in Hugging Face's code, where they are so whatever type the
        network has: at position 300 that moves a rotation by up to 1e-5, far more than any other rounding.
        """
        if self.model.turned is not None and not self.windowed:
            return x
        size = self.model.turned or x.shape[-1]
        half = size // 2
        scaled = None if self.windowed else self.model.frequencies
        theta = self.model.window_theta if self.windowed else self.model.theta
        frequencies = plain_frequencies(theta, size) if scaled is None else scaled
        angle = (positions.astype(np.float32)[:, None] * frequencies).astype(np.float64)
        cos, sin = (f(angle).astype(self.dtype) * self.dtype(self.model.magnitude) for f in (np.cos, np.sin))
        a, b = x[..., :half], x[..., half:size]
        return np.concatenate([a * cos - b * sin, b * cos + a * sin, x[..., size:]], axis=-1)

    def store(self, x):
        return x.astype(self.kv_type)

    def attend(self, q, k, v, visible):
        """Softmax attention, every head by itself."""
        scalar = self.model.query_scalar or q.shape[-1]
        scores = self.matmul(q, k.transpose(0, 2, 1).astype(self.dtype)) / np.sqrt(self.dtype(scalar))
        scores = np.where(visible, scores, self.dtype(-np.inf))
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return self.matmul(weights, v.astype(self.dtype)) / self.total(weights)

    def activate(self, gate):
        if self.model.activation == "silu":
            return gate / (self.dtype(1) + np.exp(-gate))
        if self.model.activation == "gelu_pytorch_tanh":
            inner = self.dtype(np.sqrt(2 / np.pi)) * (gate + self.dtype(0.044715) * gate**3)
            return self.dtype(0.5) * gate * (self.dtype(1) + np.tanh(inner))
        return np.square(np.maximum(gate, self.dtype(0)))

    def matmul(self, a, b):
        return a @ b

    def total(self, x):
        """The sum over the last axis, which stays."""
        return x.sum(axis=-1, keepdims=True)


class SequentialOracle(Oracle):
    """Adds every sum up from left to right, one rounding for each term: of the orders in use, the least accurate."""

    def matmul(self, a, b):
        result = np.zeros(np.broadcast_shapes(a.shape[:-1] + (1,), b.shape[:-2] + (1, b.shape[-1])), self.dtype)
        for i in range(a.shape[-1]):
            result += a[..., i, None] * b[..., i, None, :]
        return result

    def total(self, x):
        return np.add.accumulate(x, axis=-1)[..., -1:]
