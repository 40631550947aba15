import os
from pathlib import Path

import pytest
import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # before anything imports Triton: it looks when kernels are defined
from samples import write_bundle

from mambascope_trainer.bundle import Bundle, Storage

REPOSITORY = Path(__file__).parents[2]

# The tensors here are tiny: threads only wait for one another, and on a busy machine for long.
torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips what only a GPU can do where there is none."""
    if torch.cuda.is_available():
        return
    for item in items:
        marker = item.get_closest_marker("cuda")
        if marker is not None and not marker.kwargs.get("interpreter"):
            item.add_marker(pytest.mark.skip(reason="needs a CUDA GPU"))


@pytest.fixture(autouse=True)
def full_precision() -> None:
    """A run lets matrix products round to TF32 for the rest of its process, which here is that of other tests too."""
    torch.set_float32_matmul_precision("highest")


@pytest.fixture
def smollm2() -> Path:
    """The folder of the fetched SmolLM2 family; the test is skipped without it."""
    home = Path(os.environ.get("MAMBASCOPE_HOME", REPOSITORY / "data"))
    folder = home / "models" / "smollm2-135m-instruct"
    if not list(folder.glob("base-*.safetensors")):
        pytest.skip("the SmolLM2 base is not fetched")
    return folder


@pytest.fixture
def smollm2_bundle(smollm2: Path) -> Bundle:
    """The fetched base with the manifest that ships."""
    return Bundle.open([smollm2, REPOSITORY / "public" / "models" / smollm2.name])


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root of bundles with the family `tiny`, a teacher of random float32 weights. Not to be written to."""
    root = tmp_path_factory.mktemp("models")
    write_bundle(root / "tiny", Storage(matrix="f32", embedding="f32"))
    return root
