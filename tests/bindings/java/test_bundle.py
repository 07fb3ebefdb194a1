# SPDX-License-Identifier: MIT
"""The bundle for Maven Central of a project that Maven has built, and a program that knows nothing but its jar:

    test_bundle.py TARGET VERSION JAVAC JAVA README_FOLDER GOLDEN
"""

import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
import zipfile

TARGET, VERSION, JAVAC, JAVA, README, GOLDEN = sys.argv[1:7]
BUNDLE = pathlib.Path(__file__).resolve().parents[3] / "bindings/java/bundle.py"
FOLDER = f"io/github/libbitnet/bitnet/{VERSION}"
ARTIFACTS = [f"bitnet-{VERSION}{end}" for end in (".pom", ".jar", "-sources.jar", "-javadoc.jar")]


class Bundle(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_bundle(self, *arguments, **environment):
        return subprocess.run([sys.executable, "-B", BUNDLE, *arguments], capture_output=True, text=True,
                              env={**os.environ, **environment})

    def make(self, name="bundle.zip", *options, **environment):
        result = self.run_bundle(*options, TARGET, self.folder / name, **environment)
        self.assertEqual(0, result.returncode, result.stderr)
        with zipfile.ZipFile(self.folder / name) as archive:
            return {file: archive.read(file) for file in archive.namelist()}

    def test_holds_what_central_asks_for_with_checksums(self):
        files = self.make()
        checksums = "md5", "sha1", "sha256", "sha512"
        self.assertEqual(sorted(f"{FOLDER}/{name}{end}" for name in ARTIFACTS for end in ("", *(f".{c}" for c in checksums))),
                         sorted(files))
        for name in ARTIFACTS:
            for checksum in checksums:
                self.assertEqual(hashlib.new(checksum, files[f"{FOLDER}/{name}"]).hexdigest().encode(),
                                 files[f"{FOLDER}/{name}.{checksum}"])

    def test_same_bytes_again(self):
        self.make("one.zip"), self.make("two.zip")
        self.assertEqual((self.folder / "one.zip").read_bytes(), (self.folder / "two.zip").read_bytes())

    def test_project_says_what_central_asks_for(self):
        project = ElementTree.fromstring(self.make()[f"{FOLDER}/bitnet-{VERSION}.pom"])
        for path in ("name", "description", "url", "licenses/license/name", "licenses/license/url", "developers/developer/name",
                     "developers/developer/email", "scm/connection", "scm/developerConnection", "scm/url"):
            found = project.find("/".join(f"{{*}}{name}" for name in path.split("/")))
            self.assertTrue(found is not None and found.text.strip(), path)
        self.assertEqual(VERSION, project.find("{*}version").text)
        scopes = {scope.text for scope in project.findall("{*}dependencies/{*}dependency/{*}scope")}
        self.assertEqual({"test"}, scopes)  # nothing that a user has to have

    def test_jars_are_complete(self):
        self.make()
        with zipfile.ZipFile(self.folder / "bundle.zip") as archive:
            archive.extractall(self.folder)
        classes, sources, javadoc = (zipfile.ZipFile(self.folder / FOLDER / name).namelist() for name in ARTIFACTS[1:])
        outer = {name.removesuffix(".class") for name in classes if name.endswith(".class") and "$" not in name}
        self.assertIn("io/github/libbitnet/Model", outer)
        self.assertEqual(set(), {f"{name}.java" for name in outer} - set(sources))
        self.assertEqual([], [name for name in sources if "/natives/" in name])
        self.assertTrue([name for name in classes if re.search(r"/natives/\w+-\w+/[^/]*bitnet_java\.\w+$", name)])
        self.assertLessEqual({f"META-INF/LICENSE{end}" for end in ("", ".third-party", ".unicode")}, set(classes))
        self.assertIn("index.html", javadoc)
        self.assertTrue([name for name in javadoc if name.endswith("io/github/libbitnet/Model.html")])

    def test_readme_program_runs_with_the_jar_alone(self):
        (self.folder / "bitnet.jar").write_bytes(self.make()[f"{FOLDER}/bitnet-{VERSION}.jar"])
        path = os.pathsep.join([str(self.folder), str(self.folder / "bitnet.jar")])
        compiled = subprocess.run([JAVAC, "-Xlint:all", "-Werror", "-cp", path, "-d", self.folder, f"{README}/Hello.java"],
                                  capture_output=True, text=True)
        self.assertEqual("", compiled.stdout + compiled.stderr)
        result = subprocess.run([JAVA, "-cp", path, "Hello"], cwd=README, capture_output=True)
        self.assertEqual(0, result.returncode, result.stderr.decode())
        self.assertEqual(pathlib.Path(GOLDEN).read_bytes().strip(), result.stdout.strip())

    def test_names_what_maven_has_not_made(self):
        result = self.run_bundle(self.folder, self.folder / "bundle.zip")
        self.assertEqual(1, result.returncode)
        self.assertRegex(result.stderr, r"bitnet-[\d.]+\.jar is missing; mvn -f \S+ -DskipTests package makes it")

    def test_signatures(self):
        keys = {"GNUPGHOME": str(self.folder / "keys")}
        (self.folder / "keys").mkdir(mode=0o700)
        result = self.run_bundle("--key", "nobody@example.org", TARGET, self.folder / "bundle.zip", **keys)
        self.assertEqual(1, result.returncode)
        self.assertIn("with the key nobody@example.org", result.stderr)

        def gpg(*arguments):
            subprocess.run(["gpg", "--batch", "--quiet", *arguments], check=True, env={**os.environ, **keys}, capture_output=True)
        self.addCleanup(subprocess.run, ["gpgconf", "--kill", "all"], env={**os.environ, **keys})
        gpg("--passphrase", "", "--quick-generate-key", "test@example.org", "ed25519", "sign", "never")
        files = self.make("bundle.zip", "--key", "test@example.org", **keys)
        for name in ARTIFACTS:
            for end in "", ".asc":
                (self.folder / f"{name}{end}").write_bytes(files[f"{FOLDER}/{name}{end}"])
            gpg("--verify", self.folder / f"{name}.asc", self.folder / name)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
