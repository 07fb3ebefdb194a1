# SPDX-License-Identifier: MIT
import os
import pathlib

import pytest

import bitnet

PROMPT = "It was a fine morning, and"


@pytest.fixture(scope="session")
def model_path():
    return pathlib.Path(os.environ["BITNET_MODEL"])


@pytest.fixture(scope="session")
def golden():
    return pathlib.Path(os.environ["BITNET_GOLDEN"]).read_text()[:-1]


@pytest.fixture(scope="session")
def model(model_path):
    with bitnet.Model(model_path) as model:
        yield model


@pytest.fixture(scope="session")
def chat_model():
    with bitnet.Model(os.environ["BITNET_CHAT_MODEL"]) as model:
        yield model


@pytest.fixture(scope="session")
def engine(model):
    """Of one thread."""
    with model.engine(threads=1) as engine:
        yield engine


@pytest.fixture
def session(engine):
    with engine.session() as session:
        yield session
