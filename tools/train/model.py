"""BitNet b1.58 in the shape of the 2B-4T release, with or without quantization-aware training."""
# SPDX-License-Identifier: MIT
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Config:
    vocab: int = 4096
    hidden: int = 384
    layers: int = 6
    heads: int = 6
    kv_heads: int = 2
    ffn: int = 1024
    context: int = 512
    theta: float = 10000.0
    eps: float = 1e-5
    dropout: float = 0.0
    quantize: bool = True


def quantize_weight(w):
    """Ternary codes and the scale they stand for: the mean absolute weight of the matrix (absmean)."""
    scale = w.abs().mean().clamp(min=1e-5)
    return (w / scale).round().clamp(-1, 1), scale


def quantize_activation(x):
    """int8 codes of each token's vector and the scale that turns them back (absmax)."""
    scale = x.abs().amax(dim=-1, keepdim=True).clamp(min=1e-5) / 127
    return (x / scale).round().clamp(-128, 127), scale


class BitLinearFunction(torch.autograd.Function):
    """y = dequantized x times dequantized w; the gradient passes both roundings unchanged (straight-through).

    Codes are whole numbers up to 128, exact in bfloat16, so the products are exact whatever the matmul's type.
    """

    @staticmethod
    def forward(ctx, x, w, dtype):
        xq, xs = quantize_activation(x)
        wq, ws = quantize_weight(w)
        xq, wq = xq.to(dtype), wq.to(dtype)
        ctx.save_for_backward(xq, xs, wq, ws)
        return (xq @ wq.t()).float() * (xs * ws)

    @staticmethod
    def backward(ctx, grad):
        xq, xs, wq, ws = ctx.saved_tensors
        grad_x = ((grad * ws).to(wq.dtype) @ wq).float()
        grad_w = ((grad * xs).to(xq.dtype).t() @ xq).float()
        return grad_x, grad_w, None


class BitLinear(nn.Module):
    def __init__(self, inputs, outputs, quantize, std):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs).normal_(std=std))
        self.quantize = quantize

    def forward(self, x, dtype):
        if self.quantize:
            return BitLinearFunction.apply(x, self.weight, dtype)
        return (x.to(dtype) @ self.weight.to(dtype).t()).float()


class RMSNorm(nn.Module):
    def __init__(self, size, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight


def rotate(x, cos, sin):
    """Rotary position embedding, the pairs being (i, i + half)."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads, self.kv_heads, self.size, self.dropout = c.heads, c.kv_heads, c.hidden // c.heads, c.dropout
        std, out = 0.02, 0.02 / (2 * c.layers) ** 0.5
        kv = self.size * c.kv_heads
        self.attn_norm = RMSNorm(c.hidden, c.eps)
        self.attn_q = BitLinear(c.hidden, c.hidden, c.quantize, std)
        self.attn_k = BitLinear(c.hidden, kv, c.quantize, std)
        self.attn_v = BitLinear(c.hidden, kv, c.quantize, std)
        self.attn_sub_norm = RMSNorm(c.hidden, c.eps)
        self.attn_output = BitLinear(c.hidden, c.hidden, c.quantize, out)
        self.ffn_norm = RMSNorm(c.hidden, c.eps)
        self.ffn_gate = BitLinear(c.hidden, c.ffn, c.quantize, std)
        self.ffn_up = BitLinear(c.hidden, c.ffn, c.quantize, std)
        self.ffn_sub_norm = RMSNorm(c.ffn, c.eps)
        self.ffn_down = BitLinear(c.ffn, c.hidden, c.quantize, out)

    def attention(self, h, shape, cos, sin, dtype):
        batch, length = shape
        def split(y, heads):
            return y.view(batch, length, heads, self.size).transpose(1, 2)
        q = rotate(split(self.attn_q(h, dtype), self.heads), cos, sin).to(dtype)
        k = rotate(split(self.attn_k(h, dtype), self.kv_heads), cos, sin).to(dtype)
        v = split(self.attn_v(h, dtype), self.kv_heads).to(dtype)
        group = self.heads // self.kv_heads
        k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return y.transpose(1, 2).reshape(batch * length, -1).float()

    def forward(self, x, shape, cos, sin, dtype):
        y = self.attention(self.attn_norm(x), shape, cos, sin, dtype)
        y = self.attn_output(self.attn_sub_norm(y), dtype)
        x = x + F.dropout(y, self.dropout, self.training)
        h = self.ffn_norm(x)
        y = F.relu(self.ffn_gate(h, dtype)).square() * self.ffn_up(h, dtype)
        y = self.ffn_down(self.ffn_sub_norm(y), dtype)
        return x + F.dropout(y, self.dropout, self.training)


class Model(nn.Module):
    """The names of the parameters are GGUF's, but for the prefix blk."""

    def __init__(self, c):
        super().__init__()
        self.config = c
        self.token_embd = nn.Parameter(torch.empty(c.vocab, c.hidden).normal_(std=0.02))
        self.blk = nn.ModuleList(Block(c) for _ in range(c.layers))
        self.output_norm = RMSNorm(c.hidden, c.eps)
        half = c.hidden // c.heads // 2
        angle = torch.outer(torch.arange(c.context), c.theta ** (-torch.arange(half) / half))
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def forward(self, ids, dtype=torch.float32):
        """Logits of shape (batch * length, vocab); matmuls in dtype, everything else in float32."""
        length = ids.shape[1]
        x = F.embedding(ids, self.token_embd).view(-1, self.config.hidden)
        x = F.dropout(x, self.config.dropout, self.training)
        for block in self.blk:
            x = block(x, ids.shape, self.cos[:length], self.sin[:length], dtype)
        return (self.output_norm(x).to(dtype) @ self.token_embd.to(dtype).t()).float()
