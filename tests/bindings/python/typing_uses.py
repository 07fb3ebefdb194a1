# SPDX-License-Identifier: MIT
"""What type checkers say of programs: mypy passes this file, so each wrong line has the error that is expected of it."""
from __future__ import annotations

import array
import pathlib

import bitnet

options: bitnet.SamplerOptions = {"temperature": 0.8, "top_k": 40, "logit_bias": {5: -1.0}}
wrong: bitnet.SamplerOptions = {"temprature": 0.8}  # type: ignore

model = bitnet.Model(pathlib.Path("a"), isa=None, verify=None, packing="t5", head="q6", i2s="rows", activation="silu",
                     chat_template=pathlib.Path("b"), log=lambda level, text: print(level.upper(), text.upper()),
                     progress=lambda done, total: done < total)
with bitnet.Model.from_bytes(b"", chat_template="chatml") as opened:
    source: str = opened.info.chat_template_source
bitnet.Model("a", packing="t6")  # type: ignore[arg-type]
bitnet.Model("a", i2s="arms")  # type: ignore[arg-type]
bitnet.Model("a", verfy=True)  # type: ignore[call-arg]
bitnet.Model("a", chat_template=b"chatml")  # type: ignore[arg-type]
bitnet.Model(3)  # type: ignore[arg-type]
bitnet.Model.from_bytes("a")  # type: ignore[arg-type]

with bitnet.Pool(threads=2) as pool, model.engine(pool=pool, pass_ms=50, batch=None) as engine:
    own: bitnet.Session = engine.session(context=64, priority="background")
model.engine(kv="int8")  # type: ignore[call-arg]
model.session(engine=pool)  # type: ignore[arg-type]
session: bitnet.Session = model.session(context=64, kv="int8", engine=None)
model.session(kv="int4")  # type: ignore[arg-type]
model.session(thread=3)  # type: ignore[call-arg]

generation: bitnet.Generation = session.generate("a", max_tokens=3, stop=["b"], temperature=1, **options)  # type: ignore[misc]
session.generate("a", max_token=3)  # type: ignore[call-arg]
session.generate("a", temprature=0.5)  # type: ignore[call-arg]
session.generate("a", temperature="0.5")  # type: ignore[arg-type]
session.generate(3)  # type: ignore[arg-type]
for text in session.generate([1, 2], **options):
    print(text.upper())
finish: bitnet.Finish | None = generation.finish


async def write() -> str:
    return "".join([text.upper() async for text in session.generate("a", max_tokens=3)])


messages: list[bitnet.Message] = [("user", "a"), {"role": "user", "content": [{"type": "text", "text": "b"}]}]
session.chat(messages, trust=True, max_tokens=3, seed=1, stop="\n")
session.chat(messages, whole=True)  # type: ignore[call-arg]
session.chat("hello")  # type: ignore[arg-type]
tokens: list[int] = model.chat_tokenize(messages, reply=False, trust=False)
model.chat_tokenize(messages, trusted=True)  # type: ignore[call-arg]

sampler = bitnet.Sampler(**options)
bitnet.Sampler(top_q=3)  # type: ignore[call-arg]
token: int = sampler.sample_logits(array.array("f", [0.5]), recent=[1])
session.eval([token], logits="all", cancel=bitnet.Cancel())
session.eval([token], logits="first")  # type: ignore[arg-type]
bitnet.eval_batch([(session, [1]), (session, tokens)], logit="all")  # type: ignore[call-arg]

bitnet.convert("a", b"b", packing="i2", chat_template="llama3", activation="relu2", log=lambda level, text: None)
bitnet.convert("a", "b", zstd=3)  # type: ignore[call-arg]
names: list[str] = bitnet.chat_template_names()
model.tokenise("a")  # type: ignore[attr-defined]
