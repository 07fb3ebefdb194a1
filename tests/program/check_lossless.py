# SPDX-License-Identifier: MIT
"""The shipped model over 1,000 prompts, and files of each type that a GGUF file holds over fewer: what is computed is what the
weights say."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

PROGRAM = os.environ["BITNET_PROGRAM"]
MODEL, TEXT = map(pathlib.Path, sys.argv[1:])
# A small one whose scales those types hold.
HALF_SCALES = ["TriLM-99M", "--weights", "ternary"]


def main():
    sentences = re.split(r"(?<=[.!?])\s+", TEXT.read_text(encoding="utf-8"))
    prompts = [" ".join(sentence.split()[:6]) for sentence in sentences if len(sentence.split()) >= 8]
    prompts += [" ".join(sentence.split()[2:8]) for sentence in sentences if len(sentence.split()) >= 12]
    assert len(prompts) >= 1000, len(prompts)
    with tempfile.TemporaryDirectory() as folder:
        listed = pathlib.Path(folder) / "prompts.txt"
        listed.write_text("\n".join(prompts), encoding="utf-8")
        files = {MODEL: 1000}
        for kind, (dummy, count) in {**dict.fromkeys(("i2_s", "f16"), (["125M"], 20)),
                                     **dict.fromkeys(("tq1_0", "tq2_0", "q2_0"), (HALF_SCALES, 20)),
                                     **dict.fromkeys(("tl1", "tl2"), (["bitnet_b1_58-large"], 5))}.items():
            path = pathlib.Path(folder) / f"{kind}.gguf"
            subprocess.run([PROGRAM, "dummy", "-q", path, "--size", *dummy, "--format", "gguf", "--gguf-type", kind], check=True)
            files[path] = count
        for file, count in files.items():
            done = subprocess.run([PROGRAM, "verify", "--lossless", "--json", "--prompts", listed, "--count", str(count), file],
                                  stdout=subprocess.PIPE, check=True)
            [result] = json.loads(done.stdout)
            print(f"{file.name}: {result['prompts']} prompts, {result['same']} the same, {result['by_cache']} by the cache, "
                  f"{result['by_sums']} by sums, {result['faults']} faults; {result['products']['differing']} of "
                  f"{result['products']['values']} products; {result['seconds']:.0f} s")
            assert result["lossless"]


if __name__ == "__main__":
    main()
