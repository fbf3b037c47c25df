"""The contract of layers: C1, C3, C4, C9, C10, C14, C20, C23.

C5 and C6 need a process of their own and are in `test_processes`.
"""

import inspect
import json
import re
import warnings

import keras
import numpy as np
import pytest
from contract import layer_settings, layer_trials, probes, torch_compile
from contract.conftest import policy
from contract.rows import parameters

import keras_netopt as netopt

BACKEND = keras.backend.backend()
EVERY = pytest.mark.parametrize("setting", layer_settings.LAYERS, ids=str)
ONE_PER_LAYER = pytest.mark.parametrize(
    "setting", layer_settings.BY_COMPONENT.values(), ids=str
)
# XLA and LiteRT take seconds per model.
FIRST_QUICK = parameters(layer_settings.LAYERS, layer_settings.LAYERS[:1])


def arguments_of(setting):
    found = inspect.signature(setting.kind).parameters
    return [name for name in found if name != "kwargs"]


@pytest.mark.check("C1")
@EVERY
def test_trains_inside_a_model(setting, layer_runs):
    trial = layer_runs.get(setting)

    assert probes.is_finite(trial.history)
    assert probes.differ(trial.before, trial.weights)
    assert trial.has_effect


@pytest.mark.check("C3")
@ONE_PER_LAYER
def test_a_neutral_setting_equals_the_plain_computation(setting):
    keras.utils.set_random_seed(7)
    given = setting.neutral()
    eager = {"run_eagerly": BACKEND == "tensorflow"}  # A trace takes longer.
    plain = layer_trials.compiled(lambda x: setting.plain(x, given), **eager)
    inner = setting.place(setting.kind(**setting.neutral()))
    model = layer_trials.compiled(inner, **eager)
    for source, target in zip(_trained(plain), _trained(model), strict=True):
        target.assign(source.numpy())
    history = [
        layer_trials.fit(one, epochs=1)["loss"] for one in (plain, model)
    ]

    np.testing.assert_allclose(*history, rtol=1e-4)
    for mine, theirs in zip(_trained(plain), _trained(model), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-4)


def _trained(model):
    """The weights in an order that both models share.

    The halting unit of a single step, and the weights of options one of which
    is fixed, have no effect and are excluded.
    """
    found = [
        v
        for v in model.trainable_variables
        if "halting" not in v.path and v.name != "arch_alpha"
    ]
    return sorted(found, key=lambda v: tuple(v.shape))


@pytest.mark.check("C4")
@EVERY
def test_the_config_rebuilds_the_layer(setting):
    layer = setting.build()
    config = json.loads(json.dumps(layer.get_config()))
    again = setting.kind.from_config(config)
    stored = keras.saving.serialize_keras_object(layer)

    assert set(arguments_of(setting)) < set(config)
    # Through JSON: Keras stores the shape a layer was built with as a tuple.
    assert json.loads(json.dumps(again.get_config())) == config
    name = f"keras_netopt>{setting.row.short_name}"
    assert stored["registered_name"] == name
    with pytest.raises((TypeError, ValueError), match="no_such_argument"):
        setting.kind.from_config({**config, "no_such_argument": 1})


@pytest.mark.check("C9")
@pytest.mark.parametrize(
    "name",
    ["mixed_float16", pytest.param("bfloat16", marks=pytest.mark.slow)],
)
@EVERY
def test_half_precision_trains(setting, name):
    with policy(name):
        model = layer_trials.around(setting, auto_scale_loss=False)
        before = probes.weights(model)
        assert probes.is_finite(layer_trials.fit(model, epochs=1))
        assert probes.differ(before, probes.weights(model))
        layer = model.get_layer("tried")
        x = layer_trials.data()[0].astype("float16")
        inputs = keras.ops.cast(x, layer.compute_dtype)
        outputs = setting.place(layer)(inputs)
        wanted = name.removeprefix("mixed_")
        assert keras.backend.standardize_dtype(outputs.dtype) == wanted


