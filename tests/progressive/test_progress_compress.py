"""ProgressCompress: both phases, constant size, files and bad input."""

import keras
import numpy as np
import pytest
from damaged_files import find_unnamed
from keras import layers

from keras_netopt.progressive import ProgressCompress
from keras_netopt.warnings import NoEffectWarning, NotIntendedUseWarning

BACKEND = keras.backend.backend()
RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 4)).astype("float32")
Y = (np.arange(24) % 2).astype("int32")
LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

# What some tests look at does not depend on a trained active column.
may_be_untrained = pytest.mark.filterwarnings("ignore:.*made no step")


def column(inputs):
    hidden = layers.Dense(6, activation="relu")(inputs)
    return [hidden, layers.Dense(5, activation="relu")(hidden)]


def make(**options):
    keras.utils.set_random_seed(2)
    options = {"fisher_samples": 8, "strength": 100.0, **options}
    return ProgressCompress(column, keras.Input((4,)), **options)


def share_right(y_true, y_pred):
    right = keras.ops.argmax(y_pred, -1) == keras.ops.reshape(y_true, (-1,))
    return keras.ops.mean(keras.ops.cast(right, "float32"))


def add(pc, name=None, head=None, loss=LOGITS, **options):
    active = pc.add_task(head or layers.Dense(2), name=name)
    active.compile(
        keras.optimizers.SGD(0.1),
        loss,
        **{
            "metrics": ["accuracy"],
            "run_eagerly": BACKEND == "tensorflow",
            **options,
        },
    )
    return active


def fit(model, y=Y):
    model.fit(X, y, batch_size=12, epochs=1, shuffle=False, verbose=0)


def compress(pc, x=X, **options):
    arguments = {"epochs": 1, "batch_size": 12, "verbose": 0, **options}
    return pc.compress(x, **arguments).history


def values(model):
    return [np.array(v) for v in model.get_weights()]


def read(tensor):
    return keras.ops.convert_to_numpy(keras.ops.stop_gradient(tensor))


