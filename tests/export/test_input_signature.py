"""The argument `input_signature`."""

import keras
import numpy as np
import pytest
from export.test_calibration_forms import Difference, two_inputs
from keras import layers

from keras_netopt.export import to_litert
from keras_netopt.export.exportable_model import prepare_model

WIDE, NARROW = (keras.InputSpec(shape=(2, size)) for size in (5, 4))


def named(spec, name):
    return keras.InputSpec(shape=spec.shape, name=name)


@pytest.fixture(scope="module")
def model():
    return two_inputs(shapes=((5,), (4,)))


FORMS = {
    "flat": [WIDE, NARROW],
    "tuple": (WIDE, NARROW),
    "nested": [[WIDE, NARROW]],
    "dict": {"a-narrow": NARROW, "z-wide": WIDE},
    "dict by names of the file": [{"a_narrow": NARROW, "z_wide": WIDE}],
    "named, in any order": [named(NARROW, "a-narrow"), named(WIDE, "z-wide")],
    "other names": [named(WIDE, "one"), named(NARROW, "two")],
}


def test_signature_forms(model):
    wrong = []
    for name, form in FORMS.items():
        exportable = prepare_model(model, input_signature=form)
        shapes = [spec.shape for spec in exportable.specs.values()]
        nested = isinstance(exportable.signature[0], list)
        if shapes != [(2, 5), (2, 4)] or not nested:
            wrong.append(name)
    assert wrong == []


def test_flat_signature_of_two_inputs_is_exported(model, tmp_path):
    report = to_litert(
        model, tmp_path / "m.tflite", input_signature=[WIDE, NARROW]
    )
    shapes = {tensor.name: tensor.shape for tensor in report.inputs}
    assert shapes == {"z_wide": (2, 5), "a_narrow": (2, 4)}


def test_signature_without_a_dtype_has_the_dtype_of_the_model():
    tokens = keras.Input((None,), dtype="int32")
    model = keras.Sequential([tokens, layers.Embedding(9, 2)])
    exportable = prepare_model(
        model, input_signature=keras.InputSpec(shape=(1, 6))
    )
    (spec,) = exportable.specs.values()
    assert (spec.shape, spec.dtype) == ((1, 6), "int32")


def test_dict_model_needs_names_in_its_signature():
    ones = np.ones((2, 4), "float32")
    model = Difference()
    model({"zeta": ones, "alpha": ones})
    with pytest.raises(ValueError, match="must be a dict by the inputs"):
        prepare_model(model, input_signature=[NARROW, NARROW])
    forms = (
        {"zeta": NARROW, "alpha": NARROW},
        [named(NARROW, "zeta"), named(NARROW, "alpha")],
    )
    for form in forms:
        exportable = prepare_model(model, input_signature=form)
        assert set(exportable.signature[0]) == {"zeta", "alpha"}


class TwoArguments(keras.Model):
    def __init__(self):
        super().__init__()
        self.fc = layers.Dense(2)

    def call(self, left, right, training=None):
        return self.fc(left) - 2 * self.fc(right)


def test_call_with_two_arguments_takes_one_spec_each(tmp_path):
    model = TwoArguments()
    model(np.ones((2, 4)), np.ones((2, 4)))
    with pytest.raises(ValueError) as error:
        to_litert(model, tmp_path / "m.tflite")
    assert str(error.value) == (
        "Argument `input_signature` must hold one structure of "
        "`keras.InputSpec` for each argument of `call`: ['left', 'right']. "
        "Received: input_signature=None"
    )
    exportable = prepare_model(model, input_signature=[NARROW, NARROW])
    assert exportable.names == ("left", "right")
    assert len(exportable.signature) == 2


@pytest.mark.parametrize(
    "signature, message",
    [
        ([WIDE], "must hold 2 inputs"),
        ([NARROW, WIDE], "must have shape (None, 5) for input 'z-wide'"),
        ([(2, 5), (2, 4)], "must hold `keras.InputSpec`s with a shape"),
        ([keras.InputSpec(ndim=2)] * 2, "must hold `keras.InputSpec`s with"),
        (
            [WIDE, keras.InputSpec(shape=(3, 4))],
            "must have one batch size for all inputs",
        ),
        ({"a-narrow": NARROW, "wide": WIDE}, "must be a dict by the inputs"),
    ],
)
def test_other_signatures_are_refused(model, signature, message):
    with pytest.raises(ValueError) as error:
        prepare_model(model, input_signature=signature)
    assert str(error.value).startswith("Argument `input_signature` must ")
    assert message in str(error.value)
    assert "Received: " in str(error.value)
