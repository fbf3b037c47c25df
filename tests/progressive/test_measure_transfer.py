import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_netopt.progressive import (
    ProgressiveNetwork,
    cache_features,
    find_network,
    measure_transfer,
)
from keras_netopt.progressive.transfer_arms import TransferArms
from keras_netopt.progressive.transfer_report import (
    ARMS,
    HEAD,
    PROGRESSIVE,
    RANDOM,
    SCRATCH,
    TUNED,
    WIDE,
)

CROSSENTROPY = keras.losses.SparseCategoricalCrossentropy
# Eager, because TensorFlow would trace every arm.
EAGER = keras.backend.backend() == "tensorflow"


def column(inputs):
    hidden = layers.Dense(6, "relu")(inputs)
    return [hidden, layers.Dense(4, "relu")(layers.Dropout(0.1)(hidden))]


@pytest.fixture(scope="module")
def data():
    x = np.random.default_rng(0).normal(size=(24, 5)).astype("float32")
    return x, (x[:, 0] > 0).astype("int32")


@pytest.fixture(scope="module")
def net(data):
    """A finished task and a second one that still trains."""
    net = ProgressiveNetwork(column, keras.Input((5,)), adapter_width=1)
    keras.utils.set_random_seed(0)
    for name in ("first", "second"):
        task = net.add_task(layers.Dense(2), name=name)
        task.compile(
            keras.optimizers.SGD(0.1),
            CROSSENTROPY(True),
            metrics=["accuracy"],
            run_eagerly=EAGER,
        )
        task.fit(*data, verbose=0)
    return net


def measure(net, data, **changed):
    arguments = {
        "validation_data": data,
        "epochs": 1,
        "seeds": [3],
        "batch_size": 12,
        **changed,
    }
    return measure_transfer(net, layers.Dense(2), *data, **arguments)


@pytest.fixture(scope="module")
def measured(net, data):
    before = [ops.convert_to_numpy(v).copy() for v in variables(net)]
    return measure(net, data, monitor="val_loss"), before


def variables(net):
    return [v for name in net.tasks for v in net[name].variables]


@pytest.fixture(scope="module")
def arms(net):
    with TransferArms(net, layers.Dense(2)) as found:
        yield {name: found.build(name, 3) for name in ARMS if name != WIDE}


def test_the_network_does_not_change(net, measured, data):
    _, before = measured
    for variable, value in zip(variables(net), before, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(variable), value)
    assert net.tasks == ["first", "second"]
    weights = net["second"].get_weights()
    net["second"].train_on_batch(*data)  # A finished task would refuse it.
    net["second"].set_weights(weights)
    with pytest.raises(ValueError, match="finished"):
        net["first"].train_on_batch(*data)


def test_every_arm_has_a_curve_and_a_row(measured):
    report, _ = measured
    assert list(report.curves) == list(ARMS)
    assert {curve.shape for curve in report.curves.values()} == {(1, 1)}
    assert (report.monitor, report.mode) == ("val_loss", "min")
    assert report.seeds == (3,) and not report.missing
    assert all(name in str(report) for name in ARMS)


def test_parameters(measured, net):
    report, _ = measured
    params, trainable = report.parameters, report.trainable
    own = 5 * 6 + 6 + 6 * 4 + 4 + 4 * 2 + 2
    assert params[SCRATCH] == trainable[SCRATCH] == own
    assert trainable[TUNED] >= own  # And the adapters of the second task.
    assert trainable[HEAD] == 4 * 2 + 2
    assert params[PROGRESSIVE] == params[RANDOM] > params[SCRATCH]
    assert trainable[PROGRESSIVE] == trainable[RANDOM] < params[PROGRESSIVE]
    assert params[WIDE] == trainable[WIDE] >= params[PROGRESSIVE]
    assert params[WIDE] < 1.3 * params[PROGRESSIVE]  # Few units: coarse.


def trainable(model):
    return [ops.convert_to_numpy(v) for v in model.trainable_variables]


def frozen(model):
    return [ops.convert_to_numpy(v) for v in model.non_trainable_variables]


def same(one, other):
    pairs = list(zip(one, other, strict=True))
    return [np.array_equal(a, b) for a, b in pairs if a.ndim > 1]


def test_new_weights_depend_on_the_seed_alone(arms, net):
    new = {name: trainable(model) for name, model in arms.items()}
    for name in (PROGRESSIVE, RANDOM, SCRATCH):
        kernel = next(v for v in new[name] if v.shape == (5, 6))
        np.testing.assert_array_equal(kernel, new[SCRATCH][0])
    assert all(same(new[PROGRESSIVE], new[RANDOM]))
    with TransferArms(net, layers.Dense(2)) as found:
        again, other = found.build(SCRATCH, 3), found.build(SCRATCH, 4)
    assert all(same(new[SCRATCH], trainable(again)))
    assert not any(same(new[SCRATCH], trainable(other)))


