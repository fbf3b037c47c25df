"""A chain of three tasks, trained once; each test asserts on it."""

import json
import zipfile

import keras
import numpy as np
import pytest
from damaged_files import find_unnamed
from keras import layers
from small_disk import fill, small_disk

from keras_netopt import callbacks
from keras_netopt.layers import FrozenColumn, LateralConnection
from keras_netopt.progressive import ProgressiveNetwork
from keras_netopt.training.backend import without_gradients
from keras_netopt.warnings import NotIntendedUseWarning

RNG = np.random.default_rng(0)
X = RNG.standard_normal((32, 8)).astype("float32")
Y = (np.arange(32) % 3).astype("int32")


def dense_column(inputs, width=1.0):
    """Layers with fixed names: those of several columns must not collide."""
    hidden, tensor = [], inputs
    for depth in range(2):
        tensor = layers.Dense(int(8 * width), name=f"dense{depth}")(tensor)
        tensor = layers.BatchNormalization(momentum=0.9)(tensor)
        tensor = layers.Dropout(0.4)(layers.ReLU()(tensor))
        hidden.append(tensor)
    return hidden


def build(**arguments):
    keras.utils.set_random_seed(1)
    return ProgressiveNetwork(dense_column, keras.Input((8,)), **arguments)


def compile_task(model, **arguments):
    model.compile(
        keras.optimizers.AdamW(0.01, weight_decay=0.1, use_ema=True),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **arguments,
    )
    return model


def train(model, x=X, y=Y):
    compile_task(model)
    model.fit(x, y, batch_size=16, verbose=0)
    return outputs(model, x)


def outputs(model, x=X):
    with without_gradients():  # As in `predict`; torch rounds otherwise.
        return to_numpy(model(x, training=False))


