import contextlib
import gc
import io
import warnings

import keras
import pytest
from keras import layers

from keras_netopt.cost.tflite_model import ignore_deprecation_warning
from keras_netopt.export import litert_writer, to_litert
from keras_netopt.export.converter_program import run_job
from keras_netopt.export.kept_process import keep_process

# Other backends convert in a process: .5 CPU seconds, the first five.
if keras.backend.backend() != "tensorflow":
    collect_ignore = [
        f"test_{name}.py"
        for name in (
            "accuracy",
            "compact",
            "converter_process",
            "files",
            "input_signature",
            "low_bits",
            "models",
            "modes",
            "random_models",
            "trained_ranges",
        )
    ]


class InThisProcess:
    """Stands for `ConverterProcess`, which imports TensorFlow again."""

    rebuilds = False

    def __init__(self, rebuilds):
        assert not rebuilds

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def convert(self, saved_model, target, settings, samples=None):
        with warnings.catch_warnings(), ignore_deprecation_warning():
            # Raised for every calibrated file with float inputs and outputs.
            message = "Statistics for quantized inputs were expected"
            warnings.filterwarnings("ignore", message=message)
            run_job(saved_model, target, settings, samples)


@pytest.fixture(scope="session", autouse=True)
def convert_in_this_process():
    with pytest.MonkeyPatch.context() as patch:
        if keras.backend.backend() == "tensorflow":
            patch.setattr(litert_writer, "ConverterProcess", InThisProcess)
        with keep_process():
            yield


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
