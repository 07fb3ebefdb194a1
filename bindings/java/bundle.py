#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Puts what Maven made of this folder's project into the zip file that Maven Central takes: jar, sources, Javadoc and the
description of the project, with checksums. The same files give the same bytes.

    mvn -f bindings/java/pom.xml -DskipTests package
    bindings/java/bundle.py [--key KEY] [TARGET] BUNDLE.zip

TARGET is the folder where Maven built; bindings/java/target is its own. Central wants signatures: KEY names one of gpg's
secret keys ("default" is gpg's choice).
"""

import argparse
import hashlib
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
CHECKSUMS = "md5", "sha1", "sha256", "sha512"


def artifacts(target):
    """Name in the bundle: the file."""
    project = ElementTree.parse(HERE / "pom.xml").getroot()
    group, artifact, version = (project.find(f"{{*}}{name}").text for name in ("groupId", "artifactId", "version"))
    name = f"{artifact}-{version}"
    files = {f"{name}.pom": HERE / "pom.xml"}
    files.update((file, target / file) for file in (f"{name}.jar", f"{name}-sources.jar", f"{name}-javadoc.jar"))
    for file in files.values():
        if not file.is_file():
            sys.exit(f"bundle.py: {file} is missing; mvn -f {HERE / 'pom.xml'} -DskipTests package makes it")
    return f"{group.replace('.', '/')}/{artifact}/{version}", files


def signature(file, key):
    with tempfile.TemporaryDirectory() as folder:
        output = pathlib.Path(folder) / "signature"
        user = [] if key == "default" else ["--local-user", key]
        try:
            subprocess.run(["gpg", "--batch", "--armor", "--detach-sign", *user, "--output", output, file], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            sys.exit(f"bundle.py: gpg cannot sign {file} with the key {key}: {error}")
        return output.read_bytes()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--key")
    parser.add_argument("target", nargs="?", type=pathlib.Path, default=HERE / "target")
    parser.add_argument("bundle", type=pathlib.Path)
    arguments = parser.parse_args()

    folder, files = artifacts(arguments.target)
    contents = {}
    for name, file in files.items():
        contents[name] = file.read_bytes()
        if arguments.key:
            contents[f"{name}.asc"] = signature(file, arguments.key)
        for checksum in CHECKSUMS:
            contents[f"{name}.{checksum}"] = hashlib.new(checksum, contents[name]).hexdigest().encode()
    with zipfile.ZipFile(arguments.bundle, "w") as archive:
        for name in sorted(contents):
            entry = zipfile.ZipInfo(f"{folder}/{name}", date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, contents[name])
    if not arguments.key:
        print("bundle.py: not signed, so Maven Central will not take it; --key signs", file=sys.stderr)


if __name__ == "__main__":
    main()
