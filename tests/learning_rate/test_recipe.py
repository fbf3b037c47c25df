import re
from pathlib import Path

import numpy as np

CARD = Path(__file__).parents[2] / "docs" / "methods" / "learning_rate.md"


def test_the_recipe_of_the_card_builds_and_trains_every_optimizer():
    import keras_tuner

    section = CARD.read_text(encoding="utf-8").split("### Comparing")[1]
    code = re.search(r"```python\n(.*?)```", section, re.S)[1]
    names = {}
    exec(code, names)
    rates = names["RATES"]
    x, y = np.ones((4, 8), "float32"), np.zeros(4, "int32")
    for name, (low, _) in rates.items():
        hp = keras_tuner.HyperParameters()
        hp.Choice("optimizer", list(rates))
        hp.values["optimizer"] = name
        model = names["build"](hp)
        model.run_eagerly = True
        model.train_on_batch(x, y)

        assert type(model.optimizer).__name__.lower() == name
        assert float(model.optimizer.learning_rate) == np.float32(low)
        assert set(hp.values) == {"optimizer", f"{name}_rate"}