def assert_same(mine, other):
    assert len(mine) == len(other)
    for a, b in zip(mine, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """Two tasks after both phases, and what was seen on the way."""
    pc = make()
    data = {"a": (X, Y), "b": (X, 1 - Y)}
    seen = {"params": [], "histories": [], "columns": []}
    for name, (_, y) in data.items():
        active = add(pc, name)
        knowledge = active.get_layer("knowledge_base_frozen")
        before = values(knowledge)
        fit(active, y)
        assert_same(before, values(knowledge))  # Progress moves no weight.
        seen["params"].append({**pc.count_params(), "all": len(active.weights)})
        own = values(active)
        seen["histories"].append(compress(pc))
        changed = values(active)
        frozen = {id(v) for v in knowledge.weights}
        for variable, was, now in zip(
            active.weights, own, changed, strict=True
        ):
            if id(variable) not in frozen:  # Compressing moves no active one.
                np.testing.assert_array_equal(was, now)
        assert any((a != b).any() for a, b in zip(own, changed, strict=True))
        scores = pc.evaluate(data)
        assert list(scores) == pc.tasks
    path = tmp_path_factory.mktemp("saved") / "pc.keras"
    pc.save(path)
    return pc, data, seen, path


def test_the_columns_keep_their_size(learned):
    pc, _, seen, _ = learned
    first, second = seen["params"]
    sizes = {"knowledge_base": 65, "active": 65 + 85 + 61, "heads": 0}
    assert {**first, "all": None} == {**sizes, "all": None}
    assert second == {**first, "heads": 12}
    assert pc.count_params() == {**sizes, "heads": 24}


def test_earlier_tasks_are_held_from_the_second_one_on(learned):
    _, _, seen, _ = learned
    first, second = seen["histories"]
    assert "ewc_penalty" not in first
    assert second["ewc_penalty"][-1] > 0


def test_the_report_has_a_row_after_each_compress(learned):
    pc, data, _, _ = learned
    report = pc.report()
    assert report.tasks == ("a", "b")
    assert np.isnan(report.accuracies[0, 1])
    assert list(report.accuracies[1]) == list(pc.evaluate(data).values())
    assert pc.evaluate(data, metric="loss").keys() == data.keys()
    pc.evaluate(data)
    assert len(pc) == 2
    assert "a" in pc
    assert len(pc.report().accuracies) == 2


def test_compressed_tasks_share_the_knowledge_base_and_do_not_train(learned):
    pc, _, _, _ = learned
    first, second = pc["a"], pc["b"]
    shared = {id(v) for v in first.weights} & {id(v) for v in second.weights}
    assert len(shared) == 4
    assert first.trainable_weights == []
    with pytest.raises(ValueError, match="Task 'a' is finished"):
        fit(first)


def test_a_saved_network_goes_on(learned):
    pc, data, _, path = learned
    again = ProgressCompress.load(path)
    assert again.evaluate(data) == pc.evaluate(data)
    assert again.report().tasks == ("a", "b")
    for name in pc.tasks:
        np.testing.assert_array_equal(read(again[name](X)), read(pc[name](X)))
    active = add(again)
    assert active.name == "task3"
    fit(active)
    history = compress(again)
    # The loaded information holds the two tasks.
    assert history["ewc_penalty"][-1] > 0
    whole = keras.saving.load_model(path, compile=False)
    assert sorted(whole(X)) == ["a", "b"]
    np.testing.assert_array_equal(read(whole(X)["a"]), read(pc["a"](X)))
    assert not find_unnamed(path, ProgressCompress.load, remedy="older one")
    with pytest.raises(ValueError, match="`ProgressCompress.save`"):
        pc["a"].save(path.with_name("other.keras"))
        ProgressCompress.load(path.with_name("other.keras"))
    with pytest.raises(ValueError, match='must end in ".keras"'):
        pc.save(path.with_name("file.h5"))


@may_be_untrained
def test_compressing_teaches_the_outputs_of_the_active_column():
    """Without targets; probabilities are no logits."""
    head = layers.Dense(2, activation="softmax")
    pc = make()
    active = add(pc, head=head, loss="sparse_categorical_crossentropy")
    head.kernel.assign(5 * read(head.kernel))
    wanted = read(active(X))
    rate = keras.optimizers.Adam(0.05)
    history = compress(pc, epochs=40, optimizer=rate)
    found = read(pc["task1"](X))
    divergence = (wanted * np.log(wanted / found)).sum(-1).mean()

    assert divergence < 0.2 * history["loss"][0]


def test_several_outputs_of_several_kinds():
    def head(x):
        return {
            "label": layers.Dense(3, name="label")(x),
            "value": layers.Dense(1, name="value")(x),
        }

    pc = make()
    for _ in range(2):
        active = add(
            pc,
            head=head,
            loss={"label": LOGITS, "value": "mse"},
            metrics={"label": ["accuracy"]},
        )
        y = {"label": Y, "value": X[:, :1]}
        fit(active, y)
        history = compress(pc)
    assert history["ewc_penalty"][-1] > 0
    data = {"task1": (X, y), "task2": (X, y)}
    assert len(pc.evaluate(data)) == 2


def test_a_function_as_metric_is_kept(tmp_path):
    pc = make()
    fit(add(pc, metrics=[share_right]))
    compress(pc)
    data = {"task1": (X, Y)}
    found = pc.evaluate(data, metric="share_right")
    pc.save(tmp_path / "pc.keras")
    known = {"share_right": share_right}
    again = ProgressCompress.load(tmp_path / "pc.keras", custom_objects=known)
    assert again.evaluate(data, metric="share_right") == found
    with pytest.warns(NoEffectWarning, match="Pass the functions to `load`"):
        again = ProgressCompress.load(tmp_path / "pc.keras")
    with pytest.raises(ValueError, match="must be compiled"):
        again.evaluate(data)


def test_layers_that_are_frozen_stay_so(tmp_path):
    def half_frozen(inputs):
        hidden = layers.Dense(6, trainable=False)(inputs)
        return [hidden, layers.Dense(5)(hidden)]

    def kernels(pc):
        return [read(v).copy() for v in pc._base.column.weights[::2]]

    given = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(6, "relu", trainable=False),
            layers.Dense(5, "relu"),
            layers.Dense(2),
        ]
    )
    pc = ProgressCompress(half_frozen, keras.Input((4,)), fisher_samples=4)
    for net in (pc, ProgressCompress(given, fisher_samples=4)):
        for _ in range(2):
            before = kernels(net)
            fit(add(net))
            compress(net)
            after = kernels(net)
            np.testing.assert_array_equal(before[0], after[0])
            assert (before[1] != after[1]).any()
            assert net["task1"].trainable_weights == []
            net.save(tmp_path / "pc.keras")
            net = ProgressCompress.load(tmp_path / "pc.keras")


def test_a_compressed_active_column_does_not_train():
    pc = make()
    active = add(pc)
    with pytest.warns(NotIntendedUseWarning, match="made no step"):
        compress(pc)
    with pytest.raises(ValueError, match="`compress` has distilled it"):
        fit(active)


def test_a_head_that_does_not_fit_the_loss_is_refused():
    with pytest.raises(ValueError, match="must have from_logits=True"):
        add(make(), loss="sparse_categorical_crossentropy")


