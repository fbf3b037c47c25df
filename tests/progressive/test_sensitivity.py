import json

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_netopt.layers import FrozenColumn, LateralConnection
from keras_netopt.progressive import SensitivityReport, sensitivity


def frozen(inputs, units, name):
    hidden = layers.Dense(units)(inputs)
    return FrozenColumn(keras.Model(inputs, [hidden]), name=f"{name}_column")(
        inputs
    )[0]


@pytest.fixture(scope="module")
def task():
    """Half of the logit is the own column, the rest is mostly column "a"."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((4,))
    sources = [frozen(inputs, 3, "a"), frozen(inputs, 2, "b")]
    own = layers.Dense(3)(inputs)
    lateral = LateralConnection("linear", name="lateral")
    hidden = lateral([own, *sources])
    outputs = layers.Dense(2, name="head")(hidden)
    model = keras.Model(inputs, outputs, name="c")
    lateral.alpha.assign([1.0, 0.2])
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(True))
    return model


@pytest.fixture(scope="module")
def data(task):
    x = np.random.default_rng(0).normal(size=(128, 4)).astype("float32")
    y = ops.convert_to_numpy(task(x)).argmax(axis=-1)
    return x, y


def tensors(task, x):
    """The inputs of the lateral connection."""
    lateral = task.get_layer("lateral")
    inner = keras.Model(task.input, lateral.input)
    return [ops.convert_to_numpy(one) for one in inner(x)]


def test_usage_is_the_product_of_its_factors(task, data):
    found = sensitivity(task, data[0])

    lateral = task.get_layer("lateral")
    kernel = ops.convert_to_numpy(lateral.expand.kernel)
    _, a, b = tensors(task, data[0])
    expected = [
        alpha * np.linalg.norm(part) * np.sqrt((values**2).mean())
        for alpha, part, values in (
            (1.0, kernel[:3], a),
            (0.2, kernel[3:], b),
        )
    ]
    assert found.columns == ("a", "b") and found.layers == ("lateral",)
    np.testing.assert_allclose(found.values[0], expected, rtol=1e-4)
    assert found.shares.sum() == pytest.approx(1.0)


def test_usage_of_an_mlp_adapter_has_both_of_its_norms():
    inputs = keras.Input((4,))
    lateral = LateralConnection(adapter_width=3, name="lateral")
    sources = [frozen(inputs, 3, "a"), frozen(inputs, 2, "b")]
    model = keras.Model(inputs, lateral([layers.Dense(2)(inputs), *sources]))
    x = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    found = sensitivity(model, x).values[0]
    reduce = ops.convert_to_numpy(lateral.reduce.kernel)
    expand = np.linalg.norm(ops.convert_to_numpy(lateral.expand.kernel))
    rms = [np.sqrt((one**2).mean()) for one in tensors(model, x)[1:]]
    norms = [np.linalg.norm(reduce[:3]), np.linalg.norm(reduce[3:])]
    np.testing.assert_allclose(
        found,
        [0.3 * n * expand * r for n, r in zip(norms, rms, strict=True)],
        rtol=1e-4,
    )


def test_fisher_is_that_of_the_softmax(task, data):
    """All layers after the hidden tensors are linear: the exact value."""
    found = sensitivity(task, data[0], method="fisher", draws=40)

    lateral = task.get_layer("lateral")
    head = ops.convert_to_numpy(task.get_layer("head").kernel)
    kernel = ops.convert_to_numpy(lateral.expand.kernel)
    paths = [head, kernel[:3] @ head, 0.2 * kernel[3:] @ head]
    logits = ops.convert_to_numpy(task(data[0]))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    # d log p_y / d h = path_y - sum_k p_k path_k, squared and averaged over y.
    expected = []
    for path, values in zip(paths, tensors(task, data[0]), strict=True):
        centred = path[None] - (shares @ path.T)[:, :, None]
        square = (centred**2 * shares[:, None, :]).sum(axis=2)
        expected.append((square * values.var(axis=0)).sum(axis=1).mean())
    assert found.columns == ("c", "a", "b")
    np.testing.assert_allclose(found.values[0], expected, rtol=0.08)


def test_logits_and_probabilities_give_the_same_fisher(task, data):
    outputs = layers.Softmax()(task.output)
    model = keras.Model(task.input, outputs, name="c")
    logits = sensitivity(task, data[0], method="fisher", draws=2)
    shares = sensitivity(model, data[0], method="fisher", draws=2)
    np.testing.assert_allclose(logits.values, shares.values, rtol=1e-3)


def test_independent_outputs_and_regressions_have_a_fisher(task, data):
    binary = keras.Model(task.input, layers.Dense(1)(task.output))
    binary.compile(loss=keras.losses.BinaryCrossentropy(from_logits=True))
    sigmoid = keras.Model(
        task.input, layers.Activation("sigmoid")(binary.output)
    )
    values = [
        sensitivity(one, data[0], method="fisher").values
        for one in (binary, sigmoid)
    ]
    np.testing.assert_allclose(*values, rtol=1e-3)
    binary.compile(loss="mse")
    found = sensitivity(binary, data[0], method="fisher", draws=2)
    assert (found.values > 0).all()
    assert not np.allclose(found.values, values[0])


def test_noise_tells_what_a_task_needs(task, data):
    found = sensitivity(task, *data, method="perturbation")
    own, a, b = found.values[0]
    assert own > 0 and a > b >= 0
    fisher = sensitivity(task, data[0], method="fisher", draws=2)
    np.testing.assert_allclose(found.shares, fisher.shares, atol=0.25)


def test_a_column_that_is_switched_off_is_not_used(task, data):
    alpha = task.get_layer("lateral").alpha
    before = ops.convert_to_numpy(alpha).copy()
    alpha.assign([1.0, 0.0])
    try:
        for method in ("usage", "fisher", "perturbation"):
            found = sensitivity(task, *data, method=method)
            assert found.shares[0, -1] == 0.0, method
    finally:
        alpha.assign(before)


def test_noise_that_halves_the_performance_is_found_by_bisection(task, data):
    """A performance of one's own, on the distance from clean outputs."""
    clean = ops.convert_to_numpy(task(data[0]))
    floor = -np.square(clean - clean[::-1]).mean()

    def performance(y, outputs):
        return -np.square(outputs - clean).mean()

    found = sensitivity(
        task, data[0], data[1], method="perturbation", performance=performance
    )
    # The distance grows with the square of the noise: precision is
    # proportional to the distance at noise 1, of which a path is the factor.
    lateral = task.get_layer("lateral")
    head = ops.convert_to_numpy(task.get_layer("head").kernel)
    kernel = ops.convert_to_numpy(lateral.expand.kernel)
    _, a, b = tensors(task, data[0])
    expected = [
        np.square(values.std(axis=0)[:, None] * path).sum()
        for values, path in (
            (a, kernel[:3] @ head),
            (b, 0.2 * kernel[3:] @ head),
        )
    ]
    assert floor < 0
    ratio = found.values[0, 1] / found.values[0, 2]
    assert ratio == pytest.approx(expected[0] / expected[1], rel=0.35)


