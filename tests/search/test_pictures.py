import sys
from pathlib import Path

import numpy as np
import pytest

import keras_netopt as netopt
from keras_netopt.plots import (
    importance_bars,
    parallel_coordinates,
    search_history,
    slices,
    trial_timeline,
)
from keras_netopt.search.reports.hyperparameter_record import (
    HyperparameterRecord,
)
from keras_netopt.search.reports.main_effects import main_effects
from keras_netopt.search.reports.project import Project, TrialRecord

pytestmark = pytest.mark.no_backend

pytest.importorskip("matplotlib", reason="pictures need keras-netopt[plots]")
PROJECTS = Path(__file__).parent / "projects"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def stopped():
    return netopt.search.plots(PROJECTS / "stopped")


def points(line):
    return [tuple(point) for point in line.get_xydata().tolist()]


def test_the_history_has_the_best_of_the_full_trials(stopped):
    project = netopt.search.read_project(PROJECTS / "stopped")
    full, hollow, best = stopped.figures["history"].axes[0].lines
    scores = [trial.score for trial in project.trials]

    wanted = [(0.0, scores[0]), (3.0, scores[3]), (6.0, scores[6])]
    assert points(full) == points(best) == wanted
    assert len(points(hollow)) == 6
    assert hollow.get_markerfacecolor() == "none"
    assert min(scores[5], scores[2]) < scores[3]


def test_the_best_of_a_score_to_maximize_rises():
    trials = tuple(
        TrialRecord(str(i), "COMPLETED", score)
        for i, score in enumerate([0.5, 0.7, 0.2])
    )
    project = Project(Path("p"), trials, direction="max")
    best = search_history(project).axes[0].lines[-1]
    assert points(best) == [(0, 0.5), (1, 0.7), (2, 0.7)]


def test_trials_without_a_score_are_marked(tmp_path):
    import json
    import shutil

    target = tmp_path / "random"
    shutil.copytree(PROJECTS / "random", target)
    path = target / "trial_3" / "trial.json"
    state = json.loads(path.read_text())
    path.write_text(json.dumps({**state, "status": "FAILED", "score": None}))
    axes = netopt.search.plots(target).figures["history"].axes[0]

    names = axes.get_legend_handles_labels()[1]
    assert "1 without a score" in names
    [marks] = axes.collections
    assert [part[:, 0].tolist() for part in marks.get_segments()] == [[3, 3]]


def test_coordinates_have_one_line_a_full_trial(stopped):
    project = netopt.search.read_project(PROJECTS / "stopped")
    axes = stopped.figures["coordinates"].axes[0]
    [drawn] = axes.collections
    lines = [line[:, 1].tolist() for line in drawn.get_segments()]
    labels = [label.get_text() for label in axes.get_xticklabels()]

    assert labels == [*("rate", "units", "optimizer", "momentum"), labels[-1]]
    assert len(lines) == len(project.complete_trials()) == 3
    best = lines[-1]
    assert {len(line) for line in lines} == {5} and best[-1] == 1.0
    assert list(drawn.get_linewidths()) == [1.2, 1.2, 2.2]
    assert len({tuple(color) for color in drawn.get_colors()}) == 3
    assert best[2] == 0.25  # sgd, the first of two choices
    inactive = [line[3] for line in lines]
    assert sum(height < 0 for height in inactive) == 1


def searched(count):
    """Trials whose score follows one of two hyperparameters."""
    space = (
        HyperparameterRecord("rate", 1e-4, 1e-1, sampling="log"),
        HyperparameterRecord("layers", 1, 3, is_whole=True),
    )
    rng = np.random.default_rng(0)
    values = [
        {"rate": 10 ** rng.uniform(-4, -1), "layers": int(rng.integers(1, 4))}
        for _ in range(count)
    ]
    trials = tuple(
        TrialRecord(f"{i:03}", "COMPLETED", np.log10(one["rate"]), values=one)
        for i, one in enumerate(values)
    )
    return Project(Path("p"), trials, space)


def test_importance_shows_an_interval():
    effects = main_effects(searched(40))
    axes = importance_bars(effects).axes[0]
    widths = [bar.get_width() for bar in axes.patches]
    labels = [label.get_text() for label in axes.get_yticklabels()]

    assert labels == ["rate (n=40)", "layers (n=40)"]
    assert widths == [one.share for one in effects]
    assert [tuple(line.get_xdata()) for line in axes.lines] == [
        (one.low, one.high) for one in effects
    ]


@pytest.mark.parametrize("count", [4, 40, 400])
def test_ticks_are_few_and_whole_where_numbers_are(count):
    rate, layers = slices(searched(count)).axes[:2]
    rate.figure.draw_without_rendering()

    low, high = rate.get_xlim()
    shown = [
        label.get_text()
        for label in rate.get_xticklabels()
        if low <= label.get_position()[0] <= high
    ]
    assert shown == ["0.0001", "0.001", "0.01", "0.1"]
    assert not any(one.get_text() for one in rate.get_xticklabels(minor=True))
    assert {tick % 1 for tick in layers.get_xticks()} == {0.0}