def test_random_columns_know_nothing(arms, net):
    weights = frozen(arms[PROGRESSIVE])
    assert not any(same(weights, frozen(arms[RANDOM])))
    trained = {ops.convert_to_numpy(v).tobytes() for v in variables(net)}
    kernels = [v for v in weights if v.ndim > 1]
    assert all(v.tobytes() in trained for v in kernels)
    # Nor are they the new column once more.
    new = {v.tobytes() for v in trainable(arms[RANDOM])}
    random = [v for v in frozen(arms[RANDOM]) if v.ndim > 1]
    assert not any(v.tobytes() in new for v in random)


def test_head_only_and_fine_tuning_start_from_the_last_column(arms, net, data):
    last = net["second"].get_layer("second_lateral_2").output
    hidden = keras.Model(net.inputs, last)
    features = ops.convert_to_numpy(hidden(data[0], training=False))
    for name in (HEAD, TUNED):
        model = arms[name]
        kernel, bias = model.layers[-1].get_weights()
        np.testing.assert_allclose(
            ops.convert_to_numpy(model(data[0], training=False)),
            features @ kernel + bias,
            rtol=1e-4,
            atol=1e-5,
        )


def test_an_arm_repeats_whatever_was_trained_before(net, data, measured):
    report = measure(net, data, monitor="val_loss", arms=())
    assert list(report.curves) == [SCRATCH, PROGRESSIVE]
    for name, curve in report.curves.items():
        np.testing.assert_array_equal(curve, measured[0].curves[name])


def test_a_model_that_is_not_compiled_is_a_source(data):
    model = keras.Sequential(
        [keras.Input((5,)), layers.Dense(6, "relu"), layers.Dense(2)]
    )
    report = measure_transfer(
        model,
        None,
        *data,
        validation_data=data,
        loss=CROSSENTROPY(True),
        optimizer=keras.optimizers.SGD(0.1),
        epochs=1,
        seeds=1,
        arms=(),
    )
    assert report.monitor == "val_loss" and report.mode == "min"
    assert list(report.curves) == [SCRATCH, PROGRESSIVE]
    assert report.parameters[SCRATCH] == 5 * 6 + 6 + 6 * 2 + 2
    assert not model.compiled and len(model.trainable_variables) == 4


def test_a_column_without_a_wider_form_leaves_its_row(data):
    def residual(inputs):
        return [layers.Add()([inputs, layers.Dense(5)(inputs)])]

    net = ProgressiveNetwork(residual, keras.Input((5,)), adapter_width=1)
    net.add_task(layers.Dense(2)).compile(
        "sgd", CROSSENTROPY(True), metrics=["accuracy"], run_eagerly=EAGER
    )
    report = measure(net, data, arms=(WIDE,))
    assert WIDE not in report.curves
    assert report.missing[WIDE].startswith("no wider column could be built")
    assert "equal_width was not trained: no wider" in str(report)
    assert (report.monitor, report.mode) == ("val_accuracy", "max")


class Scaled(layers.Layer):
    """A layer whose class Keras does not know."""

    def call(self, inputs):
        return 2.0 * inputs


def test_new_columns_come_from_the_function_of_the_network(data):
    # Bug: all arms copy the first column, and unknown classes are not read.
    widths = iter((6, 6, 3, 3))

    def growing(inputs):
        return [Scaled()(layers.Dense(next(widths), "relu")(inputs))]

    net = ProgressiveNetwork(growing, keras.Input((5,)), adapter_width=1)
    net.add_task(layers.Dense(2))
    net.add_task(layers.Dense(2))
    with TransferArms(net, None) as found:
        for arm in (SCRATCH, PROGRESSIVE):
            model = found.build(arm, 0)
            assert trainable(model)[0].shape == (5, 3)
            assert model.output.shape == (None, 2)


def test_a_model_is_no_task_afterwards():
    # Bug: `next_task` finds a network and ignores `hidden`.
    model = keras.Sequential(
        [keras.Input((5,)), layers.Dense(6, name="h"), layers.Dense(2)]
    )
    with TransferArms(model, None):
        assert find_network(model) is None
    with pytest.raises(ValueError, match="must be the model of a task"):
        cache_features(model, np.zeros((1, 5)))


def test_wrong_arguments_raise_before_training(net, data, monkeypatch):
    x, y = data
    empty = ProgressiveNetwork(column, keras.Input((5,)))
    monkeypatch.setattr(keras.Model, "fit", None)  # A call is a TypeError.

    for arguments, message in (
        ({"source": empty}, "`source` must have a trained task"),
        ({"x": iter([(x, y)]), "y": None}, "`x` must be arrays or a dataset"),
        ({"validation_data": iter([data])}, "`validation_data` must be given"),
        ({"y": y[:3]}, "`y` must hold one target per sample"),
        ({"optimizer": "adam"}, "`loss` must be given with `optimizer`"),
        ({"arms": "wide"}, r"`arms` must hold names of \['scratch', "),
        ({"monitor": "bleu"}, "`mode` must be 'min' or 'max'"),
        ({"monitor": "val_auc"}, "`monitor` must be one of the logs"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            measure_transfer(
                **{
                    "source": net,
                    "head": layers.Dense(2),
                    "x": x,
                    "y": y,
                    "validation_data": data,
                    **arguments,
                }
            )