# JAX always compiles, torch in a slow test of its own.
MODES = [
    *([{"jit_compile": True}] if BACKEND == "tensorflow" else ()),
    {"run_eagerly": True},
]


@pytest.mark.backend("tensorflow", "jax")
@pytest.mark.check("C10")
@FIRST_QUICK
def test_compiled_and_eager_training_agree(setting, layer_runs):
    """Random numbers do not depend on how a step is compiled."""
    for arguments in MODES:
        model = layer_trials.around(setting, **arguments)
        layer_trials.fit(model)
        probes.assert_close(
            probes.weights(model),
            layer_runs.get(setting).weights,
            1e-4,
        )


COMPILED_BY_TORCH = [
    setting
    for setting in layer_settings.BY_COMPONENT.values()
    if not setting.differs_compiled_by_torch
]


@pytest.mark.backend("torch")
@pytest.mark.slow
@pytest.mark.check("C10")
@torch_compile.quiet
@pytest.mark.parametrize("setting", COMPILED_BY_TORCH, ids=str)
def test_training_compiled_by_torch_agrees(setting, layer_runs):
    frames = torch_compile.frames()
    model = layer_trials.around(setting, jit_compile=True)
    layer_trials.fit(model)
    probes.assert_close(
        probes.weights(model), layer_runs.get(setting).weights, 1e-4
    )
    assert frames["ok"] > 0


EXPORTED = [
    setting
    for setting in layer_settings.LAYERS
    if setting.ops or setting in layer_settings.BY_COMPONENT.values()
]


@pytest.mark.backend("tensorflow")
@pytest.mark.check("C14")
def test_a_model_of_all_layers_exports_to_litert(tmp_path):
    keras.utils.set_random_seed(7)
    inputs = x = keras.Input(layer_settings.SHAPE)
    for setting in EXPORTED:
        x = setting.place(setting.build())(x)
    inner = keras.Model(inputs, x)
    _assert_exports(layer_trials.compiled(inner), EXPORTED, tmp_path)


@pytest.mark.backend("tensorflow")
@pytest.mark.slow
@pytest.mark.check("C14")
@EVERY
def test_the_trained_model_exports_to_litert(setting, layer_runs, tmp_path):
    _assert_exports(layer_runs.get(setting).model, [setting], tmp_path)


def _assert_exports(model, chosen, folder):
    if any(setting.is_searchable for setting in chosen):
        with pytest.raises(netopt.export.ExportError, match=r"search.extract"):
            netopt.export.to_litert(model, folder / "model.tflite")
        model = netopt.search.extract(model)
    # The export compares the file's outputs with the model's.
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        report = netopt.export.to_litert(model, folder / "model.tflite")

    assert (folder / "model.tflite").stat().st_size > 0
    assert {op for setting in chosen for op in setting.ops} <= set(report.ops)
    assert not any(name.startswith("Flex") for name in report.ops)
    warned = ["save no compute" in str(warning.message) for warning in caught]
    assert warned == [True] * sum(s.warns_at_export for s in chosen)


@pytest.mark.no_backend
@pytest.mark.check("C20")
def test_each_argument_has_an_invalid_value():
    for setting in layer_settings.BY_COMPONENT.values():
        assert list(setting.bad) == arguments_of(setting)


@pytest.mark.check("C20")
@ONE_PER_LAYER
def test_invalid_values_are_refused_at_construction(setting):
    wrong = []
    for name, value in setting.bad.items():
        try:
            setting.build(**{name: value})
            text = "is accepted"
        except (TypeError, ValueError) as error:
            text = str(error)
        is_named = re.match(rf"Arguments? .*`{name}`", text)
        if not is_named or "Received: " not in text:
            wrong.append(f"{name}: {text}")
    assert not wrong, "\n".join(wrong)
