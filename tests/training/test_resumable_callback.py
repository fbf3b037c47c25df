"""A callback's rules and arguments belong to the class, also to a subclass."""

import copy
import inspect
import pickle

import keras
import pytest

from keras_netopt.callbacks import (
    BestCheckpoint,
    ComputeTracker,
    ParameterScheduler,
    Pruning,
)
from keras_netopt.training import CheckpointState, ResumableCallback

EAGER = keras.backend.backend() == "tensorflow"  # Tracing takes longer.


class Mine(Pruning):
    pass


class Half(Pruning):
    share = 0.5

    def __init__(self, **kwargs):
        super().__init__(self.share, **kwargs)


class Percent(Pruning):
    whole = 100

    def __init__(self, sparsity, *names, **kwargs):
        share = sparsity / self.whole
        super().__init__(share, include=list(names) or None, **kwargs)


@pytest.fixture
def model(make_mlp):
    return make_mlp("sgd", run_eagerly=EAGER)


@pytest.fixture
def fit(model, toy_data):
    """A function that trains the model with callbacks for two steps."""

    def train(*callbacks):
        return model.fit(
            *toy_data, batch_size=32, verbose=0, callbacks=list(callbacks)
        )

    return train


def load_before_training(path):
    load = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: load.model.load_weights(path)
    )
    return load


def test_a_subclass_keeps_the_order_rules(fit):
    early = keras.callbacks.EarlyStopping("loss", restore_best_weights=True)
    with pytest.raises(ValueError) as error:
        fit(Mine(0.5), early)

    assert str(error.value) == (
        "Mine must come after EarlyStopping, which would otherwise undo its "
        "work. Use callbacks=[EarlyStopping, Mine]. Received: "
        "callbacks=[Mine, EarlyStopping]"
    )


def test_a_subclass_may_have_any_constructor(fit):
    half = Half(min_size=4)
    fit(half)

    assert half.get_config() == {"min_size": 4}
    assert half.report().sparsity == pytest.approx(0.5, abs=0.01)


def test_arguments_are_kept_as_they_were_passed():
    callback = Percent(80, "dense", "out", seed=3)
    config = callback.get_config()

    assert config == {"sparsity": 80, "names": ("dense", "out"), "seed": 3}
    for twin in (
        copy.deepcopy(callback),
        pickle.loads(pickle.dumps(callback)),
        Percent.from_config(config),
    ):
        assert twin.get_config() == config
        assert (twin.sparsity, twin.include) == (0.8, ["dense", "out"])
    assert repr(Percent(80)) == "Percent(sparsity=80)"


@pytest.mark.parametrize("kind", [Pruning, Mine, BestCheckpoint])
def test_signatures_are_those_of_the_constructor(kind):
    _, *parameters = inspect.signature(kind.__init__).parameters.values()
    assert list(inspect.signature(kind).parameters.values()) == parameters


@pytest.mark.parametrize(
    ("make", "attribute", "changed", "was", "received"),
    [
        (Half, "share", 0.75, "sparsity=0.5", "sparsity=0.75"),
        # The subclass converts its argument: that of its base is compared too.
        (
            lambda: Percent(80),
            "whole",
            160,
            "Pruning.sparsity=0.8",
            "Pruning.sparsity=0.5",
        ),
    ],
    ids=["Half", "Percent"],
)
def test_arguments_of_the_base_class_are_compared_when_resuming(
    fit, model, tmp_path, monkeypatch, make, attribute, changed, was, received
):
    path = tmp_path / "half.weights.h5"
    callback = make()
    fit(callback)
    model.save_weights(path)
    monkeypatch.setattr(type(callback), attribute, changed)
    with pytest.raises(ValueError) as error:
        fit(load_before_training(path), make())

    assert str(error.value) == (
        f"The saved state belongs to a {type(callback).__name__} with other "
        f"settings: {was}. Use the same ones, or remove the checkpoint. "
        f"Received: {received}"
    )


def test_two_classes_of_one_name_have_two_states(fit, model):
    twin = type("Pruning", (Pruning,), {})(0.5, include="last")
    first = Pruning(0.5, exclude="last")
    fit(first, twin)

    states = CheckpointState.of(model).states
    assert (states["Pruning"], states["Pruning1"]) == (first, twin)


def test_keys_in_logs_are_numbered_within_a_class_and_its_subclasses(fit):
    first, second = Mine(0.5, exclude="last"), Pruning(0.25, include="last")
    trackers = [ComputeTracker(), ComputeTracker()]
    history = fit(first, second, *trackers)

    logs = {key: values[-1] for key, values in history.history.items()}
    assert logs["selected_sparsity"] == pytest.approx(0.5, abs=0.01)
    assert logs["selected_sparsity_1"] == pytest.approx(0.25, abs=0.02)
    # Both log the share of all kernels.
    assert 0.25 < logs["sparsity"] == logs["sparsity_1"] < 0.5
    assert logs["training_macs"] == logs["training_macs_1"] > 0
    assert "sparsity_2" not in logs


def test_scheduled_variables_are_numbered_by_attribute(fit):
    callbacks = [
        ParameterScheduler("kernel", 0.5, include="hidden"),
        ParameterScheduler("bias", 0.25, include="hidden"),
        ParameterScheduler("bias", 0.125, include="out"),
    ]
    history = fit(*callbacks)

    assert {
        "loss",
        "scheduled_kernel",
        "scheduled_bias",
        "scheduled_bias_1",
    } <= set(history.history)
    assert history.history["scheduled_bias_1"][-1] == 0.125


def test_keys_that_are_not_declared_get_no_number(fit):
    def logging(key):
        members = {"progress_logs": lambda self: {key: 1.0}}
        return type("Logging", (ResumableCallback,), members)()

    history = fit(logging("first"), logging("second"))

    assert {"first", "second"} <= set(history.history)


class Steps(ResumableCallback):
    """Records the completed steps after each batch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_steps(self, before, after):
        self.seen.append(after)


def test_a_resumed_fit_of_unknown_length_continues_at_its_step(model, tmp_path):
    path = tmp_path / "file.weights.h5"

    def train(epoch, *, load=False):
        """Calls the callback as `fit` does for an epoch of three batches."""
        steps = Steps()
        steps.set_params({"steps": None, "epochs": 2})
        steps.set_model(model)
        steps.on_train_begin()
        if load:
            model.load_weights(path)
        steps.on_epoch_begin(epoch)
        for batch in range(3):
            steps.on_train_batch_end(batch, {})
        return steps.seen

    assert train(0) == [1, 2, 3]
    model.save_weights(path)

    assert train(1, load=True) == [4, 5, 6]
