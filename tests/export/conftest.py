import contextlib
import gc
import io

import keras
import pytest
from keras import layers

from keras_netopt.export import to_litert

# LiteRT files are written on the TensorFlow backend only.
if keras.backend.backend() != "tensorflow":
    collect_ignore = [
        f"test_{name}.py" for name in ("accuracy", "files", "models", "modes")
    ]


@pytest.fixture(scope="module", autouse=True)
def freeze_what_other_tests_left():
    """Each conversion collects garbage, among all objects not frozen."""
    gc.collect()
    gc.freeze()


def build_tiny():
    return keras.Sequential(
        [keras.Input((4,), name="x"), layers.Dense(3, name="fc")], name="tiny"
    )


@pytest.fixture(scope="session")
def tiny():
    """Tests must not change its weights."""
    return build_tiny()


@pytest.fixture(scope="session")
def tiny_report(tiny, tmp_path_factory):
    """The report of the model's file, which tests must not change."""
    folder = tmp_path_factory.mktemp("tiny")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        report = to_litert(tiny, folder / "m.tflite")
    assert printed.getvalue() == ""
    return report
