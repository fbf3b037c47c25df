"""One run that several tests look at."""

import dataclasses
import io
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from compression_tools import compress, trained  # noqa: E402


@dataclasses.dataclass
class Run:
    model: keras.Model
    before: list[np.ndarray]
    result: Any
    folder: Path
    shown: str


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A run that cuts, trains once and meets its target."""
    folder = tmp_path_factory.mktemp("compress")
    model = trained()
    before = [np.array(w) for w in model.get_weights()]
    shown = io.StringIO()
    with redirect_stdout(shown):
        result = compress(
            model,
            folder / "model.tflite",
            folder=folder / "run",
            verbose=1,
        )
    return Run(model, before, result, folder, shown.getvalue())
