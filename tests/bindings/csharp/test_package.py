# SPDX-License-Identifier: MIT
"""The NuGet package as NuGet's gallery reads it: test_package.py PACKAGE VERSION"""

import pathlib
import posixpath
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
import zipfile

PACKAGE, VERSION = pathlib.Path(sys.argv[1]), sys.argv[2]
PACK = pathlib.Path(__file__).resolve().parents[3] / "bindings/csharp/pack.py"
URL = "https://github.com/libbitnet/libbitnet"


class Package(unittest.TestCase):
    def setUp(self):
        archive = zipfile.ZipFile(PACKAGE)
        self.addCleanup(archive.close)
        self.entries = archive.infolist()
        self.files = {entry.filename: archive.read(entry) for entry in self.entries}

    def xml(self, name):
        return ElementTree.fromstring(self.files[name])

    def metadata(self, name):
        found = self.xml("Bitnet.nuspec").findall(f"{{*}}metadata/{{*}}{name}")
        self.assertEqual(1, len(found), name)
        return found[0]

    def test_what_the_gallery_asks_of_a_manifest(self):
        for name, text in {"id": "Bitnet", "version": VERSION, "license": "MIT", "readme": "README.md",
                           "projectUrl": URL}.items():
            self.assertEqual(text, self.metadata(name).text)
        self.assertEqual({"type": "expression"}, self.metadata("license").attrib)
        self.assertEqual({"type": "git", "url": f"{URL}.git"}, self.metadata("repository").attrib)
        for name, longest in ("authors", 4000), ("description", 4000), ("tags", 4000), ("copyright", 4000):
            self.assertIn(len(self.metadata(name).text), range(1, longest + 1), name)
        # Fields that the gallery refuses, or that belong to the making of the package.
        for name in "owners", "licenseUrl", "iconUrl", "summary", "licenseFile":
            self.assertEqual([], self.xml("Bitnet.nuspec").findall(f".//{{*}}{name}"))
        self.assertEqual([], self.xml("Bitnet.nuspec").findall("{*}files"))

    def test_dependency_groups_are_of_the_frameworks_that_are_there(self):
        groups = self.metadata("dependencies").findall("{*}group")
        frameworks = {name.split("/")[1] for name in self.files if name.startswith(("lib/", "build/"))}
        self.assertEqual({"netstandard2.0"}, frameworks)
        self.assertEqual([".NETStandard2.0"], [group.get("targetFramework") for group in groups])
        self.assertEqual([], list(groups[0]))

    def test_contents(self):
        for name in ("lib/netstandard2.0/Bitnet.dll", "lib/netstandard2.0/Bitnet.xml", "build/netstandard2.0/Bitnet.targets",
                     "README.md", "LICENSE.txt"):
            self.assertTrue(self.files.get(name), name)
        natives = [name for name in self.files if name.startswith("runtimes/")]
        self.assertTrue(natives)
        for name in natives:
            self.assertRegex(name, r"^runtimes/(linux|linux-musl|osx|win)-(x64|arm64)/native/[^/]+$")
        for name in "LICENSE.txt", "LICENSE.third-party.txt", "LICENSE.unicode.txt":
            self.assertIn(b"Permission is hereby granted", self.files[name])

    def test_links_of_the_readme_lead_out_of_the_package(self):
        links = re.findall(r"\]\(([^)]+)\)", self.files["README.md"].decode())
        self.assertTrue(links)
        for link in links:
            self.assertRegex(link, "^(https://|#)")
            name = link.removeprefix(f"{URL}/blob/main/")
            self.assertTrue(name == link or (PACK.parents[2] / name).exists(), link)

    def test_is_an_open_package(self):
        types = {item.get("Extension") for item in self.xml("[Content_Types].xml")}
        for name in set(self.files) - {"[Content_Types].xml"}:
            self.assertIn(posixpath.basename(name).rpartition(".")[2], types)
        targets = {item.get("Type").rpartition("/")[2]: item.get("Target").lstrip("/") for item in self.xml("_rels/.rels")}
        self.assertEqual("Bitnet.nuspec", targets["manifest"])
        self.assertIn(targets["core-properties"], self.files)

    def test_the_same_files_give_the_same_bytes(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            names = [name for name in self.files if name.startswith(("lib/", "runtimes/", "build/")) or name.startswith("LICENSE")]
            for number, file in enumerate(names):
                (folder / str(number)).write_bytes(self.files[file])
            (folder / "nuspec").write_bytes(self.files["Bitnet.nuspec"])
            items = [f"{file}={folder / str(number)}" for number, file in enumerate(names)]
            items.append(f"README.md={PACK.parent / 'README.md'}")
            subprocess.run([sys.executable, "-B", PACK, folder / "nuspec", folder / "again.nupkg", *items], check=True)
            self.assertEqual(PACKAGE.read_bytes(), (folder / "again.nupkg").read_bytes())
        self.assertEqual({(1980, 1, 1, 0, 0, 0)}, {entry.date_time for entry in self.entries})


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
