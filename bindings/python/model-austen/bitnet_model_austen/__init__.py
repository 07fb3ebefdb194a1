# SPDX-License-Identifier: MIT
"""A small ternary model that continues a text in the manner of Jane Austen: ``bitnet.Model(bitnet_model_austen.PATH)``."""
import os

PATH: str = os.path.join(os.path.dirname(os.path.abspath(__file__)), "austen.bitnet")
"""Where the model lies, a .bitnet file."""

__all__ = ["PATH"]