def test_long_values_and_single_numbers_have_labels_that_can_be_read():
    long = tuple(letter * 60 for letter in "abc")
    space = (
        HyperparameterRecord("long", choices=long),
        HyperparameterRecord("short", choices=("relu", "selu", "tanh")),
        HyperparameterRecord("one", 3, 3, "log", is_whole=True),
    )
    trials = tuple(
        TrialRecord(
            str(i),
            "COMPLETED",
            float(i),
            values={"long": long[i], "short": "relu", "one": 3},
        )
        for i in range(3)
    )
    project = Project(Path("p"), trials, space)
    figure = slices(project)
    figure.draw_without_rendering()
    for axes in figure.axes[:2]:
        boxes = [one.get_window_extent() for one in axes.get_xticklabels()]
        for left, right in zip(boxes, boxes[1:], strict=False):
            assert left.x1 < right.x0
    assert figure.axes[1].get_xticklabels()[0].get_rotation() == 0
    assert figure.axes[2].get_xticks().tolist() == [3]

    axes = parallel_coordinates(project).axes[0]
    texts = [one.get_text() for one in axes.texts]
    assert texts.count("3") == 1
    assert max(map(len, texts)) == 16


def test_a_search_without_a_score_has_no_best_and_no_ticks():
    failed = TrialRecord("0", "FAILED", None)
    axes = search_history(Project(Path("p"), (failed,))).axes[0]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["1 without a score"]
    assert axes.get_yticks().tolist() == []


def test_a_picture_and_a_table_give_a_trial_one_number():
    project = searched(12)
    figure = search_history(project)
    best = project.ranked()[0]
    [full, _] = figure.axes[0].lines
    at = {score: x for x, score in points(full)}

    assert at[best.score] == int(best.trial_id)


def test_slices_have_a_panel_a_hyperparameter(stopped):
    panels = [a for a in stopped.figures["slice"].axes if a.get_visible()]

    assert [a.get_xlabel() for a in panels] == [
        *("rate", "units", "optimizer", "momentum")
    ]
    assert [a.get_xscale() for a in panels] == ["log", *["linear"] * 3]
    assert sum(len(line.get_xdata()) for line in panels[0].lines) == 9
    ticks = [label.get_text() for label in panels[2].get_xticklabels()]
    assert ticks == ["sgd", "adam"]


def test_the_front_is_drawn_over_its_cost(stopped):
    axes = stopped.figures["pareto"].axes[0]
    front = axes.lines[-1]
    project = netopt.search.read_project(PROJECTS / "stopped")

    assert (axes.get_xlabel(), axes.get_ylabel()) == ("macs", "val_loss")
    wanted = [(t.value("macs"), t.score) for t in project.trials]
    assert points(front) == [wanted[3], wanted[6]]


def test_three_metrics_have_two_panels():
    figure = netopt.search.plots(
        PROJECTS / "stopped", metrics=("val_accuracy", "macs", "val_loss")
    ).figures["pareto"]
    assert [axes.get_xlabel() for axes in figure.axes] == ["macs", "val_loss"]


def test_the_timeline_shows_how_long_each_trial_lasted(stopped):
    bars, curve = stopped.figures["timeline"].axes
    lasted = [4, 1, 2] * 3

    [drawn] = bars.collections
    corners = [path.vertices for path in drawn.get_paths()]
    assert [bar[:, 0].max() for bar in corners] == lasted
    assert [round(bar[:, 1].mean()) for bar in corners] == list(range(9))
    colors = [tuple(color) for color in drawn.get_facecolors()]
    assert len(set(colors[::3])) == 1 and colors[1] not in colors[::3]
    names = ["complete", "stopped or lower rung"]
    assert bars.get_legend_handles_labels()[1] == names
    low, high = bars.get_xlim()
    assert low == 0 and high > 4
    assert points(curve.lines[0]) == [(1, 9), (2, 6), (3, 3), (4, 3)]


def test_a_long_search_has_pictures_of_a_limited_size():
    trials = tuple(
        TrialRecord(
            str(i),
            "COMPLETED",
            1.0 / (i + 1),
            metrics={"v": ("min", {0: 1.0, 1: 1.0 / (i + 1)})},
        )
        for i in range(500)
    )
    figure = trial_timeline(Project(Path("p"), trials))
    assert figure.get_figheight() == 24.0
    assert len(figure.axes[0].collections[0].get_paths()) == 500


def test_pictures_and_tables_are_written(tmp_path):
    pictures = netopt.search.plots(PROJECTS / "grid", folder=tmp_path / "a")
    files = {path.name for path in (tmp_path / "a").iterdir()}

    assert files == {f"{n}.png" for n in pictures.figures} | {"tables.txt"}
    assert (tmp_path / "a" / "history.png").read_bytes().startswith(PNG)
    text = (tmp_path / "a" / "tables.txt").read_text(encoding="utf-8")
    assert text == f"{pictures}\n"
    assert "timeline" not in pictures.figures  # No trial reports its epochs.


def test_notebooks_show_every_picture(stopped, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    html = stopped._repr_html_()
    assert html.count("<img src=") == len(stopped.figures) == 5


def test_without_matplotlib_notebooks_show_the_tables(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    pictures = netopt.search.plots(PROJECTS / "grid")
    assert pictures.figures == {}
    assert pictures._repr_html_() == f"<pre>{pictures}</pre>"