def to_numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Three trained tasks, what each computed when it was new, a file."""
    net, known = build(probe=X[:4]), {}
    for number, width in enumerate((1.0, 1.0, 0.5), 1):
        name = f"t{number}"
        head = layers.Dense(3, name="head")
        known[name] = train(net.add_task(head, name=name, width=width))
    path = tmp_path_factory.mktemp("chain") / "net.keras"
    net.save(path)
    return net, known, path


def test_training_later_tasks_leaves_earlier_ones_bit_equal(chain):
    net, known, _ = chain
    for name, before in known.items():
        np.testing.assert_array_equal(outputs(net[name]), before, name)
    report = net.check_forgetting()
    assert report.passed
    assert [one.task for one in report.tasks] == ["t1", "t2"]
    assert all(one.outputs_equal for one in report.tasks)
    # 2 x (kernel, bias, gamma, beta, mean, variance) and the head.
    assert report.tasks[0].variables == 14


def test_a_file_holds_the_same_tasks_and_more_can_be_added(chain):
    known, path = chain[1:]
    net = ProgressiveNetwork.load(path, probe=X[:4])
    assert net.tasks == ["t1", "t2", "t3"]
    assert net.summary().to_dict() == chain[0].summary().to_dict()
    # New layers of a new process may get the names of those in the file.
    keras.utils.clear_session()
    train(net.add_task(layers.Dense(2), name="t4"), y=Y % 2)
    for name, before in known.items():
        np.testing.assert_array_equal(outputs(net[name]), before, name)
    assert net.check_forgetting().passed
    other = ProgressiveNetwork.load(path, dense_column)
    assert other.add_task(layers.Dense(2), width=0.5).layers
    whole = keras.saving.load_model(path)
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(whole(X, training=False)["t3"]),
        known["t3"],
    )


def test_saving_an_unfinished_task_leaves_it_trainable(tmp_path):
    net = build()
    model = compile_task(net.add_task(layers.Dense(3)))
    model.train_on_batch(X, Y)
    before = outputs(model)
    net.save(tmp_path / "net.keras")
    assert len(model.trainable_variables) == 10
    model.train_on_batch(X, Y)
    assert np.abs(outputs(model) - before).max() > 1e-3
    found = ProgressiveNetwork.load(tmp_path / "net.keras")
    np.testing.assert_array_equal(outputs(found["task1"]), before)


def test_a_damaged_file_is_named(tmp_path):
    net, path = build(), tmp_path / "net.keras"
    net.add_task(layers.Dense(3))
    net.save(path)
    assert not find_unnamed(path, ProgressiveNetwork.load, remedy="older one")


def test_a_full_disk_keeps_the_former_network(tmp_path):
    net = build()
    net.add_task(layers.Dense(3))
    with small_disk(tmp_path / "disk") as disk:
        net.save(disk / "net.keras")
        before = (disk / "net.keras").read_bytes()
        fill(disk, leave=len(before) // 2)
        with pytest.raises(OSError):
            net.save(disk / "net.keras")
        assert (disk / "net.keras").read_bytes() == before


def test_a_failed_save_keeps_the_former_file(tmp_path, monkeypatch):
    net, path = build(), tmp_path / "net.keras"
    net.add_task(layers.Dense(3))
    net.save(path)
    former = path.read_bytes()

    def fail(*args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", fail)
    with pytest.raises(OSError, match="No space"):
        net.save(path)
    assert path.read_bytes() == former
    assert [one.name for one in tmp_path.iterdir()] == ["net.keras"]


def test_frozen_columns_cannot_be_made_trainable(chain):
    net = ProgressiveNetwork.load(chain[2])
    first, last = net["t1"], net.add_task(layers.Dense(3))
    before = outputs(first)
    first.trainable = last.trainable = True
    compile_task(last)
    # The column, its two lateral connections and the head.
    assert len(last.trainable_variables) == 8 + 10 + 2
    last.train_on_batch(X, Y)
    np.testing.assert_array_equal(outputs(first), before)
    assert net.check_forgetting().passed


def test_each_step_has_gradients_of_its_own(chain):
    """Bug: torch misses one of two variables with one path at `zero_grad`."""
    keras.utils.clear_session()  # Layer names repeat, as in a new process.
    net = ProgressiveNetwork.load(chain[2], dense_column)
    last = net.add_task(layers.Dense(3))
    paths = [variable.path for variable in last.variables]
    assert len(set(paths)) == len(paths)


@pytest.mark.backend("torch")
def test_saving_leaves_the_last_bit_of_a_finished_task(tmp_path):
    """Bug: flags restored after a save change how torch rounds."""
    net = ProgressiveNetwork(
        lambda inputs: [layers.GRU(4, return_sequences=True)(inputs)],
        keras.Input((5, 3)),
    )
    x = RNG.standard_normal((8, 5, 3)).astype("float32")
    head = layers.GRU(4, return_sequences=True)
    first = net.add_task(head)
    before = first.predict(x, verbose=0)
    net.add_task(layers.GRU(4))
    net.save(tmp_path / "net.keras")
    np.testing.assert_array_equal(first.predict(x, verbose=0), before)


def test_frozen_features_are_deterministic_in_training(chain):
    frozen = chain[0]["t3"].get_layer("t2_column")
    assert isinstance(frozen, FrozenColumn)
    first = chain[0]["t3"].get_layer("t1_column")
    features = first(X, training=True)
    again = first(X, training=True)
    for one, other in zip(features, again, strict=True):
        np.testing.assert_array_equal(*map(to_numpy, (one, other)))


def test_losses_of_frozen_layers_do_not_count():
    # Bug: penalties on frozen activations are in the loss of each later task.
    inner = layers.Dense(4, activity_regularizer="l2")
    inputs = keras.Input((8,))
    column = keras.Model(inputs, [keras.Sequential([inner])(inputs)])
    features = FrozenColumn(column)(inputs)
    model = keras.Model(inputs, layers.Dense(1)(features[0]))
    model.compile("sgd", "mse")
    loss = model.evaluate(X, 0.0 * X[:, :1], verbose=0)
    np.testing.assert_allclose(loss, (outputs(model) ** 2).mean(), rtol=1e-5)
    model(X)
    assert not model.losses


def test_a_changed_variable_is_named():
    net = build()
    net.add_task(layers.Dense(3))
    net.add_task(layers.Dense(3))
    variable = net["task1"].get_layer("dense1").kernel
    value = to_numpy(variable).copy()
    value[0, 0] += 1e-6
    variable.assign(value)
    report = net.check_forgetting()
    assert not report.passed
    assert report.tasks[0].changed == ["6:task1_column/dense1/kernel"]
    assert "dense1/kernel" in str(report)


def test_a_finished_task_refuses_to_train(chain):
    first = chain[0]["t1"]
    for step in (
        lambda: first.fit(X, Y, verbose=0),
        lambda: first.train_on_batch(X, Y),
    ):
        with pytest.raises(ValueError, match="Task 't1' is finished"):
            step()
    assert first.evaluate(X, Y, verbose=0) > 0  # This is allowed.


def test_without_adapters_a_column_is_independent():
    net = build(adapter=None)
    net.add_task(layers.Dense(3))
    keras.utils.set_random_seed(5)
    second = net.add_task(layers.Dense(3))
    keras.utils.set_random_seed(5)
    inputs = keras.Input((8,))
    alone = keras.Model(
        inputs, layers.Dense(3)(dense_column(inputs)[-1]), name="alone"
    )
    assert second.count_params() == alone.count_params()
    kinds = {type(layer) for layer in second.layers}
    assert not kinds & {FrozenColumn, LateralConnection}
    np.testing.assert_array_equal(outputs(second), outputs(alone))


def test_a_scale_of_zero_switches_the_sources_off():
    net = build()
    net.add_task(layers.Dense(3))
    second = net.add_task(layers.Dense(3), alpha_init=0.0)
    keras.utils.set_random_seed(5)
    inputs = keras.Input((8,))
    alone = keras.Model(inputs, layers.Dense(3)(dense_column(inputs)[-1]))
    laterals = [
        one for one in second.layers if isinstance(one, LateralConnection)
    ]
    assert [one.name for one in laterals] == [
        "task2_lateral_1",
        "task2_lateral_2",
    ]
    own = [
        weight
        for layer in second.layers
        if layer not in laterals and not isinstance(layer, FrozenColumn)
        for weight in layer.weights
    ]
    for mine, other in zip(own, alone.weights, strict=True):
        other.assign(to_numpy(mine))
    np.testing.assert_allclose(outputs(second), outputs(alone), atol=1e-6)


@pytest.mark.parametrize(("lateral", "sources"), [("all", 3), ("previous", 1)])
def test_parameters_follow_the_formula(lateral, sources):
    net = build(lateral=lateral, adapter_width=5)
    for width in (1.0, 1.0, 1.0, 0.5):
        net.add_task(layers.Dense(3), width=width)
    costs = net.summary().tasks[-1]
    n, a = 4, 5
    lateral_params = sources + (8 * sources) * a + a + a * n + n
    assert costs.lateral_params == 2 * lateral_params
    assert costs.column_params == (8 * n + n) + (n * n + n) + 2 * 4 * n
    assert costs.head_params == 3 * n + 3
    assert costs.total_params == net["task4"].count_params()
    assert "laterals" in str(net.summary())


def test_lateral_names_the_columns_that_are_read():
    net = build()
    for name in ("a", "b", "c"):
        net.add_task(layers.Dense(3), name=name)
    last = net.add_task(layers.Dense(3), lateral=["a", "c"])
    names = {one.name for one in last.layers if isinstance(one, FrozenColumn)}
    # The column of c reads that of b.
    assert names == {"a_column", "b_column", "c_column"}
    assert last.get_layer("task4_lateral_1").alpha.shape == (2,)


def test_other_callbacks_work_on_a_task(chain, tmp_path):
    net = ProgressiveNetwork.load(chain[2])
    model = net.add_task(layers.Dense(3), name="t4")
    model.compile("sgd", "mse")
    pruning = callbacks.Pruning(0.5)
    path = str(tmp_path / "task.keras")
    saved = keras.callbacks.ModelCheckpoint(path)
    stopping = keras.callbacks.EarlyStopping("loss", patience=2)
    model.fit(
        X,
        X[:, :3],
        batch_size=16,
        epochs=2,
        verbose=0,
        callbacks=[stopping, pruning, saved],
    )
    assert net.check_forgetting().passed
    frozen = [r for r in pruning.report().rows if "_column" in r.key]
    assert frozen and all(row.target is None for row in frozen)
    again = keras.saving.load_model(path)
    assert not again.get_layer("t1_column").trainable
    np.testing.assert_array_equal(outputs(again), outputs(model))


def test_structures_of_inputs_and_outputs():
    def column(inputs):
        both = layers.Concatenate()([inputs["a"], inputs["b"]])
        return [layers.Dense(4, "relu")(both)]

    given = {name: keras.Input((3,), name=name) for name in ("a", "b")}
    net = ProgressiveNetwork(column, given)

    def heads(tensor):
        return {
            "first": layers.Dense(2, name="one")(tensor),
            "second": layers.Dense(3, name="two")(tensor),
        }

    net.add_task(layers.Dense(2))
    model = net.add_task(heads)
    x = {name: X[:, :3] for name in given}
    assert model(x)["second"].shape == (32, 3)
    model.compile("sgd", {"first": "mse", "second": "mse"})
    model.train_on_batch(x, {"first": X[:, :2], "second": X[:, :3]})
    assert net.check_forgetting().passed


def test_settings_are_in_the_file(chain):
    with zipfile.ZipFile(chain[2]) as file:
        stored = json.loads(file.read("netopt_tasks.json"))
    assert stored["settings"]["alpha_init"] == 0.3
    assert stored["tasks"] == ["t1", "t2", "t3"]


def test_large_lateral_connections_are_warned_of():
    net = ProgressiveNetwork(
        lambda inputs: [layers.Dense(800)(inputs)], keras.Input((2,))
    )
    net.add_task(layers.Dense(1))
    with pytest.warns(NotIntendedUseWarning, match="adapter_width"):
        net.add_task(layers.Dense(1))
