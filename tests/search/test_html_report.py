"""The page of a search: what it shows, and that it needs nothing else."""

import html
import json
import re
import shutil
import sys
from pathlib import Path

import pytest

import keras_netopt as netopt

pytestmark = pytest.mark.no_backend

pytest.importorskip("plotly", reason="the page needs keras-netopt[report]")
PROJECTS = Path(__file__).parent / "projects"
HOSTILE = "</script><b>'rate"


def write(tmp_path, project, **options):
    path = netopt.search.report(project, tmp_path / "page.html", **options)
    return path.read_text(encoding="utf-8")


def own_part(page):
    """What is not plotly itself."""
    return page[page.index("<body>") :]


def data_of(page, name):
    """The traces and the layout that the page gives to plotly."""
    decoder = json.JSONDecoder()
    text = page[page.index(f'"{name}"', page.index(f'id="{name}"') + 9) :]
    traces, end = decoder.raw_decode(text, text.index("["))
    layout, _ = decoder.raw_decode(text, text.index("{", end))
    return traces, layout


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    return write(tmp_path_factory.mktemp("page"), PROJECTS / "stopped")


def test_every_section_is_there(stopped):
    assert re.findall("<h2>(.*?)</h2>", stopped) == [
        "History",
        "Parallel coordinates",
        "Importance",
        "Slices",
        "Pareto front",
        "Epochs",
        "Trials",
    ]
    assert "too few trials. 3 complete trials" in stopped
    assert own_part(stopped).count("<tr>") == 1 + 9


@pytest.mark.parametrize("name", ["random", "hyperband", "bayesian", "grid"])
def test_folders_of_kerastuner_have_a_page(tmp_path, name):
    page = write(tmp_path, PROJECTS / name)
    trials = netopt.search.read_project(PROJECTS / name).trials
    scored = sum(trial.is_scored for trial in trials)
    traces, _ = data_of(page, "history-0")

    assert sum(len(one["x"]) for one in traces[:2]) == scored > 0


def test_the_history_is_that_of_the_picture(stopped):
    project = netopt.search.read_project(PROJECTS / "stopped")
    (full, hollow, best), layout = data_of(stopped, "history-0")

    assert full["x"] == best["x"] == [0, 3, 6]
    assert full["y"] == [t.score for t in project.complete_trials()]
    assert best["y"] == [min(full["y"][: k + 1]) for k in range(3)]
    assert len(hollow["x"]) == 6
    assert layout["yaxis"]["title"]["text"] == "val_loss"
    assert full["hovertext"][0].startswith("trial 0<br>val_loss: ")


def test_epochs_have_whole_ticks(stopped):
    traces, layout = data_of(stopped, "epochs-0")

    assert max(max(one["x"], default=0) for one in traces) == 4
    assert (
        layout["xaxis"]["tickformat"] == "d" and layout["xaxis"]["dtick"] == 1
    )


def test_coordinates_have_an_axis_a_hyperparameter(stopped):
    ((plot,), _) = data_of(stopped, "parallel-coordinates-0")
    names = [axis["label"] for axis in plot["dimensions"]]
    momentum = plot["dimensions"][3]

    assert names == ["rate", "units", "optimizer", "momentum", "val_loss"]
    assert sum(value < 0 for value in momentum["values"]) == 1
    assert momentum["ticktext"][-1] == "inactive"
    assert plot["dimensions"][2]["ticktext"] == ["sgd", "adam"]


def test_the_page_needs_no_network_and_no_other_file(stopped):
    own = own_part(stopped)
    assert not re.search(r"""(src|href|action)\s*=|@import|url\(""", own)
    assert "plotly.js v" in stopped
    head = stopped[: stopped.index("<body>")]
    assert not re.search(r"<(link|script|img)[^>]*(src|href)=", head)


def test_the_same_project_gives_the_same_page(tmp_path, stopped):
    assert write(tmp_path, PROJECTS / "stopped") == stopped


