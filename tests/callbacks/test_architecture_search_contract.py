"""The contract of callbacks for ArchitectureSearch, on a model of its own.

The contract's models have no searchable layers.
"""

import copy
import gc
import json
import pickle
import weakref

import keras
import numpy as np
import pytest
from callback_tools.supernets import alphas, make_data, variables
from callback_tools.supernets import build_supernet as build
from contract import torch_compile

from keras_netopt import search
from keras_netopt.callbacks import ArchitectureSearch, Pruning
from keras_netopt.search.supernet.searchable_layer import find_decisions
from keras_netopt.warnings import NoEffectWarning, NotIntendedUseWarning

pytestmark = pytest.mark.filterwarnings(
    "ignore::keras_netopt.warnings.SearchCollapseWarning"
)
METHODS = ("single_path", "darts")
# TensorFlow takes longer to trace the step of a search than to run it.
EAGER = keras.backend.backend() == "tensorflow"


def build_supernet(**options):
    return build(edges=1, **{"run_eagerly": EAGER, **options})


def make(method="single_path", **options):
    if method == "darts":
        own = keras.optimizers.Adam(0.05, beta_1=0.5)
        options = {"architecture_optimizer": own, **options}
    return ArchitectureSearch(method, **{"evaluations": 3, **options})


def fit(model, *callbacks, **options):
    data = search.dataset(*make_data(), batch_size=12)
    arguments = {"epochs": 1, "verbose": 0, **options}
    return model.fit(data, callbacks=list(callbacks), **arguments).history


@pytest.mark.parametrize("method", METHODS)
def test_c2_c7_one_instance_trains_twice_and_adds_nothing(method):
    component, model = make(method), build_supernet()
    fit(model, component)
    first = variables(model)
    count = len(model.optimizer.variables)
    found = component.architecture
    fit(model, component)
    assert len(model.optimizer.variables) == count
    fresh = build_supernet()
    fit(fresh, component)
    assert component.architecture == found
    for one, other in zip(first, variables(fresh), strict=True):
        np.testing.assert_array_equal(one, other)
    released = weakref.ref(model)
    del model
    gc.collect()
    assert released() is None


def test_c4_c16_configs_and_copies_hold_the_settings():
    limit = [search.MaxMACs(1e6), search.MaxLatency(3.0, quantize="dynamic")]
    for component in (
        ArchitectureSearch(constraints=limit, sampling="sandwich", seed=3),
        make("darts", order=2, validation_data=make_data()),
    ):
        config = json.loads(json.dumps(component.get_config()))
        data = {"validation_data": component.validation_data}
        again = ArchitectureSearch.from_config(config, **data)
        copied = copy.deepcopy(component)
        for other in (again, copied, pickle.loads(pickle.dumps(component))):
            assert other is not component
            # JSON has no tuples.
            assert json.loads(json.dumps(other.get_config())) == config
            assert other.constraints == component.constraints
    stored = keras.saving.serialize_keras_object(ArchitectureSearch())
    assert stored["registered_name"] == "keras_netopt>ArchitectureSearch"


def test_c8_one_option_per_decision_gives_one_warning():
    model = build_supernet()
    for decision in find_decisions(model).values():
        decision.enable([1])
    with pytest.warns(NoEffectWarning, match="Enable others") as told:
        fit(model, make())
    assert sum(w.category is NoEffectWarning for w in told) == 1


# On torch the symbolic dtype of a bfloat16 layer is float32, so that a choice
# refuses it.
@pytest.mark.backend("tensorflow", "jax")
@pytest.mark.parametrize("method", METHODS)
def test_c9_bfloat16_trains(method):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build_supernet()
        before = alphas(model)
        history = fit(model, make(method))
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.isfinite(history["loss"]).all()
    assert (before != alphas(model)).any() == (method == "darts")


@pytest.mark.backend("tensorflow", "jax")  # Keras refuses it on torch.
def test_c11_steps_per_execution_changes_nothing():
    results = []
    for steps in (1, 3):
        model = build_supernet(steps_per_execution=steps, run_eagerly=False)
        fit(model, make("darts"), epochs=2)
        results.append(alphas(model))
    np.testing.assert_allclose(*results, atol=1e-5)


def test_c18_evaluate_leaves_the_model():
    model, component = build_supernet(), make()
    before = variables(model)
    x, y = make_data()
    model.evaluate(x, y, verbose=0, callbacks=[component])
    for one, other in zip(before, variables(model), strict=False):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="no found architecture to report"):
        component.report()


BAD = {
    "method": "evolution",
    "order": 3,
    "architecture_optimizer": keras.optimizers.Adam(),
    "sampling": "mixture",
    "constraints": [3],
    "evaluations": 0,
    "validation_data": "data",
    "monitor": "val_accuracy",
    "mode": "largest",
    "progressive_shrinking": 2,
    "verbose": "loud",
    "seed": -1,
}


def test_c20_each_argument_is_refused_by_name():
    names = set(ArchitectureSearch().get_config())
    assert names == set(BAD)
    wrong = []
    for name, value in BAD.items():
        try:
            component = ArchitectureSearch(**{name: value})
            fit(build_supernet(), component)
            wrong.append(f"{name} is accepted")
        except (TypeError, ValueError) as error:
            text = str(error)
            if f"Argument `{name}` must" not in text or (
                f"Received: {name}=" not in text
                and "Received: validation_data of type" not in text
                and name != "constraints"
            ):
                wrong.append(f"{name}: {text}")
    assert not wrong, "\n".join(wrong)


def test_c22_order_rules():
    with pytest.raises(ValueError, match="use one `fit` call for each"):
        fit(build_supernet(), make(), Pruning(0.5))
    early = keras.callbacks.EarlyStopping("loss", restore_best_weights=True)
    with pytest.raises(ValueError, match="must come after EarlyStopping"):
        fit(build_supernet(), make(), early)
    logger = keras.callbacks.CSVLogger("unused.csv")
    with pytest.warns(NotIntendedUseWarning, match="before CSVLogger"):
        logger.on_train_begin = logger.on_epoch_end = logger.on_train_end = (
            lambda *arguments: None
        )
        fit(build_supernet(), logger, make())


@pytest.mark.backend("torch")
@torch_compile.quiet
def test_a_step_compiled_by_torch_is_refused():
    """Its sampled networks differ from those of an uncompiled step."""
    model = build_supernet(jit_compile=True)
    with pytest.raises(ValueError, match="`jit_compile` .* on torch"):
        fit(model, make())
