"""Pruning of lateral connections: what goes, what stays, what still works."""

import keras
import numpy as np
import pytest
from progressive.task_chain import add_task, build_chain, conv, data, dense

from keras_netopt.layers import LateralConnection
from keras_netopt.progressive import ProgressiveNetwork, prune_adapters
from keras_netopt.warnings import NoEffectWarning


def names(model):
    return [layer.name for layer in model.layers]


def run(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False))


def last(net):
    return net[net.tasks[-1]]


def laterals(model):
    return [one for one in model.layers if isinstance(one, LateralConnection)]


def set_alpha(layer, values):
    layer.alpha.assign(np.array(values, "float32"))


@pytest.mark.parametrize("column", [dense, conv])
def test_sources_without_effect_go_exactly(column):
    # Bug: rows of the kernel are taken from a source that stays.
    net = build_chain(column)
    model, (x, _) = last(net), data(column)
    first, second = laterals(model)
    set_alpha(first, [0.0, 0.5])
    set_alpha(second, [0.4, 0.0])
    before = run(model, x)
    report = net.prune_adapters("task3", x, threshold=1e-6)
    assert [row.sources_after for row in report.layers] == [1, 1]
    assert report.difference.verdict == "exact"
    np.testing.assert_allclose(run(model, x), before, atol=1e-5)
    assert report.unread == []


def test_units_without_effect_go_exactly_and_leave_their_mean():
    # Bug: the mean of a unit that always fires is lost.
    net = build_chain()
    model, (x, _) = last(net), data(dense)
    layer = laterals(model)[0]
    kernel = keras.ops.convert_to_numpy(layer.reduce.kernel).copy()
    kernel[:, 1] = 0.0
    layer.reduce.kernel.assign(kernel)
    layer.reduce.bias.assign([0.0, 3.0, 0.0, 0.0])
    before = run(model, x)
    report = net.prune_adapters("task3", x, threshold=1e-6)
    assert report.layers[0].units_after < report.layers[0].units == 4
    np.testing.assert_allclose(run(model, x), before, atol=1e-5)
    assert laterals(model)[0].get_config()["adapter_width"] < 4


def test_a_pruned_task_trains_saves_and_becomes_a_column(tmp_path):
    # Bug: the optimizer, the file or the next column holds removed weights.
    x, y = data(dense)
    net = build_chain(probe=x[:4])
    model = last(net)
    model.train_on_batch(x, y)
    finished = [run(net[name], x) for name in ("task1", "task2")]
    params = model.count_params()
    steps = int(model.optimizer.iterations)
    report = prune_adapters(model, x, threshold=0.2)
    assert net["task3"] is model
    assert params - model.count_params() >= report.removed_params > 0
    assert int(model.optimizer.iterations) == steps
    model.train_on_batch(x, y)
    outputs = run(model, x)
    path = tmp_path / "net.keras"
    net.save(path)
    add_task(net).train_on_batch(x, y)
    assert net.check_forgetting().passed
    loaded = ProgressiveNetwork.load(path, probe=x[:4])
    assert loaded.check_forgetting().passed
    for name, before in zip(
        ("task1", "task2", "task3"), [*finished, outputs], strict=True
    ):
        np.testing.assert_array_equal(run(net[name], x), before)
        np.testing.assert_array_equal(run(loaded[name], x), before)


def test_a_column_that_nothing_reads_leaves_the_model():
    # Bug: a lateral connection is bypassed, its column still runs.
    net = build_chain()
    model, (x, y) = last(net), data(dense)
    report = net.prune_adapters("task3", x, threshold=100.0)
    assert report.unread == ["task1", "task2"]
    assert not any("column" in one or "lateral" in one for one in names(model))
    assert len(model.trainable_variables) == len(model.weights) == 6
    model.train_on_batch(x, y)
    with pytest.warns(NoEffectWarning, match="no lateral connections"):
        net.prune_adapters("task3", x)
    assert "->" in str(report) and "task1" in str(report)


def test_scales_select_sources():
    # Bug: the sign of a scale counts, or units go with the score "alpha".
    net = build_chain(adapter="linear", adapter_width=None)
    model, (x, _) = last(net), data(dense)
    for layer, values in zip(
        laterals(model), ([-0.5, 0.1], [0.1, 0.05]), strict=True
    ):
        set_alpha(layer, values)
    report = net.prune_adapters("task3", x, score="alpha", threshold=0.2)
    assert [row.sources_after for row in report.layers] == [1, 0]
    assert names(model).count("task1_column") == 1
    assert report.unread == ["task2"]


def test_wrong_use_is_refused():
    net = build_chain(tasks=2)
    x, _ = data(dense)
    with pytest.raises(ValueError, match="finished task 'task1'"):
        net.prune_adapters("task1", x)
    with pytest.raises(ValueError, match="task of a progressive"):
        prune_adapters(keras.Sequential([keras.Input((4,))]), x)
    with pytest.raises(ValueError, match="Received: score='taylor'"):
        net.prune_adapters("task2", x, score="taylor")


@pytest.mark.parametrize("column", [dense, conv])
def test_a_task_in_a_file_resumes_with_its_optimizer(column, tmp_path):
    # Bug: layers inside frozen columns are trainable in a loaded model.
    model = last(build_chain(column))
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "task.keras")
    loaded = keras.saving.load_model(tmp_path / "task.keras")
    assert len(loaded.trainable_variables) == len(model.trainable_variables)
    assert len(loaded.optimizer.variables) == len(model.optimizer.variables)
