# SPDX-License-Identifier: MIT
"""Every command does what its manual says, and says it in the promised form."""
import ast
import json
import math
import os
import struct
import unittest

from program import FAILURE, FOLDER, SUCCESS, USAGE, bitnet, gguf, hf_folder, tiny


def npy(path):
    """Header and rows of a NumPy file of float32, read by the format's description."""
    data = path.read_bytes()
    assert data[:8] == b"\x93NUMPY\x01\x00"
    length = struct.unpack("<H", data[8:10])[0]
    header = ast.literal_eval(data[10:10 + length].decode())
    assert (10 + length) % 64 == 0
    rows, columns = header["shape"]
    values = struct.unpack(f"<{rows * columns}f", data[10 + length:])
    return header, [values[i * columns:(i + 1) * columns] for i in range(rows)]


class Commands(unittest.TestCase):
    def succeed(self, *arguments, **others):
        done = bitnet(*arguments, **others)
        self.assertEqual(done.returncode, SUCCESS, done.stderr.decode())
        return done.stdout

    def test_help_of_every_command_has_examples(self):
        overview = self.succeed("--help").decode()
        for command in ("run", "chat", "info", "convert", "verify", "tokenize", "logits", "perplexity", "bench", "dummy"):
            with self.subTest(command):
                self.assertIn(f"\n  {command} ", overview)
                self.assertIn("Example", self.succeed(command, "--help").decode())

    def test_help_fits_a_wide_terminal(self):
        for command in ("run", "chat", "info", "convert", "verify", "tokenize", "logits", "perplexity", "bench", "dummy"):
            for line in self.succeed(command, "--help").decode().splitlines():
                self.assertLessEqual(len(line), 120, line)

    def test_version_lists_kernel_sets(self):
        lines = self.succeed("--version").decode().splitlines()
        self.assertRegex(lines[0], r"^bitnet \d+\.\d+\.\d+$")
        self.assertIn("scalar", lines[1])
        self.assertTrue(lines[2].startswith("CPU features:"))

    def test_dummy_is_the_same_for_the_same_seed(self):
        one, same, other = tiny(), tiny("--seed", "1"), tiny("--seed", "2")
        self.assertEqual(one.read_bytes(), same.read_bytes())
        self.assertNotEqual(one.read_bytes(), other.read_bytes())

    def test_info_json_agrees_with_the_table(self):
        facts = json.loads(self.succeed("info", tiny("--packing", "t5"), "--json", "--tensors"))
        self.assertEqual(facts["packing"], "t5")
        self.assertEqual(facts["file_bytes"], tiny("--packing", "t5").stat().st_size)
        self.assertGreater(facts["parameters"], facts["ternary_parameters"])
        self.assertIn("token_embd.weight", [tensor["name"] for tensor in facts["tensors"]])
        table = self.succeed("info", "-m", tiny("--packing", "t5")).decode()
        self.assertRegex(table, rf"(?m)^parameters +{facts['parameters']:,}")
        self.assertRegex(table, rf"(?m)^layers +{facts['layers']}$")

    def test_an_activation_that_is_asked_for_is_used_and_kept(self):
        def activation(path, *options):
            done = bitnet("info", path, "--json", "--tensors", *options)
            self.assertEqual(done.returncode, SUCCESS, done.stderr)
            return json.loads(done.stdout)["activation"]

        self.assertEqual(activation(gguf()), "relu2")
        self.assertEqual(activation(gguf(), "--activation", "silu"), "silu")
        out = FOLDER / "silu.bitnet"
        self.assertEqual(bitnet("convert", gguf(), out, "--activation", "silu").returncode, SUCCESS)
        self.assertEqual(activation(out), "silu")
        self.assertEqual(activation(out, "--activation", "relu2"), "relu2")
        self.assertEqual(activation(tiny(), "--activation", "silu"), "silu")
        wrong = bitnet("info", gguf(), "--activation", "gelu")
        self.assertEqual(wrong.returncode, USAGE)
        self.assertIn(b"relu2|silu", wrong.stderr)

    def test_convert_says_what_it_decides(self):
        silent, out = FOLDER / "silent.gguf", FOLDER / "decided.bitnet"
        silent.write_bytes(gguf().read_bytes().replace(b"hidden_act", b"hidden_xyz"))
        for source, options, said in ((gguf(), ["--verbose"], b""), (silent, [], b"does not name its activation"),
                                      (silent, ["--quiet"], b""), (silent, ["--activation", "relu2"], b"")):
            with self.subTest(source=source, options=options):
                done = bitnet("convert", "--force", source, out, *options)
                self.assertEqual(done.returncode, SUCCESS, done.stderr)
                self.assertIn(said, done.stderr)
                self.assertEqual(b"activation" in done.stderr, said != b"")

    def test_info_shortens_long_values_unless_told_not_to(self):
        template = "{# " + "long " * 100 + "#}{{ messages[0]['content'] }}"
        model = gguf(template, 256)
        key = "tokenizer.chat_template"
        metadata = json.loads(self.succeed("info", model, "--json"))["metadata"]
        longest = max(map(len, self.succeed("info", model).decode().splitlines()))
        self.assertLess(longest, 160)
        if key in metadata:
            self.assertIn(template, self.succeed("info", model, "--full").decode())

    def test_conversions_keep_the_logits(self):
        source, packed, small = gguf(), FOLDER / "packed.bitnet", FOLDER / "small.bitnet"
        self.succeed("convert", source, packed)
        said = self.succeed("convert", "--packing", "t5", "--zstd=3", packed, small).decode()
        self.assertRegex(said, r"small\.bitnet: [\d.]+ \w+ from [\d.]+ \w+ \(\d+%\) in .*/s\n$")
        rows = []
        for model in (source, packed, small):
            out = FOLDER / (model.name + ".npy")
            self.succeed("logits", "-m", model, "--tokens", "0 40 41 42", "-o", out)
            rows.append(out.read_bytes())
        self.assertEqual(rows[0], rows[1])
        self.assertEqual(rows[0], rows[2])

    def test_convert_and_dummy_replace_only_by_force(self):
        out = FOLDER / "kept.bitnet"
        out.write_text("precious")
        for command in (["convert", gguf(), out], ["dummy", out, "--size", "tiny"]):
            with self.subTest(command[0]):
                done = bitnet(*command)
                self.assertEqual(done.returncode, FAILURE)
                self.assertIn(b"--force", done.stderr)
                self.assertEqual(out.read_text(), "precious")
        self.succeed("convert", "--force", "-q", gguf(), out)
        self.succeed("verify", out)

    def test_verify_names_the_damaged_tensor(self):
        self.assertIn(b"sound", self.succeed("verify", tiny()))
        data = bytearray(tiny().read_bytes())
        data[len(data) // 2] ^= 1
        damaged = FOLDER / "damaged.bitnet"
        damaged.write_bytes(data)
        done = bitnet("verify", damaged)
        self.assertEqual(done.returncode, FAILURE)
        self.assertRegex((done.stdout + done.stderr).decode(), r"[a-z_]+\.weight|blk\.\d")

    def test_verify_against_says_whether_anything_was_lost(self):
        model, original = FOLDER / "verified.bitnet", gguf()
        self.succeed("convert", "--force", "-q", "--packing", "t5", original, model)
        self.assertTrue(self.succeed("verify", "--against", original, model).endswith(b": lossless\n"))
        found = json.loads(self.succeed("verify", "--against", original, model, "--json"))
        self.assertTrue(found["lossless"])
        self.assertEqual({tensor["differing"] for tensor in found["tensors"]}, {0})
        self.succeed("convert", "--force", "-q", "--head", "int8", original, model)
        done = bitnet("verify", "--against", original, model)
        self.assertEqual(done.returncode, FAILURE)
        self.assertIn(b"not lossless: tensor output.weight, row 0, column", done.stderr)
        self.assertRegex(done.stdout.decode(), r"output\.weight +int8 +\d+ x \d+ +[\d,]+ differ, by up to [\d.e-]+; row 0")
        self.assertEqual(bitnet("verify", model, "--json").returncode, USAGE)

    def test_verify_lossless_holds_texts_to_a_plain_reference(self):
        """Of every kind of weights. Where activations are not rounded to int8 the very same texts come out."""
        files = [("tiny", False), ("tiny-vibeasr", False), ("tiny-bonsai", True), ("tiny-trilm", True), ("tiny-gemma3", True),
                 ("tiny-qwen2", True), ("tiny-qwen2-normed", False), ("tiny-minicpm", True),
                 ("tiny-maple", False), ("tiny-qwen3moe", True)]
        if os.environ.get("BITNET_SANITIZE"):  # which makes plain loops very slow
            files = [("tiny", False), ("tiny-qwen3moe", True)]
        prompts, tokens = (1, 3) if os.environ.get("BITNET_SANITIZE") else (4, 8)
        paths = [FOLDER / f"lossless-{shape}.bitnet" for shape, _ in files]
        for path, (shape, _) in zip(paths, files):
            self.succeed("dummy", "-q", "--force", path, "--size", shape)
        command = ("verify", "--lossless", "--count", str(prompts), "-n", str(tokens), "-t", "2")
        found = json.loads(self.succeed(*command, "--json", *paths))
        for result, path, (shape, exact) in zip(found, paths, files):
            with self.subTest(shape):
                self.assertEqual((result["file"], result["prompts"], result["tokens"]), (str(path), prompts, tokens))
                self.assertTrue(result["lossless"])
                self.assertEqual((result["faults"], result["products"]["differing"]), (0, 0))
                self.assertGreater(result["products"]["values"], 10000)
                self.assertEqual(result["same"] + len(result["differences"]), prompts)
                if exact:
                    self.assertEqual(result["share"], 1)
        for wrong in (["--against", gguf()], ["-n", "600"], ["--count", "0"]):
            self.assertEqual(bitnet(*command, *wrong, paths[0]).returncode, USAGE, wrong)
        self.assertEqual(bitnet("verify", "--kv", "f16", paths[0]).returncode, USAGE)

    @unittest.skipIf(os.environ.get("BITNET_SANITIZE"), "a sanitizer makes plain loops very slow; the test above has them")
    def test_verify_lossless_takes_prompts_and_what_computes(self):
        command = ("verify", "--lossless", "--count", "4", "-n", "8", "-t", "2")
        model = FOLDER / "lossless-prompts-tiny-bonsai.bitnet"
        self.succeed("dummy", "-q", "--force", model, "--size", "tiny-bonsai")
        (FOLDER / "prompts.txt").write_text("One\n\nTwo\r\nThree\n")
        text = self.succeed(*command, model, "--prompts", FOLDER / "prompts.txt", "--kv", "f16", "--isa", "scalar").decode()
        self.assertRegex(text, r"tiny-bonsai.bitnet +f16 +3 +3 +100.0 % +0 +0 +0 +[\d,]+ +0\n")
        self.assertRegex(self.succeed(*command, gguf(), "--packing", "t5", "--head", "q6").decode(), r"\.gguf +int16 +4 ")
        (FOLDER / "prompts.txt").write_text("\n")
        self.assertIn(b"prompts.txt: no line", bitnet(*command, model, "--prompts", FOLDER / "prompts.txt").stderr)

    def test_a_hugging_face_folder_is_a_model(self):
        folder, model, out = hf_folder("hf"), FOLDER / "hf.bitnet", FOLDER / "hf.npy"
        self.assertIn(b"architecture   bitnet-b1.58\n", self.succeed("info", folder))
        said = self.succeed("convert", folder, model).decode()
        before, after = (folder / "model.safetensors").stat().st_size, model.stat().st_size
        self.assertIn(f" KiB from {before / 1024:.0f} KiB ({100 * after / before:.0f}%) in ", said)
        self.succeed("logits", "-m", folder, "--tokens", "1 2 3", "-o", out)
        logits = out.read_bytes()
        for other in (model, folder / "config.json", hf_folder("hf-shards", shards=3)):
            with self.subTest(other):
                self.succeed("logits", "-m", other, "--tokens", "1 2 3", "-o", out)
                self.assertEqual(out.read_bytes(), logits)
        self.assertEqual(self.succeed("run", "-q", "-m", folder, "-p", "x", "-n", "5", "--temp", "0"),
                         self.succeed("run", "-q", "-m", model, "-p", "x", "-n", "5", "--temp", "0"))

    def test_convert_tells_the_size_of_all_parts(self):
        folder = hf_folder("hf-parts", shards=2)
        before = sum(part.stat().st_size for part in folder.glob("*.safetensors"))
        said = self.succeed("convert", folder, FOLDER / "parts.bitnet").decode()
        self.assertIn(f" from {before / 1024:.0f} KiB (", said)

    def test_verify_against_a_hugging_face_folder(self):
        folder, model = hf_folder("hf-original"), FOLDER / "hf-original.bitnet"
        self.succeed("convert", "-q", "--packing", "t5", folder, model)
        self.assertTrue(self.succeed("verify", "--against", folder, model).endswith(b": lossless\n"))
        found = json.loads(self.succeed("verify", "--against", folder / "model.safetensors", model, "--json"))
        self.assertTrue(found["lossless"])
        self.assertEqual(len(found["tensors"]), 24)
        done = bitnet("verify", "--against", hf_folder("hf-other", seed=2), model)
        self.assertEqual(done.returncode, FAILURE)
        self.assertRegex(done.stderr.decode(), r": not lossless: tensor token_embd\.weight, row 0, column \d+: .*; and 14 more")
        (folder / "model.safetensors").unlink()
        done = bitnet("verify", "--against", folder, model)
        self.assertEqual(done.returncode, FAILURE)
        self.assertIn(str(folder), done.stderr.decode())
        self.assertIn("no weights", done.stderr.decode())

    def test_dummy_lists_its_shapes(self):
        shapes = {shape["name"]: shape for shape in json.loads(self.succeed("dummy", "--list", "--json"))}
        self.assertEqual(shapes["2B-4T"]["parameters"], 2412820480)
        self.assertGreater(shapes["Falcon3-7B-1.58"]["bytes"], 2 * shapes["Falcon3-1B-1.58"]["bytes"])
        self.assertIn(b"Bonsai-8B ", self.succeed("dummy", "--list"))
        self.assertEqual(bitnet("dummy", FOLDER / "none.bitnet").returncode, USAGE)
        self.assertEqual(bitnet("dummy", "--size", "tiny").returncode, USAGE)

    def test_dummy_writes_gguf_that_is_the_same_model(self):
        model, other = FOLDER / "dummy.bitnet", FOLDER / "dummy.gguf"
        self.succeed("dummy", model, "--size", "tiny-bonsai")
        self.succeed("dummy", other, "--size", "tiny-bonsai", "--format", "gguf")
        self.assertEqual(other.read_bytes()[:4], b"GGUF")
        self.succeed("verify", "-q", "--against", other, model)
        done = bitnet("dummy", FOLDER / "x.bitnet", "--size", "tiny", "--outtype", "TL2")
        self.assertEqual(done.returncode, SUCCESS)
        self.assertIn(b"--packing t5", done.stderr)

    def test_convert_writes_gguf_by_the_name_of_the_output(self):
        kept, out = FOLDER / "kept.bitnet", FOLDER / "exported.gguf"
        self.assertEqual(bitnet("convert", "--force", gguf(), kept).returncode, SUCCESS)
        self.assertEqual(bitnet("convert", "--force", "--outtype", "i2_s", kept, out).returncode, SUCCESS)
        self.assertEqual(out.read_bytes()[:4], b"GGUF")
        self.assertIn(b"lossless", bitnet("verify", "--against", out, kept).stdout)
        for arguments, said, code in ((("--outtype", "tl1", kept, out), b"setup_env.py", FAILURE),
                                      (("--outtype", "tq2_0", gguf(), kept), b"ends neither in .gguf", USAGE),
                                      (("--outtype", "packed", kept, out), b"no type of a GGUF file", USAGE),
                                      (("--packing", "t5", kept, out), b"GGUF is to be written", USAGE)):
            with self.subTest(arguments=arguments[:2]):
                done = bitnet("convert", "--force", *arguments)
                self.assertEqual(done.returncode, code)
                self.assertIn(said, done.stderr)

    def test_convert_writes_a_folder_that_comes_back(self):
        source, folder, back = hf_folder("original"), FOLDER / "exported", FOLDER / "back.bitnet"
        said = self.succeed("convert", source, f"{folder}/").decode()
        self.assertRegex(said, r"exported/: .* from ")
        self.succeed("convert", "-q", folder, back)
        self.assertIn(b"lossless", self.succeed("verify", "--against", source, back))
        for path in (source, folder):
            self.succeed("logits", "-m", path, "--tokens", "5 6 7", "-o", FOLDER / f"{path.name}.npy")
        self.assertEqual((FOLDER / "original.npy").read_bytes(), (FOLDER / "exported.npy").read_bytes())
        again = bitnet("convert", "--force", source, folder)
        self.assertEqual(again.returncode, FAILURE)
        self.assertIn(b"not empty", again.stderr)
        wrong = bitnet("convert", "--outtype", "i2_s", source, f"{FOLDER}/other/")
        self.assertEqual(wrong.returncode, USAGE)
        self.assertIn(b"packed, bf16, f16, f32", wrong.stderr)

    def test_tokenize_shows_every_token(self):
        model = gguf()
        listed = json.loads(self.succeed("tokenize", "-m", model, "--json", "--bos", "héllo"))
        self.assertEqual(listed["count"], 7)
        self.assertEqual(listed["tokens"][0], {"id": 0, "text": "<|begin|>", "bytes": b"<|begin|>".hex(), "control": True})
        self.assertEqual(bytes.fromhex("".join(t["bytes"] for t in listed["tokens"][1:])).decode(), "héllo")
        ids = self.succeed("tokenize", "-m", model, "--ids", "héllo").decode()
        self.assertEqual(list(map(int, ids.split())), [t["id"] for t in listed["tokens"][1:]])
        self.assertEqual(self.succeed("tokenize", "-m", model, "--decode", ids).decode(), "héllo\n")
        self.assertEqual(len(self.succeed("tokenize", "-m", model, "hello").splitlines()), 5)

    def test_tokenize_reads_files_and_standard_input(self):
        path = FOLDER / "text.txt"
        path.write_bytes(b"two\nlines\n")
        model = gguf()
        expected = self.succeed("tokenize", "-m", model, "--ids", "two\nlines\n")
        self.assertEqual(self.succeed("tokenize", "-m", model, "--ids", "-f", path), expected)
        self.assertEqual(self.succeed("tokenize", "-m", model, "--ids", stdin=b"two\nlines\n"), expected)

    def test_control_tokens_are_named_only_on_request(self):
        model = gguf()
        self.assertEqual(self.succeed("tokenize", "-m", model, "--ids", "--special", "<|end|>"), b"1\n")
        self.assertEqual(len(self.succeed("tokenize", "-m", model, "--ids", "<|end|>").split()), 7)
        self.assertEqual(self.succeed("tokenize", "-m", model, "--decode", "1"), b"\n")
        self.assertEqual(self.succeed("tokenize", "-m", model, "--special", "--decode", "[1]"), b"<|end|>\n")

    def test_logits_are_a_numpy_file(self):
        out = FOLDER / "out.npy"
        self.succeed("logits", "-m", gguf(), "--tokens", "0, 40 41", "-o", out)
        header, rows = npy(out)
        self.assertEqual(header, {"descr": "<f4", "fortran_order": False, "shape": (3, 261)})
        self.assertTrue(all(math.isfinite(value) for row in rows for value in row))
        self.assertNotEqual(rows[0], rows[1])
        self.succeed("logits", "-m", gguf(), "-p", "#$", "-o", FOLDER / "text.npy")
        self.assertEqual((FOLDER / "text.npy").read_bytes(), out.read_bytes())

    def test_logits_do_not_depend_on_kernels_and_threads(self):
        files = []
        for isa in self.succeed("--version").decode().splitlines()[1].split()[2:]:
            for threads in (1, 3):
                files.append(FOLDER / f"{isa}{threads}.npy")
                self.succeed("logits", "-m", tiny(), "--tokens", "5 6 7", "--isa", isa, "-t", threads, "-o", files[-1])
        self.assertEqual(len({path.read_bytes() for path in files}), 1)

    def test_perplexity_is_what_the_logits_say(self):
        tokens = [40, 41, 90, 100, 7, 8, 30]
        path = FOLDER / "ids.json"
        path.write_text(json.dumps([[0] + tokens[:5], tokens[5:]]))
        scored = json.loads(self.succeed("perplexity", "-m", gguf(), "--tokens-file", path, "--window", 3, "--json"))
        loss = 0
        for window in (tokens[:3], tokens[3:5], tokens[5:]):
            out = FOLDER / "window.npy"
            self.succeed("logits", "-m", gguf(), "--tokens", " ".join(map(str, [0] + window[:-1])), "-o", out)
            for row, token in zip(npy(out)[1], window):
                loss += math.log(sum(math.exp(value - row[token]) for value in row))
        self.assertEqual((scored["tokens"], scored["windows"], scored["documents"]), (7, 3, 2))
        self.assertAlmostEqual(scored["loss"], loss / 7, places=6)
        self.assertAlmostEqual(scored["perplexity"], math.exp(loss / 7), delta=1e-4 * scored["perplexity"])

    def losses(self, model, tokens):
        """The loss of each token but the first, predicted from those before it."""
        out = FOLDER / "window.npy"
        self.succeed("logits", "-m", model, "--tokens", " ".join(map(str, tokens[:-1])), "-o", out)
        return [math.log(sum(math.exp(value - row[token]) for value in row)) for row, token in zip(npy(out)[1], tokens[1:])]

    def test_perplexity_puts_no_token_before_texts_that_begin_with_none(self):
        model, windows = gguf(begin=False), ([0, 41, 90], [100, 7, 8])
        path = FOLDER / "ids.json"
        path.write_text(json.dumps(sum(windows, [])))
        scored = json.loads(self.succeed("perplexity", "-m", model, "--tokens-file", path, "--window", 3, "--json"))
        losses = [loss for window in windows for loss in self.losses(model, window)]
        self.assertEqual((scored["tokens"], scored["windows"]), (4, 2))
        self.assertAlmostEqual(scored["loss"], sum(losses) / 4, places=6)

    def test_perplexity_of_the_ends_of_the_first_windows(self):
        path = FOLDER / "ids.json"
        for begin in (True, False):
            windows = ([40, 41, 90, 100, 7], [8, 30, 31, 32, 9], [12, 13, 14])
            path.write_text(json.dumps(sum(windows, [])))
            common = ["perplexity", "-m", gguf(begin=begin), "--tokens-file", path, "--window", 5, "--json"]
            losses = [self.losses(gguf(begin=begin), [0] * begin + window)[-2:] for window in windows[:2]]
            scored = json.loads(self.succeed(*common, "--skip", 3, "--windows", 2))
            self.assertEqual((scored["tokens"], scored["windows"], scored["skipped"]), (4, 2, 3))
            self.assertAlmostEqual(scored["loss"], sum(map(sum, losses)) / 4, places=6)
            # The third window is not longer than what is skipped.
            self.assertEqual(json.loads(self.succeed(*common, "--skip", 3))["tokens"], 4)
            self.assertEqual(json.loads(self.succeed(*common, "--skip", 2))["tokens"], 7)
        done = bitnet("perplexity", "-m", gguf(), "--tokens-file", path, "--window", 5, "--skip", 5)
        self.assertEqual(done.returncode, USAGE)
        self.assertIn(b"--skip 5", done.stderr)

    def test_perplexity_with_a_stride_is_what_others_compute(self):
        """Hugging Face's guide: windows of the whole length every `stride` tokens, of each what is new; the begin token once."""
        path, length, stride = FOLDER / "ids.json", 6, 2
        for begin in (True, False):
            document = [40, 41, 90, 100, 7, 8, 30, 31, 32, 9, 12]
            path.write_text(json.dumps(document))
            tokens = [0] * begin + document
            losses, end, windows = [], 0, 0
            for start in range(0, len(tokens), stride):
                before, end = end, min(start + length, len(tokens))
                losses += self.losses(gguf(begin=begin), tokens[start:end])[-(end - before):]
                windows += 1
                if end == len(tokens):
                    break
            scored = json.loads(self.succeed("perplexity", "-m", gguf(begin=begin), "--tokens-file", path, "--window", length,
                                             "--stride", stride, "--json"))
            self.assertEqual((scored["tokens"], scored["windows"], scored["stride"]), (len(tokens) - 1, windows, stride))
            self.assertAlmostEqual(scored["loss"], sum(losses) / len(losses), places=6)
        done = bitnet("perplexity", "-m", gguf(), "--tokens-file", path, "--window", 5, "--stride", 6)
        self.assertEqual(done.returncode, USAGE)
        self.assertIn(b"--stride 6", done.stderr)

    def test_perplexity_says_how_sure_it_is(self):
        path = FOLDER / "long.txt"
        path.write_text("It is a truth universally acknowledged. " * 4)
        scored = json.loads(self.succeed("perplexity", "-m", gguf(), "-f", path, "--json"))
        low, high = scored["confidence_95"]
        self.assertTrue(low < scored["perplexity"] < high)
        self.assertAlmostEqual(math.log(high / low), 2 * 1.959964 * scored["standard_error"] / scored["perplexity"], places=9)

    def test_perplexity_of_several_texts(self):
        paths = [FOLDER / "one.txt", FOLDER / "two.txt"]
        for path, text in zip(paths, ("abc", "a longer text")):
            path.write_text(text)
        alone = [json.loads(self.succeed("perplexity", "-m", gguf(), "-f", path, "--json")) for path in paths]
        both = json.loads(self.succeed("perplexity", "-m", gguf(), "-f", paths[0], "-f", paths[1], "--json"))["texts"]
        self.assertEqual([text["loss"] for text in both], [text["loss"] for text in alone])
        self.assertEqual([text["file"] for text in both], [str(path) for path in paths])
        table = self.succeed("perplexity", "-m", gguf(), "-f", paths[0], "-f", paths[1]).decode()
        self.assertIn(f"{paths[1]}\nperplexity ", table)

    def test_perplexity_compares_models_token_by_token(self):
        path = FOLDER / "compared.txt"
        path.write_text("It is a truth universally acknowledged.")
        head = FOLDER / "int8-head.bitnet"
        self.succeed("convert", "--head", "int8", "--force", "-q", gguf(), head)
        scored = json.loads(self.succeed("perplexity", "-m", gguf(), "-f", path, "--json", "--compare", "--packing t5",
                                         "--compare", f"-m {head} --name head", "--compare", "--kv int8"))
        packing, int8, kv = scored["compared"]
        self.assertEqual((packing["loss"], packing["kl_divergence"], packing["equal_top_tokens"]), (scored["loss"], 0, 1))
        self.assertEqual(int8["name"], "head")
        for other in (int8, kv):
            self.assertNotEqual(other["loss"], scored["loss"])
            self.assertTrue(0 < other["kl_divergence"] <= other["largest_kl_divergence"] < 0.1)
            self.assertTrue(0.5 < other["equal_top_tokens"] <= 1)
        ids = [0] + self.tokens_of(path)  # the divergence by hand
        rows = []
        for options in ([], ["--kv", "int8"]):
            self.succeed("logits", "-m", gguf(), "--tokens", " ".join(map(str, ids[:-1])), "-o", FOLDER / "kl.npy", *options)
            rows.append([self.log_softmax(row) for row in npy(FOLDER / "kl.npy")[1]])
        divergences = [sum(math.exp(a) * (a - b) for a, b in zip(one, two)) for one, two in zip(*rows)]
        self.assertAlmostEqual(kv["kl_divergence"], sum(divergences) / len(divergences), places=9)
        table = self.succeed("perplexity", "-m", gguf(), "-f", path, "--compare", "--kv int8").decode().splitlines()
        self.assertIn("KL divergence", table[0])
        done = bitnet("perplexity", "-m", gguf(), "-f", path, "--compare", "--program x")
        self.assertEqual(done.returncode, USAGE)

    def tokens_of(self, path):
        return [int(word) for word in self.succeed("tokenize", "-m", gguf(), "-f", path, "--ids").split()]

    def log_softmax(self, row):
        total = math.log(sum(map(math.exp, row)))
        return [value - total for value in row]

    def test_perplexity_of_a_text_divides_documents(self):
        path = FOLDER / "documents.txt"
        path.write_text("abc---def")
        scored = json.loads(self.succeed("perplexity", "-m", gguf(), "-f", path, "--document-separator", "---",
                                         "--end-token", "--json"))
        self.assertEqual((scored["tokens"], scored["documents"]), (8, 2))
        self.assertAlmostEqual(scored["bits_per_byte"], scored["loss"] * 8 / math.log(2) / 6, places=9)
        self.assertRegex(self.succeed("perplexity", "-m", gguf(), "-f", path).decode(), r"^perplexity \d+\.\d+ \+- ")

    def test_info_counts_a_session_with_the_default_context(self):
        for trained, context in ((512, 512), (1 << 20, 8192)):
            info = json.loads(self.succeed("info", "-m", gguf(context=trained), "--json"))
            self.assertEqual((info["context"], info["session_context"]), (trained, context))
            self.assertIn(f"session of {context} tokens".encode(), self.succeed("info", "-m", gguf(context=trained)))

    def test_conversion_onto_a_link_replaces_what_it_points_to(self):
        model, link = FOLDER / "pointed-to.bitnet", FOLDER / "link.bitnet"
        self.succeed("convert", gguf(), model)
        link.symlink_to(model.name)
        before = model.stat().st_size
        self.assertEqual(bitnet("convert", gguf(), link).returncode, FAILURE)
        said = self.succeed("convert", "--force", "--head", "int8", link, link).decode()
        self.assertTrue(link.is_symlink())
        self.assertLess(model.stat().st_size, before)
        self.assertNotIn("(100%)", said)
        self.succeed("verify", model)

    def test_the_kinds_of_kv_cache_are_nearly_as_good_and_int8_is_smaller(self):
        info = json.loads(self.succeed("info", "-m", tiny(), "--json"))
        self.assertLess(info["session_int8_bytes"], info["session_bytes"])
        path = FOLDER / "scored.txt"
        path.write_text("It was a fine morning in June when the letter came. " * 5)
        kinds = ("f16", "int8", "int16")
        losses = {kv: json.loads(self.succeed("perplexity", "-m", gguf(), "-f", path, "--kv", kv, "--json"))["loss"]
                  for kv in kinds}
        self.assertEqual(len(set(losses.values())), len(kinds))
        for kv in kinds:
            self.assertAlmostEqual(losses[kv], losses["int16"], delta=0.05)
            bench = json.loads(self.succeed("bench", "-m", tiny(), "-p", "4", "-n", "2", "-t", "1", "-r", "1", "--kv", kv,
                                            "-o", "json"))["results"]
            self.assertEqual({result["kv"] for result in bench}, {kv})
        self.assertEqual(bitnet("logits", "-m", tiny(), "--tokens", "1", "-o", FOLDER / "x.npy", "--kv", "f8").returncode,
                         USAGE)


if __name__ == "__main__":
    unittest.main()
