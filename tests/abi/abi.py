# SPDX-License-Identifier: MIT
"""Compares the binary interface of a libbitnet that has debugging information with libbitnet.abi.

check     functions and values of enums may be new; anything else fails
update    writes libbitnet.abi anew
selftest  a check sees what breaks programs, and lets pass what does not
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

DESCRIPTION = pathlib.Path(__file__).resolve().parent / "libbitnet.abi"
LICENSE = "<!-- SPDX-License-Identifier: MIT -->\n"


def describe(arguments):
    """The interface as XML: functions and the types of the header, without folders and lines."""
    result = subprocess.run(
        [arguments.abidw, "--headers-dir", arguments.headers, "--drop-private-types", "--exported-interfaces-only",
         "--no-show-locs", "--no-corpus-path", "--no-comp-dir-path", "--no-elf-needed", "--no-architecture",
         "--type-id-style", "hash", arguments.library], capture_output=True, text=True)
    if result.returncode != 0 or "<function-decl" not in result.stdout:
        sys.exit(f"abi: abidw cannot describe {arguments.library}: {result.stderr or 'it has no debugging information'}")
    # Where the sources lay depends on the build.
    return re.sub(r"(<abi-instr [^>]*path=')[^']*/(lib/)", r"\1\2", result.stdout) + LICENSE


def differences(arguments, old, new):
    """What breaks programs that were compiled against the old interface; "" if nothing does."""
    with tempfile.TemporaryDirectory() as folder:
        files = [pathlib.Path(folder) / name for name in ("old.abi", "new.abi")]
        for file, text in zip(files, (old, new)):
            file.write_text(text)
        result = subprocess.run([arguments.abidiff, "--no-added-syms", "--no-architecture", *files],
                                capture_output=True, text=True)
    if result.returncode & 3:
        sys.exit(f"abi: abidiff failed\n{result.stdout}{result.stderr}")
    return result.stdout if result.returncode else ""


def check(arguments):
    found = differences(arguments, DESCRIPTION.read_text(), describe(arguments))
    if found:
        sys.exit(f"{found}\nabi: the binary interface is not that of {DESCRIPTION.name}. If this is meant (docs/abi.md says "
                 "what may change), run\n  cmake --build --preset release --target abi_update\nand say it in CHANGELOG.md")


def update(arguments):
    DESCRIPTION.write_text(describe(arguments))


def selftest(arguments):
    whole = describe(arguments)

    def without(pattern):
        """The interface without the one place that matches."""
        text, count = re.subn(pattern, "", whole, flags=re.M | re.S)
        assert count == 1, f"{pattern}: {count} matches"
        return text

    def instead(old, new):
        assert old in whole, old
        return whole.replace(old, new)

    def replaced(pattern, new):
        text, count = re.subn(pattern, new, whole)
        assert count == 1, f"{pattern}: {count} matches"
        return text

    smaller = {
        "a function": without(r"^ *<elf-symbol name='bitnet_verify'.*?/>\n").replace("elf-symbol-id='bitnet_verify@@", "id='"),
        "a value of an enum": without(r"^ *<enumerator name='BITNET_KV_INT16'.*?/>\n"),
    }
    for what, text in smaller.items():
        assert not differences(arguments, text, whole), f"{what} was added, which is refused"
        assert differences(arguments, whole, text), f"{what} was removed, which is not noticed"
    broken = {
        "the soname": instead("soname='libbitnet.so.", "soname='libbitnet.so.9"),
        "another value": instead("name='BITNET_KV_INT16' value='3'", "name='BITNET_KV_INT16' value='4'"),
        "a member's place": instead("='128'>\n        <var-decl name='prompt_ns'", "='192'>\n        <var-decl name='prompt_ns'"),
        "a function's parameters": without(r"^ *<parameter type-id='\w+' name='seed'/>\n"),
        "the size of a struct": replaced(r"(name='bitnet_perf' size-in-bits=')\d+", r"\g<1>64"),
        "a symbol's version": instead("name='bitnet_open' version='BITNET_", "name='bitnet_open' version='BITNET_9"),
    }
    for what, text in broken.items():
        assert differences(arguments, whole, text), f"{what} was changed, which is not noticed"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in "abidw", "abidiff", "headers", "library":
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("action", choices=["check", "update", "selftest"])
    arguments = parser.parse_args()
    {"check": check, "update": update, "selftest": selftest}[arguments.action](arguments)


main()