def test_names_and_values_stay_text(tmp_path):
    folder = tmp_path / f"{'a'}&b" / "trial_0"
    folder.mkdir(parents=True)
    entry = {"name": HOSTILE, "values": [HOSTILE, "plain"]}
    (folder / "trial.json").write_text(
        json.dumps(
            {
                "trial_id": "0",
                "status": "COMPLETED",
                "score": 0.5,
                "best_step": 0,
                "hyperparameters": {
                    "space": [{"class_name": "Choice", "config": entry}],
                    "values": {HOSTILE: HOSTILE},
                },
            }
        )
    )
    own = own_part(write(tmp_path, folder.parent))

    assert "<b>" not in own
    assert html.escape(HOSTILE) in own
    assert own.count("<script") == own.count("</script>")
    ((trace, *_), layout) = data_of(own, "slices-0")
    shown = html.escape(HOSTILE, quote=False)
    assert (trace["x"], layout["xaxis"]["title"]["text"]) == ([shown], shown)


def test_damaged_files_are_named_on_the_page(tmp_path):
    target = tmp_path / "random"
    shutil.copytree(PROJECTS / "random", target)
    (target / "trial_3" / "trial.json").write_text('{"half')
    assert "Unreadable: trial_3" in write(tmp_path, target)


def test_trials_without_a_score_are_counted(tmp_path):
    target = tmp_path / "random"
    shutil.copytree(PROJECTS / "random", target)
    path = target / "trial_3" / "trial.json"
    state = json.loads(path.read_text())
    path.write_text(json.dumps({**state, "status": "FAILED", "score": None}))
    traces, layout = data_of(write(tmp_path, target), "history-0")

    assert traces[-1]["name"] == "1 without a score"
    assert [line["x0"] for line in layout["shapes"]] == [3]


def test_the_page_and_the_board_describe_trials_alike(tmp_path):
    target = tmp_path / "stopped"
    shutil.copytree(PROJECTS / "stopped", target)
    path = target / "trial_1" / "trial.json"
    state = json.loads(path.read_text())
    message = "Traceback:\n  File x\nValueError: too wide"
    changed = {"status": "FAILED", "score": None, "message": message}
    path.write_text(json.dumps({**state, **changed}))
    path = target / "trial_0" / "trial.json"
    state = json.loads(path.read_text())
    spread = {"value": [0.0625], "step": 0}
    state["metrics"]["metrics"]["val_loss_std"] = {
        "direction": "min",
        "observations": [spread],
    }
    path.write_text(json.dumps(state))
    page = own_part(write(tmp_path, target))
    board = netopt.search.leaderboard(target)

    assert "<td>FAILED: ValueError: too wide</td>" in page
    assert "Traceback" not in page
    assert "<th>± std</th>" in page and "<td>0.0625</td>" in page
    for trial in board.project.trials:
        note = board.describe_state(trial) or "complete"
        assert f"<td>{trial.trial_id}</td><td>{note}</td>" in page


def test_all_objectives_have_a_column_and_a_front(tmp_path):
    target = tmp_path / "random"
    shutil.copytree(PROJECTS / "random", target)
    path = target / "oracle.json"
    saved = [["val_loss", "min"], ["val_accuracy", "max"]]
    found = {"objective": saved[0], "objectives": saved}
    path.write_text(
        json.dumps({**json.loads(path.read_text()), "search": found})
    )
    page = own_part(write(tmp_path, target))
    board = str(netopt.search.leaderboard(target))
    front = netopt.search.plots(target, metrics=["val_loss", "val_accuracy"])

    assert "<th>val_loss</th><th>val_accuracy</th>" in page
    assert "<h2>Pareto front</h2>" in page
    assert "┃ val_loss ┃ val_accuracy ┃" in board
    assert netopt.search.plots(target).text == front.text
    one = netopt.search.plots(target, objective="val_loss")
    assert "Pareto" not in one.text and "val_accuracy" not in one.text


def test_importance_has_intervals(tmp_path):
    from keras_netopt.plots import search_page
    from keras_netopt.search.reports.main_effects import MainEffect

    effects = [MainEffect("rate", 0.5, 0.25, 1.0, ())]
    (bars,) = search_page.importance(effects).data
    assert list(bars.x) == [0.5]
    assert list(bars.error_x.array) == [0.5]
    assert list(bars.error_x.arrayminus) == [0.25]


def test_without_plotly_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(ImportError, match=r"keras-netopt\[report\]"):
        netopt.search.report(PROJECTS / "random", tmp_path / "page.html")


def test_an_error_leaves_the_old_page(tmp_path, monkeypatch):
    from keras_netopt.search.reports import html_report

    page = tmp_path / "page.html"
    page.write_text("old")
    monkeypatch.setattr(html_report, "_summary", lambda project: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        netopt.search.report(PROJECTS / "random", page)
    assert page.read_text() == "old"