def test_the_model_does_not_change(task, data):
    before = [ops.convert_to_numpy(v).copy() for v in task.variables]
    outputs = ops.convert_to_numpy(task(data[0]))

    def fail(y, predicted):
        raise RuntimeError("no performance")

    for method in ("usage", "fisher", "perturbation"):
        sensitivity(task, *data, method=method)
    with pytest.raises(RuntimeError, match="no performance"):
        sensitivity(task, *data, method="perturbation", performance=fail)
    for variable, value in zip(task.variables, before, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(variable), value)
    again = ops.convert_to_numpy(task(data[0]))
    np.testing.assert_array_equal(again, outputs)


def test_images_are_scaled_by_channel():
    inputs = keras.Input((4, 4, 2))
    source = layers.Conv2D(3, 1)(inputs)
    column = FrozenColumn(keras.Model(inputs, [source]), name="a_column")
    hidden = LateralConnection("linear", data_format="channels_last")(
        [layers.Conv2D(2, 1)(inputs), *column(inputs)]
    )
    outputs = layers.Dense(2)(layers.GlobalAveragePooling2D()(hidden))
    model = keras.Model(inputs, outputs)
    rng = np.random.default_rng(0)
    # A channel whose scale is a hundred times that of the other.
    x = (rng.normal(size=(16, 4, 4, 2)) * [1, 100]).astype("float32")
    for method in ("usage", "fisher"):
        found = sensitivity(model, x, method=method, samples=8)
        assert np.isfinite(found.shares).all()


@pytest.mark.no_backend
def test_a_layer_that_does_not_read_a_column_has_no_share(tmp_path):
    values = np.array([[1.0, 3.0, np.nan], [1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    found = SensitivityReport(
        "fisher", ("1", "2", "3"), ("c", "a", "b"), values
    )
    assert found.shares[0, :2].tolist() == [0.25, 0.75]
    assert np.isnan(found.shares[0, 2]) and np.isnan(found.shares[2]).all()
    assert "75.0%" in str(found)
    written = json.loads(json.dumps(found.to_dict()))
    assert written["shares"][0] == [0.25, 0.75, None]

    pytest.importorskip("matplotlib")
    axes = found.plot(tmp_path / "sensitivity.png").axes[0]
    assert [text.get_text() for text in axes.texts][:3] == ["", "", ""]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["3", "2", "1"]


def test_wrong_arguments(task, data):
    x, y = data
    plain = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    regression = keras.Model(task.input, task.output)
    for arguments, message in (
        ({"model": plain}, "must be a task with lateral connections"),
        ({"method": "perturbation"}, "`y` must be the targets"),
        (
            {"method": "perturbation", "y": y, "model": regression},
            "`performance` must be a function",
        ),
        (
            {
                "method": "perturbation",
                "y": y,
                "performance": lambda y, outputs: 1.0,
            },
            "must perform better than outputs exchanged",
        ),
        ({"x": x[:1]}, "`x` must be arrays of at least 2 samples"),
    ):
        with pytest.raises(ValueError, match=message):
            sensitivity(**{"model": task, "x": x, **arguments})
