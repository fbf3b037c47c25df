import keras
from advice import models
from advice.models import about, files

import keras_netopt as netopt
from keras_netopt.advice import any_target, browser, gpu, layer_rules, x86
from keras_netopt.advice.finding import DOCUMENTED, MEASURED, UNKNOWN


def only(findings):
    (finding,) = findings
    return finding


def test_channels_that_stay_are_explained():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])

    finding = only(any_target.remove_channels(about(model)))

    assert finding.evidence == UNKNOWN
    assert "output" in finding.why
    assert finding.kind == "not looked at"


def test_fewer_channels_are_called_faster_only_where_they_were():
    """The bug: a gain is promised that the measurement denies."""
    for half, words in ((0.5, "fewer operations"), (0.98, "hardly faster")):
        subject = about(models.mlp(), measured=files(float32=1.0, half=half))
        finding = only(any_target.remove_channels(subject))
        assert words in finding.what
        assert finding.evidence == MEASURED

    finding = only(any_target.remove_channels(about(models.mlp())))
    assert finding.evidence == DOCUMENTED


def test_int8_is_called_faster_only_where_it_was():
    for time, words in (
        (0.4, "2.5 x faster here"),
        (1.0, "not faster here"),
        (1.2, "1.2 x slower here"),
    ):
        subject = about(
            models.mlp(), measured=files(float32=1.0, dynamic=(time, 100_000))
        )
        assert words in only(any_target.quantize_weights(subject)).what


def test_unmeasured_int8_is_documented():
    for target in ("x86", "arm"):
        finding = only(any_target.quantize_weights(about(models.mlp(), target)))
        assert finding.evidence == DOCUMENTED


def test_heavy_layers_are_named_with_a_selector_that_works():
    model = models.deep_mlp()

    finding = only(layer_rules.cut_heavy_layers(about(model)))

    callback = finding.code.partition("callbacks=[")[2].removesuffix("])")
    pruning = eval(callback, {"netopt": netopt})
    include = pruning.get_config()["include"]
    report = netopt.surgery.prune_channels(
        model, 0.5, include=include, dry_run=True
    )
    assert [row.layer for row in report.widths] == ["d2", "d3"]


def test_odd_widths_cost_what_is_counted():
    """12 of 16 channels: 16/12 of the MACs in, and out again."""
    finding = only(gpu.fill_tiles(about(models.mlp((12, 12)), "gpu")))

    # 8x12, 12x12 and 12x3 units; the last side of 3 is the classes.
    plain = 8 * 12 + 12 * 12 + 12 * 3
    padded = 8 * 16 + 16 * 16 + 16 * 3
    assert f"{padded / plain - 1:.0%} more MACs" in finding.why


def test_a_file_below_the_runtime_is_small_enough():
    subject = about(models.mlp(), measured=files(float32=(1.0, 60_000)))

    assert "30,000 bytes" in only(browser.compare_runtime(subject)).why


def test_the_batch_of_a_recurrent_file_can_be_typed():
    finding = only(layer_rules.fix_recurrent_batch(about(models.recurrent())))

    assert "keras.InputSpec(shape=(8, 5, 2))" in finding.code


def test_int8_activations_are_not_documented_for_attention():
    """Measured on a BERT backbone: 4 times slower than float32."""
    x = inputs = keras.Input((4, 8))
    x = keras.layers.MultiHeadAttention(2, 4)(x, x)
    model = keras.Model(inputs, keras.layers.Dense(2)(x))

    assert list(x86.quantize_activations(about(model))) == []
    assert list(x86.quantize_activations(about(models.recurrent()))) == []
    assert "int8" in x86.forms(about(model))
    assert "int8" not in x86.forms(about(models.recurrent()))
