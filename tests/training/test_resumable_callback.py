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
from keras_netopt.training import ResumableCallback


class Mine(Pruning):
    pass


class Half(Pruning):
    share = 0.5

    def __init__(self, **kwargs):
        super().__init__(self.share, **kwargs)


class Percent(Pruning):
    def __init__(self, sparsity, *names, **kwargs):
        super().__init__(sparsity / 100, include=list(names) or None, **kwargs)


def load_before_training(path):
    load = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: load.model.load_weights(path)
    )
    return load


def test_a_subclass_keeps_the_order_rules(make_mlp, toy_data):
    early = keras.callbacks.EarlyStopping("loss", restore_best_weights=True)
    with pytest.raises(ValueError) as error:
        make_mlp().fit(*toy_data, verbose=0, callbacks=[Mine(0.5), early])

    assert str(error.value) == (
        "Mine must come after EarlyStopping, which would otherwise undo its "
        "work. Use callbacks=[EarlyStopping, Mine]. Received: "
        "callbacks=[Mine, EarlyStopping]"
    )


def test_a_subclass_may_have_any_constructor(make_mlp, toy_data):
    half = Half(min_size=4)
    make_mlp().fit(*toy_data, verbose=0, callbacks=[half])

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


def test_arguments_of_the_base_class_are_compared_when_resuming(
    make_mlp, toy_data, tmp_path, monkeypatch
):
    path = tmp_path / "half.weights.h5"
    model = make_mlp()
    model.fit(*toy_data, verbose=0, callbacks=[Half()])
    model.save_weights(path)
    other = make_mlp()
    other.optimizer.build(other.trainable_variables)
    monkeypatch.setattr(Half, "share", 0.75)
    with pytest.raises(ValueError) as error:
        other.fit(
            *toy_data,
            verbose=0,
            callbacks=[load_before_training(path), Half()],
        )

    assert str(error.value) == (
        "The saved state belongs to a Half with other settings: sparsity=0.5. "
        "Use the same ones, or remove the checkpoint. Received: sparsity=0.75"
    )


def test_an_argument_that_the_subclass_converts_is_compared_twice():
    settings = Percent(80)._settings()
    assert (settings["sparsity"], settings["Pruning.sparsity"]) == (80, 0.8)


def test_two_classes_of_one_name_have_two_states(make_mlp, toy_data):
    twin = type("Pruning", (Pruning,), {})(0.5, include="last")
    model, first = make_mlp(), Pruning(0.5, exclude="last")
    model.fit(*toy_data, verbose=0, callbacks=[first, twin])

    assert (first._state_name, twin._state_name) == ("Pruning", "Pruning1")


def test_keys_in_logs_are_numbered_within_a_class_and_its_subclasses(
    make_mlp, toy_data
):
    first, second = Mine(0.5, exclude="last"), Pruning(0.25, include="last")
    trackers = [ComputeTracker(), ComputeTracker()]
    history = make_mlp().fit(
        *toy_data, verbose=0, callbacks=[first, second, *trackers]
    )

    logs = {key: values[-1] for key, values in history.history.items()}
    assert logs["sparsity"] == pytest.approx(0.5, abs=0.01)
    assert logs["sparsity_1"] == pytest.approx(0.25, abs=0.02)
    assert logs["training_macs"] == logs["training_macs_1"] > 0
    assert "sparsity_2" not in logs


def test_scheduled_variables_are_numbered_by_attribute(make_mlp, toy_data):
    callbacks = [
        ParameterScheduler("kernel", 0.5, include="hidden"),
        ParameterScheduler("bias", 0.25, include="hidden"),
        ParameterScheduler("bias", 0.125, include="out"),
    ]
    history = make_mlp().fit(*toy_data, verbose=0, callbacks=callbacks)

    assert {
        "loss",
        "scheduled_kernel",
        "scheduled_bias",
        "scheduled_bias_1",
    } <= set(history.history)
    assert history.history["scheduled_bias_1"][-1] == 0.125


def test_keys_that_are_not_declared_get_no_number(make_mlp, toy_data):
    def logging(key):
        members = {"progress_logs": lambda self: {key: 1.0}}
        return type("Logging", (ResumableCallback,), members)()

    callbacks = [logging("first"), logging("second")]
    history = make_mlp().fit(*toy_data, verbose=0, callbacks=callbacks)

    assert {"first", "second"} <= set(history.history)
