# SPDX-License-Identifier: MIT
"""What is known of a model besides what its file says: published ones of its shape, and its maker's sampling."""
import json
import unittest

from program import FOLDER, SUCCESS, bitnet, gguf, hf_folder

SHAPE = "BitNet-embedding-270M"


def info(model):
    """As JSON, and as text."""
    done = bitnet("info", "--json", model), bitnet("info", model)
    assert all(one.returncode == SUCCESS for one in done), done[0].stderr
    return json.loads(done[0].stdout), done[1].stdout.decode()


class Info(unittest.TestCase):
    def test_a_published_shape_is_known(self):
        model = FOLDER / "published.bitnet"
        self.addCleanup(model.unlink)
        self.assertEqual(bitnet("dummy", model, "--size", SHAPE, "-q").returncode, SUCCESS)
        facts, text = info(model)
        published, = facts["known"]
        self.assertEqual((published["name"], published["license"]), (SHAPE, "mit"))
        self.assertEqual(published["repository"], "microsoft/bitnet-embedding-270m")
        self.assertRegex(text, f"known +by its shape: {SHAPE} .*license mit")
        self.assertIn(f"known mistake of such files: {published['mistakes'][0]}", text)

    def test_another_is_not(self):
        facts, text = info(gguf())
        self.assertEqual(facts["known"], [])
        self.assertNotIn("known", text)

    def test_the_makers_sampling_is_told(self):
        folder = hf_folder("sampled")
        said = {"do_sample": True, "temperature": 0.6, "top_k": 20, "eos_token_id": 7}
        (folder / "generation_config.json").write_text(json.dumps(said))
        model = FOLDER / "sampled.bitnet"
        self.assertEqual(bitnet("convert", folder, model, "-q").returncode, SUCCESS)
        for one in (folder, model):
            facts, text = info(one)
            self.assertEqual({key: float(value) for key, value in facts["sampling"].items() if key != "do_sample"},
                             {"temperature": 0.6, "top_k": 20})
            self.assertRegex(text, "sampling +.*temperature 0.6.*top_k 20|sampling +.*top_k 20.*temperature 0.6")
        self.assertEqual(info(gguf())[0]["sampling"], {})


if __name__ == "__main__":
    unittest.main()
