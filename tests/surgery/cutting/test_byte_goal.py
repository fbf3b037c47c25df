"""A goal in bytes of the file, with meters that write none."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt import surgery
from keras_netopt.callbacks import ChannelPruning
from keras_netopt.export import FileMeter, unverified_file
from keras_netopt.export.litert_writer import LitertWriter
from keras_netopt.surgery.cutting.byte_goal import find_byte_widths
from keras_netopt.surgery.cutting.width_search import ChannelBlock, rank_units
from keras_netopt.surgery.edits.edit_report import ModelSize


def build():
    keras.utils.set_random_seed(0)
    widths = (64, 48)
    hidden = [layers.Dense(n, activation="relu") for n in widths]
    return keras.Sequential([keras.Input((32,)), *hidden, layers.Dense(4)])


class Meter:
    """A file of some bits per parameter, with an overhead; counts calls."""

    def __init__(self, bits=8, overhead=3000, per_channel=24):
        self.bits, self.overhead = bits, overhead
        self.per_channel = per_channel
        self.sizes = []

    def __call__(self, model):
        channels = sum(layer.units for layer in model.layers)
        size = ModelSize.of(model).params * self.bits // 8
        self.sizes.append(size + self.overhead + self.per_channel * channels)
        return self.sizes[-1]


@pytest.mark.parametrize("allocation", ["uniform", "global"])
@pytest.mark.parametrize("bits", [2, 8, 32])
@pytest.mark.parametrize("sparsity", [0.2, 0.4])
def test_the_file_is_just_below_the_goal(allocation, bits, sparsity):
    meter, model = Meter(bits, overhead=600), build()
    before = meter(model)
    report = surgery.prune_channels(
        model,
        sparsity,
        resource="bytes",
        meter=meter,
        allocation=allocation,
        min_channels=1,
    )
    assert len(meter.sizes) - 1 <= 6
    goal = (1 - sparsity) * before
    assert 0.97 * goal <= meter(model) <= goal
    (note,) = [note for note in report.notes if note.startswith("file: ")]
    assert f"file: {meter(model):,} bytes, {goal:,.0f} were asked" in note
    assert any(f"bytes: asked {sparsity:.1%}" in one for one in report.notes)


def test_a_goal_below_what_every_file_holds_cuts_all_and_tells():
    meter, model = Meter(overhead=10_000), build()
    report = surgery.prune_channels(
        model, 0.9, resource="bytes", meter=meter, min_channels=2
    )
    assert [row.after for row in report.widths] == [2, 2]
    assert any("bytes, 1," in note for note in report.notes), report.notes


def test_a_jump_of_the_size_is_bracketed():
    """A kernel below some size is not quantized: its bytes jump."""
    blocks = [ChannelBlock("b", np.arange(1000))]
    ranking = rank_units(blocks, np.arange(1000.0), "uniform")

    def measure(widths):
        return widths[0] * (1 if widths[0] > 600 else 1.6)

    found = find_byte_widths(ranking, sum, measure, lambda size: 0.9 * size)
    assert 800 <= measure(found.widths) <= 900
    found = find_byte_widths(ranking, sum, measure, lambda size: 0.5 * size)
    assert 400 <= measure(found.widths) <= 500


def test_a_goal_that_is_met_needs_one_file_and_no_cut():
    ranking = rank_units(
        [ChannelBlock("b", np.arange(8))], np.arange(8.0), "uniform"
    )
    sizes = []

    def measure(widths):
        sizes.append(widths)
        return 100.0

    found = find_byte_widths(ranking, sum, measure, lambda size: 200.0)
    assert (found.widths, found.share, sizes) == ((8,), 0.0, [(8,)])


@pytest.mark.parametrize("iterative_steps", [1, 3])
def test_the_callback_meets_the_goal_at_its_last_cut(iterative_steps):
    meter, model = Meter(), build()
    before = meter(model)
    model.compile("sgd", "mse")
    callback = ChannelPruning(
        0.4,
        resource="bytes",
        meter=lambda model: meter(model),
        min_channels=1,
        iterative_steps=iterative_steps,
        allocation="global",
    )
    x = np.random.default_rng(0).random((16, 32), "float32")
    history = model.fit(
        x,
        np.zeros((16, 4)),
        batch_size=8,
        epochs=iterative_steps + 2,
        callbacks=[callback],
        verbose=0,
    ).history
    # The first cut and the last are measured, those between computed.
    assert len(meter.sizes) - 1 <= (6 if iterative_steps == 1 else 12)
    goal = 0.6 * before
    assert 0.97 * goal <= meter(model) <= goal
    kept = sorted(set(history["channels_kept"]))
    assert len(kept) == iterative_steps + 1
    assert any(n.startswith("file: ") for n in callback.report().notes)


def test_the_state_keeps_the_bytes_for_a_resumed_fit():
    callback = ChannelPruning(0.4, resource="bytes", meter=Meter())
    old = {"widths": {"a": 4}, "params": 10, "macs": 5.0}
    state = {"share": 0.3, "kept": 0.9, "made": 1, "complete": False}
    for extra, expected in (({}, 0), ({"bytes": 70.0}, 70.0)):
        callback.set_state({**state, "base": {**old, **extra}})
        assert callback.get_state()["base"]["bytes"] == expected


def test_the_meter_measures_the_file_in_its_form(monkeypatch):
    """Without a conversion."""
    written = []

    def write(writer, plain, final, *options):
        written.append(writer)
        with open(final, "wb") as file:
            file.write(b"x" * 500)

    monkeypatch.setattr(LitertWriter, "write", write)
    monkeypatch.setattr(unverified_file, "compact_content", lambda c: c[:300])
    model = build()
    assert FileMeter()(model) == 500
    assert FileMeter("int8", compact=True)(model) == 300
    assert [one.quantize for one in written] == [None, "int8"]
    assert FileMeter(sparse=True)(model) == 500
    assert written[-1].sparse
    assert FileMeter().sparsity_for(model, 125) == 0.75
    assert FileMeter().sparsity_for(model, 600) == 0.0
    for bad, error in ((0, ValueError), (1.5, TypeError)):
        with pytest.raises(error, match="max_bytes"):
            FileMeter().sparsity_for(model, bad)


def test_the_meter_is_saved_with_the_callback():
    meter = FileMeter("dynamic", compact=True)
    callback = ChannelPruning(0.4, resource="bytes", meter=meter)
    again = ChannelPruning.from_config(callback.get_config())
    assert repr(again.meter) == repr(meter)
    for arguments in (
        {"quantize": "int3"},
        {"quantize": "int8", "sparse": True},
    ):
        with pytest.raises(ValueError, match="Argument"):
            FileMeter(**arguments)
    with pytest.raises(TypeError, match="compact"):
        FileMeter(compact=1)


if keras.backend.backend() == "tensorflow":

    def test_the_default_meter_writes_files(tmp_path):
        from keras_netopt.export import to_litert

        model = build()
        before = FileMeter()(model)
        assert (
            abs(to_litert(model, tmp_path / "a.tflite").size.raw - before) < 64
        )
        surgery.prune_channels(model, 0.3, resource="bytes", min_channels=1)
        size = to_litert(model, tmp_path / "b.tflite").size.raw
        assert 0.95 * 0.7 * before <= size <= 0.7 * before + 64
