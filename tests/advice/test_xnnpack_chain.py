"""The chain is that of tfmot's `PruneForLatencyOnXNNPack`."""

import keras
import pytest
from advice import models
from advice.models import about
from keras import layers

from keras_netopt.advice import arm
from keras_netopt.advice.xnnpack_chain import check_chain


def test_a_conforming_network_is_a_chain():
    chain = check_chain(models.sparse_chain())

    assert chain.is_whole
    assert [one.name for one in chain.kernels] == ["one", "two"]


@pytest.mark.parametrize(
    ("change", "layer", "reason"),
    [
        ({"channels": 1}, "first", "1 input channels"),
        ({"padding": "same"}, "first", 'padding "same"'),
        ({"strides": 2}, "one", "strides or groups"),
        ({"keepdims": False}, "pool", "keepdims=True"),
        ({"activation": "gelu"}, "act", 'activation "gelu"'),
        ({"depthwise": "same"}, "dw", "ZeroPadding2D(1)"),
    ],
)
def test_the_first_layer_that_breaks_the_chain_is_named(change, layer, reason):
    chain = check_chain(models.sparse_chain(**change))

    assert not chain.is_whole
    assert chain.layer == layer
    assert reason in chain.reason


def test_a_way_to_the_output_without_pooling_breaks_the_chain():
    model = models.sparse_chain()
    side = layers.Flatten()(model.get_layer("add").output)
    two = keras.Model(model.inputs, [*model.outputs, side])

    assert "every way" in check_chain(two).reason


def test_the_rules_of_tfmot_give_the_same_answers():
    """Ours is a second implementation: the bug is a rule read wrongly."""
    tf_keras = pytest.importorskip("tf_keras")
    policy = pytest.importorskip(
        "tensorflow_model_optimization"
    ).sparsity.keras.PruneForLatencyOnXNNPack()
    kinds = tf_keras.layers

    def build(package, first, last, middle):
        x = inputs = package.Input((17, 17, 3))
        x = package.layers.ZeroPadding2D(1)(x)
        x = package.layers.Conv2D(4, 3, strides=2, **first)(x)
        for name, options in middle:
            x = getattr(package.layers, name)(**options)(x)
        x = package.layers.GlobalAveragePooling2D(keepdims=True)(x)
        for name, options in last:
            x = getattr(package.layers, name)(**options)(x)
        return package.Model(inputs, x)

    middles = [
        [("Conv2D", {"filters": 4, "kernel_size": 1})],
        [("Conv2D", {"filters": 4, "kernel_size": 3})],
        [("Conv2D", {"filters": 4, "kernel_size": 1, "dilation_rate": 2})],
        [("DepthwiseConv2D", {"kernel_size": 3, "padding": "same"})],
        [("DepthwiseConv2D", {"kernel_size": 7, "padding": "same"})],
        [("DepthwiseConv2D", {"kernel_size": 5})],
        [
            ("ZeroPadding2D", {"padding": 2}),
            ("DepthwiseConv2D", {"kernel_size": 5, "strides": 2}),
        ],
        [("DepthwiseConv2D", {"kernel_size": 3, "depth_multiplier": 2})],
        [("BatchNormalization", {}), ("ReLU", {"max_value": 6.0})],
        [("BatchNormalization", {"axis": 1})],
        [("Activation", {"activation": "sigmoid"})],
        [("Activation", {"activation": "tanh"})],
        [("UpSampling2D", {"interpolation": "bilinear"})],
        [("UpSampling2D", {})],
        [("MaxPooling2D", {})],
        [("LeakyReLU", {}), ("ELU", {}), ("Dropout", {"rate": 0.5})],
    ]
    cases = [({"padding": "valid"}, middle) for middle in middles]
    cases.append(({"padding": "same"}, middles[0]))
    last = [("Flatten", {}), ("Dense", {"units": 2})]
    wrong = []
    for first, middle in cases:
        try:
            policy.ensure_model_supports_pruning(
                build(tf_keras, first, last, middle)
            )
            theirs = True
        except ValueError:
            theirs = False
        chain = check_chain(build(keras, first, last, middle))
        if chain.is_whole != theirs:
            wrong.append((first, middle, theirs, chain))
    assert wrong == []
    assert kinds


def test_zeros_decide_between_pruning_and_export():
    """At 70 % the file is exported; at 60 % more zeros are needed."""
    enough, few = (
        next(arm.infer_sparsely(about(models.sparse_chain(zeros), "arm")))
        for zeros in (0.7, 0.6)
    )

    assert "sparse=True" in enough.code
    assert "Pruning(" not in enough.code
    assert "59%" in few.why
    assert "Pruning(0.75" in few.code
    for finding in (enough, few):
        assert finding.evidence == "documented"
        assert "not measured" in finding.effect


def test_a_broken_chain_promises_no_speed():
    subject = about(models.sparse_chain(strides=2), "arm")

    (finding,) = arm.explain_broken_chain(subject)

    assert "one is a 1x1 convolution with strides" in finding.why
    assert "not for speed" in finding.what


def test_a_model_without_a_graph_is_not_judged():
    (finding,) = arm.explain_broken_chain(about(models.subclassed(), "arm"))

    assert "no graph" in finding.why
