"""C4, C5, C14: configs, pickles and exported models."""

import copy
import inspect
import json
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
from contract import callback_setting, child, probes, settings, zoo
from contract.rows import EVERY, FILES, ONE_PER_COMPONENT

import keras_netopt as netopt

# The effect of arguments does not depend on the backend; torch is quickest.
_QUICK = () if keras.backend.backend() == "torch" else (pytest.mark.slow,)
CHANGES = [
    pytest.param(
        settings.COMPONENTS[component],
        name,
        id=f"{component}-{name}",
        marks=_QUICK,
    )
    for component, changes in settings.CHANGES.items()
    for name in changes
]


BASES = {}  # Outcome of the first callback, by config: most share one.


def _data(callback):
    return {name: getattr(callback, name) for name in callback.data_args}


@pytest.mark.check("C4")
@EVERY
def test_the_config_builds_an_equal_component(setting, case):
    callback = setting.build(case)
    config = json.loads(json.dumps(callback.get_config()))
    kind = type(callback)
    again = kind.from_config(copy.deepcopy(config), **_data(callback))

    assert list(config) == list(inspect.signature(kind).parameters)
    assert again is not callback
    assert again.get_config() == config == callback.get_config()
    with pytest.raises((TypeError, ValueError), match="no_such_argument"):
        kind.from_config({**config, "no_such_argument": 1}, **_data(callback))


def _needs_data(component):
    """Whether it cannot be built without data."""
    parameters = inspect.signature(type(component)).parameters
    return any(
        parameters[name].default is inspect.Parameter.empty
        for name in component.data_args
    )


@pytest.mark.check("C4")
@ONE_PER_COMPONENT
def test_keras_serializes_the_component(setting, case):
    callback = setting.build(case)
    stored = keras.saving.serialize_keras_object(callback)
    name = setting.row.short_name
    assert stored["registered_name"] == f"keras_netopt>{name}"
    written = json.loads(json.dumps(stored))
    if _needs_data(callback):
        with pytest.raises(ValueError, match="passed with the config"):
            keras.saving.deserialize_keras_object(written)
        return
    again = keras.saving.deserialize_keras_object(written)

    assert type(again) is type(callback)
    assert again.get_config() == callback.get_config()


@pytest.mark.check("C4")
@pytest.mark.parametrize(
    "setting", [s for s in settings.CALLBACKS if s.kind.data_args], ids=str
)
def test_the_config_describes_the_data(setting, case):
    callback = setting.build(case)
    for name, value in _data(callback).items():
        written = callback.get_config()[name]
        if value is None or isinstance(value, str):
            assert written == value
            continue
        changed = _data(callback)
        if isinstance(value, keras.Model):
            assert written["parameters"] == value.count_params()
            changed[name] = keras.models.clone_model(value)
        else:
            assert written["shape"] == list(value.shape)
            assert written["dtype"] == str(value.dtype)
            changed[name] = value + 1
        other = type(callback).from_config(callback.get_config(), **changed)
        assert other.get_config()[name] != written


@pytest.mark.check("C4b")
@pytest.mark.parametrize(("setting", "name"), CHANGES)
def test_each_argument_has_an_effect(setting, name, tmp_path, capsys):
    """It changes the config and the outcome, or it is refused."""
    make, make_other, *rest = settings.CHANGES[setting.component][name]
    model = rest[0] if rest else "mlp"
    callback = make(callback_setting.case(model, tmp_path / "a"))
    config = str(callback.get_config()).replace(str(tmp_path), "")
    base = model + config
    if base not in BASES:
        BASES[base] = _outcome(setting, callback, tmp_path / "a", capsys, model)
    result = BASES[base]
    try:
        other = make_other(callback_setting.case(model, tmp_path / "b"))
    except (TypeError, ValueError):
        return
    other_result = _outcome(setting, other, tmp_path / "b", capsys, model)

    config, changed = callback.get_config(), other.get_config()
    differing = [k for k in config if config[k] != changed[k]]
    assert name in differing
    assert set(differing) <= {name, "filepath"}  # Each has its own folder.
    assert result != other_result


def _outcome(setting, callback, folder, capsys, name):
    """Error, weights, files, best value, sweep, warnings and output."""
    folder.mkdir()
    case = callback_setting.case(name, folder)
    model = zoo.compiled(name, eager=True)
    error = None
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        callbacks = setting.callbacks(case, callback)
        try:
            probes.fit(model, name, callbacks, epochs=setting.epochs)
        except ValueError as raised:
            error = str(raised)
    printed = capsys.readouterr().out.replace(str(folder), "")
    return (
        error,
        [weight.tobytes() for weight in model.get_weights()],
        sorted(path.name for path in folder.iterdir()),
        str(getattr(callback, "best", None)),
        _sweep(callback),
        sorted({str(w.message) for w in told}),
        printed,
    )


def _sweep(callback):
    history = getattr(callback, "history", None)
    return str(history) if isinstance(history, dict) else None


def _interpret(path, x):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    entry = interpreter.get_input_details()[0]
    interpreter.resize_tensor_input(entry["index"], x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(entry["index"], x)
    interpreter.invoke()
    where = interpreter.get_output_details()[0]["index"]
    names = {op["op_name"] for op in interpreter._get_ops_details()}
    return interpreter.get_tensor(where), names


def exports():
    """One by default on TensorFlow; other backends export through it."""
    quick = (settings.CALLBACKS[0], "cnn")
    is_tensorflow = keras.backend.backend() == "tensorflow"
    return [
        pytest.param(
            *pair,
            marks=()
            if is_tensorflow and pair == quick
            else (pytest.mark.slow,),
        )
        for pair in FILES
        if pair == quick
        or is_tensorflow
        and pair[1] != "gru"  # Its export has a fixed batch of 1.
    ]


@pytest.mark.check("C14")
@pytest.mark.parametrize(("setting", "model"), exports(), ids=str)
def test_a_treated_model_exports_to_litert(setting, model, trials, tmp_path):
    path = tmp_path / "model.tflite"
    trial = trials.get(setting, model)
    if keras.backend.backend() == "tensorflow":
        netopt.export.to_litert(trial.model, path)
    else:
        _export_in_another_process(trial.folder / "model.keras", path)

    treated, data = trial.model, zoo.data(model)[0]
    for batch in (1, 4):
        expected = treated.predict(data[:batch], verbose=0)
        found, operators = _interpret(path, data[:batch])
        limit = 1e-5 * max(1.0, float(np.abs(expected).max()))
        assert np.abs(expected).min() > 0
        np.testing.assert_allclose(found, expected, rtol=0, atol=limit)
        assert not [name for name in operators if name.startswith("Flex")]


def _export_in_another_process(source, target):
    code = (
        "import keras, keras_netopt as n, sys;"
        "model = keras.saving.load_model(sys.argv[1]);"
        "n.export.to_litert(model, sys.argv[2])"
    )
    subprocess.run(
        [sys.executable, "-c", code, source, target],
        env={**child.environment(), "KERAS_BACKEND": "tensorflow"},
        check=True,
    )
