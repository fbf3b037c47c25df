"""Zero-cost proxies against closed forms, finite differences and constants."""

import inspect
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from keras_netopt import search
from keras_netopt.search.zero_cost_proxies.activation_codes import (
    ActivationCodes,
    channel_entropy,
    collect_codes,
)
from keras_netopt.search.zero_cost_proxies.input_jacobian import (
    measure_jacobian,
)
from keras_netopt.search.zero_cost_proxies.proxies import PROXIES
from keras_netopt.search.zero_cost_proxies.synaptic_flow import measure_flow
from keras_netopt.search.zero_cost_proxies.zero_cost import ENSEMBLE

ROOT = Path(__file__).resolve().parents[2]
L = keras.layers


def set_weights(model, seed=0):
    """The same weights on every backend."""
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        values = rng.normal(0.0, 0.5, variable.shape).astype("float32")
        variable.assign(np.abs(values) if len(variable.shape) == 1 else values)
    return model


def inputs(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def mlp(depth=3, output=None, **options):
    model = keras.Sequential([keras.Input((5,))])
    for _ in range(depth - 1):
        model.add(L.Dense(4, "relu", use_bias=False))
    model.add(L.Dense(3, output, use_bias=False))
    model.compile(loss="mse", **options)
    return set_weights(model)


@pytest.fixture(scope="module")
def cnn():
    x = given = keras.Input((6, 6, 2))
    x = L.Conv2D(3, 3, padding="same")(x)
    x = L.BatchNormalization()(x)
    x = y = L.ReLU()(x)
    x = L.Conv2D(3, 1)(x)
    x = L.Dropout(0.5)(ops.gelu(x) + y)
    x = L.GlobalAveragePooling2D()(x)
    model = keras.Model(given, L.Dense(3, activation="softmax")(x), name="cnn")
    model.compile("adam", "sparse_categorical_crossentropy")
    return set_weights(model)


def flow(model, x):
    found = measure_flow(model, x)
    return np.exp(search.zero_cost(model, x, proxies="synflow")["synflow"]), (
        found.response
    )


@pytest.mark.parametrize(
    ("depth", "output"), [(2, None), (3, "softmax"), (4, "sigmoid"), (5, None)]
)
def test_synflow_of_a_network_without_bias_is_its_depth_times_the_response(
    depth, output
):
    model, x = mlp(depth, output), np.zeros((2, 5), "float32")
    score, response = flow(model, x)
    assert score / response == pytest.approx(depth, rel=1e-9)
    found = search.zero_cost(model, x, proxies="flow_depth")["flow_depth"]
    assert found == pytest.approx(depth, rel=1e-9)
    model.set_weights([3.0 * w for w in model.get_weights()])
    scaled, _ = flow(model, x)
    assert scaled / score == pytest.approx(3.0**depth, rel=1e-5)


def test_synflow_ignores_signs_and_normalization(cnn):
    x = inputs(2, 6, 6, 2)
    first = search.zero_cost(cnn, x, proxies="synflow")["synflow"]
    weights = cnn.get_weights()
    cnn.layers[1].set_weights([-w for w in cnn.layers[1].get_weights()])
    norm = cnn.layers[2]
    norm.set_weights([7.0 * w for w in norm.get_weights()])
    second = search.zero_cost(cnn, 9 * x, proxies="synflow")["synflow"]
    cnn.set_weights(weights)
    assert first == pytest.approx(second, rel=1e-12)


def test_synflow_exceeds_the_range_of_float32():
    model = keras.Sequential([keras.Input((5,)), *(L.Dense(5) for _ in "ab")])
    model.set_weights([1e30 * np.ones_like(w) for w in model.get_weights()])
    score = search.zero_cost(model, inputs(2, 5), proxies="synflow")["synflow"]
    assert score == pytest.approx(np.log(2 * 125 * 1e60), abs=0.5)


def test_a_network_without_a_path_has_no_flow(cnn):
    given = keras.Input((4,))
    x = L.Dense(16, activation="relu", use_bias=False)(given)
    x = L.Dense(2, use_bias=False)(L.Rescaling(0.0)(x))
    model = keras.Model(given, x)
    set_weights(model)  # Without it two samples may share their codes.
    names = ["synflow", "flow_depth", "jacob_cov", "naswot"]
    report = search.zero_cost(model, inputs(3, 4), proxies=names)
    assert report["synflow"] == report["jacob_cov"] == -np.inf
    assert report["flow_depth"] == 0
    assert np.isfinite(report["naswot"])


@pytest.mark.parametrize("samples", [7, 70])
def test_codes_compare_every_unit_of_every_sample(samples):
    model, x = mlp(3), inputs(samples, 5)
    first, second, _ = model.get_weights()
    hidden = np.maximum(x @ first, 0)
    bits = np.concatenate([x @ first > 0, hidden @ second > 0], axis=1)
    hamming = (bits[:, None] != bits[None]).sum(-1)
    codes = collect_codes(model, x)
    assert codes.units == 8
    np.testing.assert_array_equal(codes.agreement, 8 - hamming)
    assert codes.patterns == len(np.unique(bits.T, axis=0))


def test_naswot_is_the_determinant_of_the_agreement(cnn):
    x = inputs(6, 6, 6, 2)
    sign, value = np.linalg.slogdet(collect_codes(cnn, x).agreement)
    found = search.zero_cost(cnn, x, proxies="naswot")["naswot"]
    assert sign == 1 and found == pytest.approx(value)
    x[1] = x[0]
    assert search.zero_cost(cnn, x, proxies="naswot")["naswot"] == -np.inf


def test_entropy_counts_the_directions_of_variance():
    def entropy(*spectrum):
        found = ActivationCodes(np.eye(2), 1, 1, 0.0, np.array(spectrum))
        return channel_entropy(found)

    assert entropy(2.0, 2.0, 2.0) == pytest.approx(np.log(3))
    assert entropy(0.0, 0.0, 3.0) == pytest.approx(0.0)
    assert entropy(0.0, 0.0) == -np.inf


def test_correlation_is_that_of_channels_over_samples_and_positions(cnn):
    x = inputs(4, 6, 6, 2)
    given = keras.Input((6, 6, 2))
    model = keras.Model(given, L.ReLU()(given))
    expected = np.corrcoef(x.reshape(-1, 2).T)[0, 1]
    found = search.zero_cost(model, x, proxies=["meco", "channel_entropy"])
    assert found["meco"] == pytest.approx(1 - abs(expected), rel=1e-5)
    x[..., 1] = 2 * x[..., 0]
    found = search.zero_cost(model, x, proxies=["meco", "channel_entropy"])
    assert found["meco"] == pytest.approx(0, abs=1e-6)
    assert found["channel_entropy"] == pytest.approx(0, abs=1e-5)


class Coded(keras.Model):
    """Rectifiers in the code of a subclass, and in a layer of a layer."""

    def __init__(self):
        super().__init__()
        self.first = L.Dense(4)
        self.second = L.TimeDistributed(L.Dense(3, activation="silu"))
        self.third = keras.Sequential([L.Dense(2), L.LeakyReLU(), L.ELU()])
        self.last = L.Dense(1)

    def call(self, x):
        x = ops.relu(self.first(x))
        x = self.second(x[:, None, :])[:, 0, :]
        return self.last(self.third(keras.activations.mish(x)))


def test_rectifiers_are_found_wherever_they_are():
    model, x = Coded(), inputs(4, 5)
    model(x)
    codes = collect_codes(model, x)
    assert codes.units == 4 + 3 + 3 + 2 + 2
    names = ["naswot", "swap", "synflow", "jacob_cov", "macs"]
    report = search.zero_cost(model, x, proxies=names)
    assert list(report) == names


def test_gradients_of_a_linear_model_have_a_closed_form():
    model = set_weights(keras.Sequential([keras.Input((5,)), L.Dense(3)]))
    model.compile(loss="mse")
    kernel, bias = model.get_weights()
    x, y = inputs(8, 5), inputs(8, 3, seed=2)
    gradient = 2 * x.T @ (x @ kernel + bias - y) / y.size
    report = search.zero_cost(model, x, y, proxies=["grad_norm", "snip"])
    norm = np.linalg.norm(gradient)
    assert report["grad_norm"] == pytest.approx(norm, rel=1e-5)
    snip = abs(kernel * gradient).sum()
    assert report["snip"] == pytest.approx(snip, rel=1e-5)


def test_the_jacobian_equals_finite_differences():
    model, x = mlp(3, "softmax"), inputs(4, 5)
    found = measure_jacobian(model, x)
    linear = mlp(3)
    for j in range(5):
        step = np.zeros((1, 5), "float32")
        step[0, j] = 1e-3
        higher, lower = linear(x + step), linear(x - step)
        slope = np.asarray(ops.convert_to_numpy(higher - lower)).sum(1) / 2e-3
        np.testing.assert_allclose(found[:, j], slope, rtol=1e-2, atol=1e-3)


def test_scores_are_equal_on_every_backend(cnn):
    x, y = inputs(6, 6, 6, 2), np.arange(6) % 3
    report = search.zero_cost(cnn, x, y, proxies=list(PROXIES))
    assert dict(report.scores) == pytest.approx(EXPECTED, rel=1e-4)
    assert list(report.milliseconds) == list(PROXIES)


EXPECTED = {
    "synflow": 4.769559,
    "flow_depth": 2.472268,
    "naswot": 25.38919,
    "swap": 40,
    "meco": 0.7808668,
    "channel_entropy": 0.50721,
    "jacob_cov": -6.178458,
    "grad_norm": 1.574314,
    "snip": 1.542769,
    "params": 93,
    "conv_count": 2,
    "macs": 2277,
}


def test_nothing_changes(cnn):
    x, y = inputs(6, 6, 6, 2), np.arange(6) % 3
    cnn.optimizer.build(cnn.trainable_variables)
    every = [*cnn.variables, *cnn.optimizer.variables]

    def state():
        return [np.array(ops.convert_to_numpy(v)) for v in every]

    before = state()
    policies = [layer.dtype_policy.name for layer in cnn.layers]
    outputs = ops.convert_to_numpy(cnn(x))
    search.zero_cost(cnn, x, y, proxies=list(PROXIES))
    for one, other in zip(before, state(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert policies == [layer.dtype_policy.name for layer in cnn.layers]
    assert not any("call" in vars(layer) for layer in cnn.layers)
    np.testing.assert_array_equal(outputs, ops.convert_to_numpy(cnn(x)))


def test_data_are_arrays_dictionaries_or_batches():
    given = {"a": keras.Input((3,), name="a"), "b": keras.Input((2,), name="b")}
    both = L.Concatenate()([given["a"], given["b"]])
    model = keras.Model(given, L.Dense(2)(L.Dense(4, "relu")(both)))
    data = {"a": inputs(9, 3), "b": inputs(9, 2).astype("float64")}
    names = ["naswot", "jacob_cov", "synflow"]
    first = search.zero_cost(model, data, proxies=names, samples=4)
    assert first.samples == 4
    y = np.zeros(9)
    rows = np.linspace(0, 8, 4).astype(int)
    batches = [({k: v[rows] for k, v in data.items()}, y[rows])]
    second = search.zero_cost(model, batches, proxies=names, samples=4)
    assert dict(first.scores) == dict(second.scores)


def test_integers_have_codes_and_a_flow_but_no_jacobian():
    model = keras.Sequential(
        [keras.Input((4,), dtype="int32"), L.Embedding(5, 3), L.Flatten()]
    )
    model.add(L.Dense(4, activation="relu"))
    x = np.arange(12).reshape(3, 4) % 5
    report = search.zero_cost(model, x, proxies=["naswot", "synflow"])
    assert np.isfinite(report["synflow"])
    with pytest.raises(ValueError, match="float input"):
        search.zero_cost(model, x, proxies="jacob_cov")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"proxies": "beauty"}, "Argument `proxies` must name some of"),
        ({"proxies": []}, "Argument `proxies` must name some of"),
        ({"proxies": "snip"}, "Argument `y` must be given"),
        ({"samples": 1}, "Argument `samples` must"),
        ({"x": inputs(1, 5)}, "two samples or more"),
        ({"proxies": "jacob_cov"}, "Argument `samples` must be below"),
        ({"model": keras.Sequential([L.Dense(1)])}, "must be built"),
    ],
)
def test_what_cannot_be_scored_is_refused(change, text):
    given = {"model": mlp(2), "x": inputs(8, 5), **change}
    with pytest.raises(ValueError, match=text) as error:
        search.zero_cost(given.pop("model"), **given)
    assert "Received: " in str(error.value)


