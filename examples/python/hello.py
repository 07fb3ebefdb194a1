# SPDX-License-Identifier: MIT
"""The smallest complete program: the model goes on with your text.

    pip install .
    python hello.py model.bitnet "It was a fine morning, and"
"""
import sys

import bitnet


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} MODEL PROMPT")
    with bitnet.Model(sys.argv[1]) as model, model.session() as session:
        for text in session.generate(sys.argv[2], max_tokens=100):
            print(text, end="", flush=True)
        print()


if __name__ == "__main__":
    try:
        main()
    except bitnet.BitnetError as error:
        sys.exit(f"{sys.argv[0]}: {error}")
