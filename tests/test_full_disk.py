"""A full disk leaves the former file of each writer as it was.

Writers of models and checkpoints have such a test beside them.
"""

import weakref
from pathlib import Path

import keras
import numpy as np
import pytest
from small_disk import fill, small_disk

from keras_netopt import curriculum, search
from keras_netopt.compression.compress import _deliver
from keras_netopt.compression.run_folder import RunFolder
from keras_netopt.continual.anchors import Anchor, Anchors
from keras_netopt.continual.anchors_file import save_anchors
from keras_netopt.export import to_c_array
from keras_netopt.plots.style import new_figure, save_figure
from keras_netopt.search.reports.search_reports import SearchPictures
from keras_netopt.search.storage import write_json

pytestmark = pytest.mark.no_backend

NUMBERS = np.random.default_rng(0).random(5_000)
PROJECT = Path(__file__).parent / "search" / "projects" / "stopped"


def write_anchors(path, source):
    model = keras.Sequential([keras.Input((30,)), keras.layers.Dense(30)])
    entries = [
        Anchor(weakref.ref(v), np.ones(v.shape), np.ones(v.shape), False)
        for v in model.weights
    ]
    save_anchors(Anchors(entries, 1), path, model)


def write_run(path, source):
    folder = RunFolder(str(path.parent), {})
    folder.state["history"] = NUMBERS.tolist()
    folder.save()


WRITERS = {
    "scores.npz": lambda path, source: curriculum.save_scores(path, NUMBERS),
    "anchors.npz": write_anchors,
    "journal.json": lambda path, source: write_json(path, NUMBERS.tolist()),
    "figure.png": lambda path, source: save_figure(new_figure(3, 2), path),
    "tables.txt": lambda path, source: SearchPictures("text", {}).save(
        path.parent
    ),
    "trials.csv": lambda path, source: search.leaderboard(PROJECT).to_csv(path),
    "model.h": lambda path, source: to_c_array(source, path, overwrite=True),
    "model.tflite": lambda path, source: _deliver(source, path),
    "run.json": write_run,
}


def test_each_writer_keeps_its_former_file(tmp_path):
    source = tmp_path / "source.tflite"
    source.write_bytes(b"\x00\x00\x00\x00TFL3" * 500)
    wrong = []
    for name, write in WRITERS.items():
        with small_disk(tmp_path / name) as disk:
            path = disk / name
            write(path, source)
            before = path.read_bytes()
            fill(disk, leave=0)
            try:
                write(path, source)
            except OSError:
                pass
            else:
                wrong.append(f"{name}: no error")
            if path.read_bytes() != before:
                wrong.append(f"{name}: the former file is lost")
            if {one.name for one in disk.iterdir()} - {name, "ballast"}:
                wrong.append(f"{name}: a part is left")
    assert wrong == []
