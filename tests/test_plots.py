import re
import sys
import types

import numpy as np
import pytest

from keras_netopt import plots
from keras_netopt.plots import ModelPoint, style
from keras_netopt.schedules import Constant, Cyclic, Polynomial, Steps

pytest.importorskip("matplotlib", reason="plots require keras-netopt[plots]")
PNG = b"\x89PNG\r\n\x1a\n"


def row(key, weights, zeros):
    return types.SimpleNamespace(
        key=key, weights=weights, zeros=zeros, sparsity=zeros / weights
    )


@pytest.fixture
def report():
    rows = [row("conv/kernel", 100, 20), row("block/" * 9 + "kernel", 900, 780)]
    return types.SimpleNamespace(pruned=rows, sparsity=0.8)


@pytest.fixture
def models():
    sizes = {"float": 427_000, "int8 gzip": 93_000}
    return [
        ModelPoint("dense", 0.887, 0.01, sizes),
        ModelPoint("90 %", 0.879, 0.01, {"float": 60_000}, {"dense": 0.9}),
    ]


def lines_of(axes):
    return [line.get_xydata() for line in axes.lines]


def test_curve_holds_the_values_of_the_schedule():
    schedule = Polynomial(final=0.9)
    axes = schedule.plot(total=1000, steps_per_epoch=100).axes[0]
    curve, ends, *epochs = lines_of(axes)
    assert curve[:, 1].tolist() == schedule.values(1000, 100).tolist()
    assert ends.tolist() == [[100, 0.0], [750, 0.9]]
    assert [line[0, 0] for line in epochs] == list(range(100, 1000, 100))


@pytest.mark.parametrize(
    ("schedule", "style"),
    [
        (Polynomial(final=0.9), "default"),
        (Constant(0.8, begin=0.2), "steps-post"),
        (Steps({0.0: 0.5, 0.4: 0.8}), "steps-post"),
        (Cyclic(final=0.9), "steps-post"),
    ],
)
def test_levels_are_drawn_as_steps(schedule, style):
    curve = schedule.plot().axes[0].lines[0]
    assert curve.get_drawstyle() == style


def test_flat_schedule_is_a_line():
    axes = Constant(0.8).plot().axes[0]
    assert len(axes.lines) == 1


def test_bars_show_shares_and_weights(report):
    shares, counts = plots.sparsity_bars(report).axes
    assert [bar.get_width() for bar in shares.patches] == [0.2, 780 / 900]
    assert [bar.get_width() for bar in counts.patches] == [80, 120, 20, 780]
    assert [bar.get_x() for bar in counts.patches] == [0, 0, 80, 120]
    assert [text.get_text() for text in shares.texts] == ["20.0%", "86.7%"]
    labels = [label.get_text() for label in shares.get_yticklabels()]
    assert labels[0] == "conv/kernel"
    assert labels[1].startswith("…")
    assert len(labels[1]) == plots.LABEL_LENGTH


def test_bars_without_pruned_weights_raise():
    report = types.SimpleNamespace(pruned=[], sparsity=0.0)
    message = (
        "Argument `report` must hold at least one pruned weight. "
        f"Received: report={report!r}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        plots.sparsity_bars(report)


def test_comparison_places_each_file_at_its_size(models):
    plane, bars = plots.model_comparison(models, title="Two models").axes
    points = [tuple(xy[0]) for xy in lines_of(plane) if len(xy) == 1]
    assert (427.0, 0.887) in points
    assert (93.0, 0.887) in points
    assert (60.0, 0.879) in points
    assert plane.get_xscale() == "log"
    assert [text.get_text() for text in plane.texts] == ["dense", "90 %"]
    assert [bar.get_width() for bar in bars.patches] == [0.9]
    assert plane.figure.get_suptitle() == "Two models"


def test_comparison_without_zeros_has_one_axis(models):
    assert len(plots.model_comparison(models[:1]).axes) == 1


def test_comparison_without_sizes_shows_the_zeros():
    model = ModelPoint("90 %", 0.879, zeros={"dense": 0.9})
    (bars,) = plots.model_comparison([model]).axes
    assert [bar.get_width() for bar in bars.patches] == [0.9]


def test_comparison_without_sizes_and_zeros_raises():
    message = (
        "Argument `models` must hold at least one model with sizes or zeros. "
        "Received: models=[]"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        plots.model_comparison([])


def test_every_plot_can_be_written(tmp_path, report, models):
    Polynomial(final=0.9).plot(path=tmp_path / "curve.png")
    plots.sparsity_bars(report, path=tmp_path / "bars.png")
    plots.model_comparison(models, path=tmp_path / "models.png")
    for path in tmp_path.iterdir():
        assert path.read_bytes().startswith(PNG)
    assert len(list(tmp_path.iterdir())) == 3


def test_notebooks_display_a_figure():
    assert Polynomial(final=0.9).plot()._repr_png_().startswith(PNG)


def test_pyplot_is_not_imported(monkeypatch, report, models):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    Polynomial(final=0.9).plot()._repr_png_()
    plots.sparsity_bars(report)
    plots.model_comparison(models)


def test_missing_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    message = (
        "Plots require matplotlib. Install it with: "
        'pip install "keras-netopt[plots]"'
    )
    with pytest.raises(ImportError, match=f"^{re.escape(message)}$"):
        Polynomial(final=0.9).plot()


def test_numbers_are_formatted_for_axes():
    assert style.percent(0.875, 0) == "87.5 %"
    assert style.kilobytes(1200.0, 0) == "1,200 kB"
    counts = [style.count(v, 0) for v in (0, 950, 400e3, np.float64(1.5e6))]
    assert counts == ["0", "950", "400k", "1.5M"]


def test_sample_counts_are_sorted_by_difficulty():
    counts = np.array([[0, 3, 0, 1], [1, 1, 1, 1]])
    figure = plots.sample_counts(counts, [0.9, 0.1, 0.8, 0.2], highlight=[0, 2])
    share, heat_map = figure.axes[:2]
    image = heat_map.images[0].get_array()

    assert image.shape == (4, 2)
    assert image[:, 0].tolist() == [3, 1, 0, 0]
    np.testing.assert_allclose(share.lines[0].get_ydata(), [0.0, 0.5])


def test_sample_counts_of_many_samples_are_grouped():
    counts = np.ones((3, 1001))
    counts[0, 500:] = 0
    (heat_map, _) = plots.sample_counts(counts).axes
    image = heat_map.images[0].get_array()
    assert image.shape == (200, 3)
    assert image[:, 0].sum() == pytest.approx(100, abs=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"counts": np.ones(4)}, "`counts` must have the shape"),
        ({"scores": [1.0]}, "`scores` must hold one number for each of the 4"),
        ({"highlight": [7]}, "`highlight` must hold sample ids"),
        ({"highlight": [True]}, "`highlight` must hold sample ids"),
    ],
)
def test_sample_counts_with_wrong_arguments_raise(arguments, message):
    with pytest.raises(ValueError, match=message):
        plots.sample_counts(**{"counts": np.ones((2, 4)), **arguments})
