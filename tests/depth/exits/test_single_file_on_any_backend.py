"""The model of a single file, which another process rebuilds."""

import keras
import numpy as np
import pytest

from keras_netopt.cost.tflite_model import TfliteModel
from keras_netopt.depth.exits.conditional_stages import build_conditional_model


def test_saved_model_takes_the_same_exits(exits, held_out, tmp_path):
    rule = exits.calibration.rule
    model = build_conditional_model(exits.exit_model, exits.stages, rule)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert again.layers[-1].rule == rule
    taken = set()
    for row in held_out[0][:24]:
        x = {name: row[None] for name in exits.stages.inputs}
        one, two = model(x), again(x)
        taken.add(int(one["exit"][0]))
        for name in one:
            np.testing.assert_array_equal(
                keras.ops.convert_to_numpy(one[name]),
                keras.ops.convert_to_numpy(two[name]),
            )
    assert len(taken) > 1


@pytest.mark.slow
@pytest.mark.backend("jax", "torch")
@pytest.mark.parametrize("single_file", [True, False])
def test_exits_are_exported(single_file, exits, held_out, tmp_path):
    target = tmp_path / ("m.tflite" if single_file else "exits")
    report = exits.export(target, single_file=single_file)
    for part in report.reports:
        assert part.max_abs_diff < 1e-5
    if single_file:
        found = TfliteModel(target).run(held_out[0][:1])
        assert set(found) == {"logits", "exit"}
