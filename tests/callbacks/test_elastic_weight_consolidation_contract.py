"""The contract of callbacks for ElasticWeightConsolidation.

It needs a model that shares layers with a consolidated one, which the models
of the contract do not.
"""

import copy
import gc
import json
import pickle
import shutil
import weakref

import keras
import numpy as np
import pytest
from contract import probes
from keras import layers

from keras_netopt.callbacks import (
    Distillation,
    Pruning,
)
from keras_netopt.callbacks import (
    ElasticWeightConsolidation as EWC,
)
from keras_netopt.warnings import NotIntendedUseWarning

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 4)).astype("float32")
Y = (np.arange(24) % 3).astype("int32")
# TensorFlow takes longer to trace a step than to run it.
EAGER = keras.backend.backend() == "tensorflow"


def make_loss():
    return probes.CountedLoss(from_logits=True)


def tasks(**options):
    """Two models with a hidden layer in common, compiled and built."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((4,))
    x = layers.Dense(6, activation="relu", name="hidden")(inputs)
    x = layers.Dropout(0.2, seed=5)(x)
    found = []
    for i in range(2):
        model = keras.Model(inputs, layers.Dense(3, name=f"head{i}")(x))
        arguments = {"run_eagerly": EAGER, "loss": make_loss(), **options}
        model.compile(keras.optimizers.Adam(0.01), **arguments)
        model.optimizer.build(model.trainable_variables)
        found.append(model)
    return found


def fit(model, *callbacks, **changed):
    arguments = {"batch_size": 8, "epochs": 2, "shuffle": False, **changed}
    return model.fit(
        X, Y, callbacks=list(callbacks), verbose=0, **arguments
    ).history


def make(model, **options):
    ewc = EWC(strength=100.0, fisher_samples=8, **options)
    ewc.consolidate(model, X)
    return ewc


def test_c2_c7_c21_one_instance_trains_twice_and_adds_nothing():
    first, second = tasks(run_eagerly=False)
    ewc, loss = make(first), second.loss
    history = fit(second, ewc)
    variables = [
        id(v) for v in (*second.variables, *second.optimizer.variables)
    ]
    calls = loss.calls
    fit(second, ewc)
    assert variables == [
        id(v) for v in (*second.variables, *second.optimizer.variables)
    ]
    if keras.backend.backend() != "torch":
        assert loss.calls == calls
    plain = fit(second)
    assert "ewc_penalty" not in plain
    other, fresh = tasks()
    ewc = make(other)
    assert fit(fresh, ewc)["ewc_penalty"] == pytest.approx(
        history["ewc_penalty"], 1e-4
    )
    released = weakref.ref(second)
    del first, second, loss, variables
    gc.collect()
    assert released() is None


def test_c4_c16_configs_and_copies_hold_the_settings():
    first, second = tasks()
    ewc = make(first, gamma=0.5, seed=3, shared_head=True)
    config = json.loads(json.dumps(ewc.get_config()))
    assert config["gamma"] == 0.5
    again = EWC.from_config(config)
    for other in (again, copy.deepcopy(ewc), pickle.loads(pickle.dumps(ewc))):
        assert other.get_config() == config
    # KerasTuner copies callbacks: copies must hold the tasks.
    assert fit(second, copy.deepcopy(ewc))["ewc_penalty"][-1] > 0
    with pytest.raises(ValueError, match="call `consolidate"):
        fit(second, again)


class Copy(keras.callbacks.Callback):
    """Copies a folder in the middle of an epoch, as a killed process."""

    def __init__(self, folder):
        super().__init__()
        self.folder, self.seen = folder, 0

    def on_train_batch_end(self, batch, logs=None):
        self.seen += 1
        if self.seen == 7:
            shutil.copytree(self.folder, self.folder.with_name("killed"))


@pytest.mark.parametrize("first_in_list", [True, False])
def test_c6_a_killed_fit_ends_at_the_same_weights(tmp_path, first_in_list):
    """Its callback has consolidated nothing: the checkpoint has it."""

    def train(ewc, model, folder, *others):
        backup = keras.callbacks.BackupAndRestore(str(folder))
        callbacks = [backup, ewc] if first_in_list else [ewc, backup]
        history = fit(model, *callbacks, *others, epochs=4)
        return probes.state(model), history

    work = tmp_path / "work"
    first, second = tasks()
    whole, history = train(make(first), second, work, Copy(work))
    _, model = tasks()
    ewc = EWC(strength=100.0, fisher_samples=8)
    resumed, after = train(ewc, model, tmp_path / "killed")

    probes.assert_same(resumed, whole)
    assert after["ewc_penalty"] == history["ewc_penalty"][2:]
    _, model = tasks()
    other = EWC(strength=10.0, fisher_samples=8)
    with pytest.raises(ValueError, match="call `consolidate"):
        train(other, model, tmp_path / "none")


@pytest.mark.backend("tensorflow", "jax")
def test_c9_bfloat16_trains():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        first, second = tasks()
        history = fit(second, make(first))
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.isfinite(history["loss"]).all()
    assert history["ewc_penalty"][-1] > 0


@pytest.mark.backend("tensorflow", "jax")  # Keras refuses it on torch.
def test_c11_steps_per_execution_changes_nothing():
    results = []
    for steps in (1, 3):
        options = {"steps_per_execution": steps, "run_eagerly": False}
        first, second = tasks(jit_compile=False, **options)
        results.append(fit(second, make(first))["ewc_penalty"])
    np.testing.assert_allclose(*results, rtol=1e-4)


def test_c18_c19_evaluating_and_errors_leave_the_model():
    first, second = tasks()
    ewc = make(first)
    before = probes.state(second)
    second.evaluate(X, Y, verbose=0, callbacks=[ewc])
    probes.assert_same(probes.state(second), before)
    with pytest.raises(ValueError, match="no shared weights to report"):
        ewc.report()

    class Broken(Exception):
        pass

    def fail(model):
        raise Broken

    with pytest.raises(Broken):
        fit(second, ewc, probes.AtBatch(2, fail))
    plain = fit(second)
    assert "ewc_penalty" not in plain
    assert fit(second, ewc)["ewc_penalty"][-1] > 0


BAD = {
    "strength": -1.0,
    "gamma": 1.5,
    "fisher_samples": 0,
    "shared_head": "yes",
    "seed": -1,
}


def test_c20_each_argument_is_refused_by_name():
    assert set(EWC().get_config()) == set(BAD)
    wrong = []
    for name, value in BAD.items():
        try:
            EWC(**{name: value})
            wrong.append(f"{name} is accepted")
        except (TypeError, ValueError) as error:
            text = str(error)
            if f"Argument `{name}` must" not in text or (
                f"Received: {name}=" not in text
            ):
                wrong.append(f"{name}: {text}")
    assert not wrong, "\n".join(wrong)


def test_c22_order_rules(tmp_path):
    first, second = tasks()
    ewc = make(first)
    teacher = keras.models.clone_model(second)
    with pytest.raises(ValueError, match="Received: "):
        fit(second, ewc, Distillation(teacher))
    logger = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    with pytest.warns(NotIntendedUseWarning, match="before CSVLogger"):
        fit(second, logger, ewc)
    fit(second, Pruning(0.5), ewc)
