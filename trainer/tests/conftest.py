import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def smollm2() -> Path:
    """The folder of the fetched SmolLM2 family; the test is skipped without it."""
    home = Path(os.environ.get("MAMBASCOPE_HOME", REPOSITORY / "data"))
    folder = home / "models" / "smollm2-135m-instruct"
    if not list(folder.glob("base-*.safetensors")):
        pytest.skip("the SmolLM2 base is not fetched")
    return folder