def test_what_the_model_lacks_is_named():
    model = keras.Sequential([keras.Input((5,)), L.Dense(2, "tanh")])
    x = inputs(4, 5)
    with pytest.raises(ValueError, match="must have rectifiers"):
        search.zero_cost(model, x, proxies="naswot")
    with pytest.raises(ValueError, match="must be compiled"):
        search.zero_cost(model, x, np.zeros((4, 2)), proxies="snip")


def test_ranks_are_averaged_over_proxies():
    rows = [{"a": 1, "b": np.nan}, {"a": 9, "b": 2}, {"a": 9, "b": -np.inf}]
    found = search.combine_scores(rows)
    np.testing.assert_allclose(found, [0.125, 0.875, 0.5])
    assert len(search.combine_scores([])) == 0
    with pytest.raises(ValueError, match="same proxies"):
        search.combine_scores([{"a": 1}, {"b": 1}])


@pytest.mark.no_backend
def test_docstring_and_page_list_every_proxy_and_the_default():
    """A proxy was renamed, and its description and the default were not."""
    text = inspect.getdoc(search.zero_cost)
    default = "ensemble `({})`".format(", ".join(f'"{p}"' for p in ENSEMBLE))
    page = (ROOT / "docs/methods/zero_cost.md").read_text(encoding="utf-8")
    table = page.partition("| proxy |")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in table.splitlines()[2:] if line]

    assert re.findall(r'^\| "(\w+)" \|', text, re.M) == list(PROXIES)
    assert set(re.findall(r'"(\w+)"', text.partition("Args:")[2])) <= set(
        PROXIES
    )
    assert default in " ".join(text.split())
    assert set(re.findall(r"`(\w+)`", " ".join(cells))) == set(PROXIES)
