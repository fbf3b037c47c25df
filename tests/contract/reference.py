"""Results of a short run, equal on every backend, in reference.json.

`PYTHONPATH=tests python -m contract.reference` writes the file anew, under
TensorFlow; do it after a wanted change of a result, and look at the diff.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
from contract import callback_setting, probes, settings, zoo

PATH = Path(__file__).with_name("reference.json")


def known() -> dict[str, Any]:
    return json.loads(PATH.read_text())


def run(setting: callback_setting.Setting, folder: Path) -> dict[str, Any]:
    """Three steps from fixed initial weights."""
    descent = keras.optimizers.SGD(0.1, 0.9)
    model = zoo.light(dropout=0.0, optimizer=descent, eager=True)
    rng = np.random.default_rng(5)
    model.set_weights(
        [rng.normal(0, 0.4, weight.shape) for weight in model.get_weights()]
    )
    x, y = zoo.data("mlp")
    callbacks = setting.callbacks(callback_setting.case("mlp", folder))
    history = probes.fit(model, "mlp", callbacks, x=x[:48], y=y[:48], epochs=1)
    flat = np.concatenate([w.ravel() for w in model.get_weights()])
    rows = callbacks[-1].report().rows
    return {
        "zeros": np.packbits(flat == 0).tobytes().hex(),
        "report": [[list(r.shape), r.zeros, r.pattern] for r in rows],
        "logs": [v for k, v in history.items() if k.startswith("sparsity")],
        "weights": [round(float(w), 6) for w in flat],
    }


def write() -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = {
            setting.name: run(setting, Path(folder))
            for setting in settings.CALLBACKS
            if setting.reference
        }
    PATH.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    write()
