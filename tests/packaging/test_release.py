# SPDX-License-Identifier: MIT
"""scripts/release makes the same bytes of a commit each time, with checksums and an SPDX document."""

import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMIT = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def release(folder, *parts):
    return subprocess.run([ROOT / "scripts/release", "--to", folder, *parts], capture_output=True, text=True)


class Release(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.folders = [pathlib.Path(temporary.name) / name for name in ("one", "two")]
        for folder in cls.folders:
            result = release(folder, "source", "python")
            if result.returncode != 0:
                raise AssertionError(result.stdout + result.stderr)

    def setUp(self):
        self.files = {str(path.relative_to(self.folders[0])): path for path in self.folders[0].rglob("*") if path.is_file()}
        self.version = next(name for name in self.files if name.startswith("libbitnet-"))[10:].removesuffix(".spdx.json")
        self.version = self.version.removesuffix(".tar.gz")

    def test_same_bytes_again(self):
        for name, path in self.files.items():
            self.assertEqual(path.read_bytes(), (self.folders[1] / name).read_bytes(), name)

    def test_checksums_are_of_all_files(self):
        lines = dict(reversed(line.split("  ")) for line in self.files["SHA256SUMS"].read_text().splitlines())
        self.assertEqual({name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in self.files.items()
                          if name != "SHA256SUMS"}, lines)
        self.assertEqual({f"libbitnet-{self.version}.tar.gz", f"python/libbitnet-{self.version}.tar.gz",
                          f"python/libbitnet_model_austen-{self.version}-py3-none-any.whl",
                          f"libbitnet-{self.version}.spdx.json"}, set(lines))

    def test_sources_are_the_commit(self):
        with tarfile.open(self.files[f"libbitnet-{self.version}.tar.gz"]) as archive:
            names = {member.name.partition("/")[2] for member in archive if member.isfile()}
        listed = subprocess.run(["git", "ls-tree", "-rz", "--name-only", COMMIT], cwd=ROOT, check=True, capture_output=True,
                                text=True).stdout.split("\0")
        self.assertEqual({name for name in listed if name}, names)

    def test_document_says_what_it_is_made_of(self):
        document = json.loads(self.files[f"libbitnet-{self.version}.spdx.json"].read_text())
        self.assertEqual(("SPDX-2.3", "CC0-1.0", "SPDXRef-DOCUMENT"),
                         tuple(document[name] for name in ("spdxVersion", "dataLicense", "SPDXID")))
        self.assertRegex(document["creationInfo"]["created"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertIn(COMMIT, document["documentNamespace"])
        packages = {package["name"]: package for package in document["packages"]}
        self.assertEqual(self.version, packages["libbitnet"]["versionInfo"])
        for package in packages.values():
            self.assertRegex(package["versionInfo"], r"^\d+\.\d+")
        self.assertEqual({"flatbuffers", "zstd", "pcre2", "utf8proc", "xxhash", "nlohmann-json", "CLI11", "libbitnet"},
                         set(packages))
        identifiers = {item["SPDXID"] for kind in ("packages", "files") for item in document[kind]} | {document["SPDXID"]}
        for identifier in identifiers:
            self.assertTrue(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", identifier), identifier)
        for relation in document["relationships"]:
            self.assertLessEqual({relation["spdxElementId"], relation["relatedSpdxElement"]}, identifiers)
        sums = {file["fileName"]: checksum["checksumValue"] for file in document["files"] for checksum in file["checksums"]
                if checksum["algorithm"] == "SHA256"}
        self.assertEqual({f"./{name}": hashlib.sha256(path.read_bytes()).hexdigest() for name, path in self.files.items()
                          if name.endswith((".tar.gz", ".whl"))}, sums)

    def test_overwrites_nothing(self):
        result = release(self.folders[0], "source")
        self.assertEqual(2, result.returncode)
        self.assertIn("has files in it already", result.stderr)
        self.assertIn("there is no part nothing", release(self.folders[0], "nothing").stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv, verbosity=2)
