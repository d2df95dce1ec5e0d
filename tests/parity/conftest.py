"""Official inputs and outputs of the published networks, from the data folder beside the repository; a test is skipped where they are not there."""

import json
import pathlib

import pytest
import torch

FIXTURES = pathlib.Path(__file__).resolve().parents[3] / "shared" / "fixtures"


@pytest.fixture(scope="session")
def official():
    """official(name) -> what the fixture of that name holds: tensors of a .pt, or the tree of a .json."""

    def read(name):
        path = FIXTURES / name
        if not path.is_file():
            pytest.skip(f"the data folder beside the repository has no fixture {name}")
        return json.loads(path.read_text()) if path.suffix == ".json" else torch.load(path, weights_only=True)

    return read
