"""Which package converts."""

import importlib.util

import keras
import pytest

from keras_netopt.export import to_litert
from keras_netopt.export.converter_choice import choose_converter

TORCH = 'pip install "keras-netopt[litert-torch]"'


@pytest.fixture
def installed(monkeypatch):
    """A function that sets the backend and the packages that are found."""

    def change(backend, *names):
        monkeypatch.setattr(keras.backend, "backend", lambda: backend)
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: name in names or None
        )

    return change


@pytest.mark.no_backend
def test_default_is_tensorflow_where_it_is_installed(installed):
    for backend in ("tensorflow", "jax", "torch"):
        installed(backend, "tensorflow", "litert_torch")
        assert choose_converter() == "tensorflow"
    installed("torch", "litert_torch")
    assert choose_converter() == "litert_torch"
    installed("torch", "tensorflow", "litert_torch")
    assert choose_converter("litert_torch") == "litert_torch"


@pytest.mark.no_backend
def test_missing_packages_are_named_with_their_commands(installed):
    missing = (
        "LiteRT files are converted by TensorFlow, on every backend, and "
        "TensorFlow is not installed. Run `pip install tensorflow`"
    )
    cases = [
        (("jax", "litert_torch"), None, f"{missing}."),
        (("torch",), None, f"{missing}, or `{TORCH}`."),
        (("torch", "litert_torch"), "tensorflow", f"{missing}, or `{TORCH}`."),
        (
            ("torch", "tensorflow"),
            "litert_torch",
            "converter='litert_torch' requires the package litert-torch. Run "
            f"`{TORCH}`.",
        ),
    ]
    for found, converter, message in cases:
        installed(*found)
        with pytest.raises(ImportError) as error:
            choose_converter(converter)
        assert str(error.value) == message


@pytest.mark.no_backend
def test_options_that_a_converter_lacks_are_refused(installed):
    installed("torch", "litert_torch")
    for name in ("sparse", "allow_select_tf_ops"):
        with pytest.raises(ValueError) as error:
            choose_converter("litert_torch", **{name: True})
        assert str(error.value) == (
            f"Argument `{name}` must be False for converter='litert_torch'. "
            f"Received: {name}=True. Pass converter='tensorflow'."
        )
    installed("jax", "tensorflow", "litert_torch")
    with pytest.raises(ValueError) as error:
        choose_converter("litert_torch")
    assert str(error.value) == (
        "Argument `converter` must be 'tensorflow' unless Keras has the torch "
        "backend. Received: converter='litert_torch', backend='jax'"
    )


def test_unknown_converter_is_refused_before_anything_else(tiny, tmp_path):
    with pytest.raises(ValueError) as error:
        to_litert(tiny, tmp_path / "m.tflite", converter="onnx")
    assert str(error.value) == (
        "Argument `converter` must be None, 'tensorflow' or 'litert_torch'. "
        "Received: converter='onnx'"
    )
    assert list(tmp_path.iterdir()) == []
