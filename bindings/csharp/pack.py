# SPDX-License-Identifier: MIT
"""Makes a NuGet package, the same bytes of the same files:

    pack.py NUSPEC PACKAGE TARGET=FILE...

NuGet's own program is not asked: that of Debian knows neither netstandard nor licence expressions, and writes the time
and a random name into the package.
"""

import hashlib
import os
import pathlib
import posixpath
import re
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from xml.sax.saxutils import escape

DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'
ROOT = pathlib.Path(__file__).resolve().parents[2]
OPEN_PACKAGING = "http://schemas.openxmlformats.org/package/2006"


def element(name, attributes):
    return f"  <{name} " + " ".join(f'{key}="{escape(value)}"' for key, value in attributes.items()) + " />\n"


def content_types(names):
    types = {"rels": "application/vnd.openxmlformats-package.relationships+xml",
             "psmdcp": "application/vnd.openxmlformats-package.core-properties+xml"}
    for name in names:
        _, dot, extension = posixpath.basename(name).rpartition(".")
        if not dot:
            sys.exit(f"pack.py: {name} must have an extension in a NuGet package")
        types.setdefault(extension, "application/octet")
    lines = (element("Default", {"Extension": name, "ContentType": types[name]}) for name in sorted(types))
    return f'{DECLARATION}<Types xmlns="{OPEN_PACKAGING}/content-types">\n{"".join(lines)}</Types>\n'


def relationships(manifest, properties):
    targets = {"http://schemas.microsoft.com/packaging/2010/07/manifest": manifest,
               f"{OPEN_PACKAGING}/relationships/metadata/core-properties": properties}
    lines = (element("Relationship", {"Type": kind, "Target": f"/{target}", "Id": f"R{number}"})
             for number, (kind, target) in enumerate(targets.items(), 1))
    return f'{DECLARATION}<Relationships xmlns="{OPEN_PACKAGING}/relationships">\n{"".join(lines)}</Relationships>\n'


def core_properties(metadata):
    """What the manifest says, as other packages of the format say it."""
    names = {"dc:creator": "authors", "dc:description": "description", "dc:identifier": "id", "version": "version",
             "keywords": "tags"}
    lines = (f"  <{name}>{escape(metadata[source])}</{name}>\n" for name, source in names.items())
    return (f'{DECLARATION}<coreProperties xmlns:dc="http://purl.org/dc/elements/1.1/" '
            f'xmlns="{OPEN_PACKAGING}/metadata/core-properties">\n{"".join(lines)}</coreProperties>\n')


def read(file, project_url):
    """A file as it is; but in a document links lead out of the package, into the repository."""
    content = pathlib.Path(file).read_bytes()
    if not file.endswith(".md"):
        return content
    folder = os.path.relpath(pathlib.Path(file).resolve().parent, ROOT)
    return re.sub(r"\]\((?!https?:|#)([^)]+)\)", lambda link:
                  f"]({project_url}/blob/main/{posixpath.normpath(posixpath.join(folder, link[1]))})",
                  content.decode()).encode()


def main(nuspec, package, *files):
    manifest = pathlib.Path(nuspec).read_bytes()
    metadata = {item.tag.rpartition("}")[2]: (item.text or "").strip()
                for item in ElementTree.fromstring(manifest).find("{*}metadata")}
    contents = {target: read(file, metadata["projectUrl"]) for target, file in (item.split("=", 1) for item in files)}
    manifest_name = f"{metadata['id']}.nuspec"
    properties_name = f"package/services/metadata/core-properties/{hashlib.sha256(manifest).hexdigest()[:32]}.psmdcp"
    contents[manifest_name] = manifest
    contents[properties_name] = core_properties(metadata).encode()
    contents["_rels/.rels"] = relationships(manifest_name, properties_name).encode()
    contents["[Content_Types].xml"] = content_types(contents).encode()
    with zipfile.ZipFile(package, "w") as archive:
        for name in sorted(contents):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, contents[name])


if __name__ == "__main__":
    main(*sys.argv[1:])