def test_outputs_that_are_not_finite_leave_the_knowledge_base():
    pc = make()
    active = add(pc)
    fit(active)
    before = values(pc._base.column)
    bias = active.trainable_weights[-1]
    bias.assign(np.full(bias.shape, np.nan))
    with pytest.raises(ValueError, match="must have finite outputs"):
        compress(pc)
    assert_same(before, values(pc._base.column))


@may_be_untrained
def test_the_statistics_of_the_first_task_stay():
    def normalized(inputs):
        x = layers.BatchNormalization(momentum=0.5)(inputs)
        return [layers.Dense(4, activation="relu")(x)]

    pc = ProgressCompress(normalized, keras.Input((4,)), fisher_samples=4)
    means = []
    for shift in (3.0, 9.0):
        add(pc)
        compress(pc, X + np.float32(shift))
        norm = pc["task1"].get_layer("knowledge_base").layers[1]
        means.append(read(norm.moving_mean))
    assert means[0].mean() > 1
    np.testing.assert_array_equal(*means)


@may_be_untrained
@pytest.mark.parametrize("reset", [True, False])
def test_the_active_column_begins_anew_or_goes_on(reset, tmp_path):
    def first_kernel(active):
        found = [v for v in active.trainable_weights if v.shape == (4, 6)]
        return read(found[0]).copy()

    pc = make(reset=reset)
    own = first_kernel(add(pc))
    compress(pc)
    pc.save(tmp_path / "pc.keras")
    for net in (pc, ProgressCompress.load(tmp_path / "pc.keras", column)):
        assert (first_kernel(add(net)) == own).all() == (not reset)


def test_a_finished_model_gives_structure_and_weights():
    inputs = keras.Input((4,))
    hidden = column(inputs)
    model = keras.Model(inputs, layers.Dense(2)(hidden[-1]))
    pc = ProgressCompress(model, fisher_samples=4)
    active = add(pc)
    knowledge = active.get_layer("knowledge_base_frozen")
    assert_same(values(knowledge), values(model)[:-2])
    before = values(model)
    fit(active)
    compress(pc)
    assert_same(before, values(model))


@may_be_untrained
def test_bad_input_is_refused():
    pc = make()
    with pytest.raises(ValueError, match="must be a task to compress"):
        pc.compress(X)
    with pytest.raises(ValueError, match="All tasks must be compressed"):
        pc.save("pc.keras")
    with pytest.raises(TypeError, match="Argument `head` must be"):
        pc.add_task(3)
    with pytest.raises(ValueError, match="without a slash"):
        pc.add_task(layers.Dense(2), name="a/b")
    with pytest.raises(ValueError, match="must be one of"):
        pc["a"]
    active = pc.add_task(layers.Dense(2), name="a")
    assert pc["a"] is active
    with pytest.raises(ValueError, match="'a' must be compressed before"):
        pc.add_task(layers.Dense(2))
    with pytest.raises(ValueError, match="must be compiled"):
        pc.compress(X)
    active.compile("sgd", LOGITS)
    with pytest.raises(TypeError, match="Argument `x` must be an array"):
        pc.compress(iter([X]))
    with pytest.raises(ValueError, match="Argument `epochs` must"):
        pc.compress(X, epochs=0)
    compress(pc)
    with pytest.raises(ValueError, match="`evaluate` after each"):
        pc.report()
    with pytest.raises(ValueError, match="Argument `data` must hold"):
        pc.evaluate({})
    with pytest.raises(ValueError, match="Argument `metric` must be one of"):
        pc.evaluate({"a": (X, Y)})
    with pytest.raises(ValueError, match="must differ"):
        pc.add_task(layers.Dense(2), name="a")
    dense = layers.Dense(2)
    with pytest.raises(ValueError, match="weights of their own"):
        pc.add_task(lambda x: dense(x))
    for wrong in (
        {"strength": -1.0},
        {"gamma": 2.0},
        {"temperature": 0.0},
        {"fisher_samples": 0},
        {"adapter": "conv"},
        {"reset": 1},
    ):
        (name,) = wrong
        with pytest.raises((TypeError, ValueError), match=f"`{name}` must"):
            make(**wrong)
    with pytest.raises(TypeError, match="Argument `inputs` must be"):
        ProgressCompress(column, (4,))
    with pytest.raises(TypeError, match="Argument `column` must be"):
        ProgressCompress(3, keras.Input((4,)))
    with pytest.raises(ValueError, match="`hidden` must be None"):
        ProgressCompress(column, keras.Input((4,)), hidden="dense")
    with pytest.raises(ValueError, match="`inputs` must be None"):
        ProgressCompress(active, keras.Input((4,)))
