"""Sparse LoRA against full sparse fine-tuning and LoRA of Keras.

Run with `python -m benchmarks.sparse_training.lora`, on JAX with one thread.
Rows that are already in the JSON are kept; `--fresh` measures all.
"""

import argparse
from typing import Any

import keras
import numpy as np

import keras_netopt as netopt
from benchmarks.records import Records
from benchmarks.sparse_training import alternating as source
from keras_netopt.callbacks import Pruning

NAME = "sparse_training_lora"
SEEDS = (0, 1, 2)
SPARSITY, SAMPLES, STEPS, RANK = 0.9, 2000, 500, 8
RATES = {"full": 1e-3, "lora": 3e-3}
SETTINGS = {
    "source": "MLP 784-300-100-10, Fashion-MNIST, pixels / 255, 1,000 steps "
    "of 128, Adam 1e-3, pruned to 90 % (gradual, global)",
    "target": "the images transposed, pixels inverted",
    "samples": SAMPLES,
    "training": f"{STEPS} steps of 64, Adam",
    "rates": RATES,
    "rank": RANK,
    "seeds": list(SEEDS),
}


def shift(x: np.ndarray) -> np.ndarray:
    """Transposes the images and inverts their pixels."""
    images = x.reshape(-1, 28, 28).transpose(0, 2, 1)
    return 1 - images.reshape(len(x), -1)


def train(model: keras.Model, x: Any, y: Any, steps: int, batch: int) -> None:
    """Trains on random batches, the same ones in every arm."""
    order = np.random.default_rng(7)
    places = order.integers(0, len(x), steps * batch)
    model.fit(x[places], y[places], batch_size=batch, shuffle=False, verbose=0)


def copy(model: keras.Model, rate: float) -> keras.Model:
    """Returns a model with the same weights, compiled, without masks."""
    new = keras.models.clone_model(model)
    new.set_weights(model.get_weights())
    new.compile(keras.optimizers.Adam(rate), model.loss, metrics=["accuracy"])
    return new


def test(model: keras.Model) -> dict[str, float]:
    """Returns test accuracy on the shifted images, and the sparsity."""
    *_, x, y = source.data()
    _, accuracy = model.evaluate(shift(x), y, batch_size=1000, verbose=0)
    sparsity = float(netopt.sparsity.report(model).sparsity)
    return {"accuracy": round(100 * accuracy, 2), "sparsity": sparsity}


def measure(seed: int) -> dict[str, dict[str, float]]:
    """Prunes on the source and tunes each arm on the target."""
    x, y, *_ = source.data()
    model = source.build("adam", seed)
    order = np.random.default_rng(seed).integers(0, len(x), 128_000)
    pruning = Pruning(SPARSITY)
    options: dict[str, Any] = {"batch_size": 128, "verbose": 0}
    model.fit(x[order], y[order], callbacks=[pruning], **options)
    masks = [w != 0 for w in model.get_weights()]
    target = (shift(x[:SAMPLES]), y[:SAMPLES], STEPS, 64)
    found = {"not tuned": test(model)}

    keras.utils.set_random_seed(seed)
    sparse = copy(model, RATES["lora"])
    netopt.sparsity.enable_lora(sparse, rank=RANK)
    train(sparse, *target)
    netopt.sparsity.merge_lora(sparse)
    found["sparse LoRA"] = test(sparse)

    keras.utils.set_random_seed(seed)
    plain = copy(model, RATES["lora"])
    for layer in plain.layers:
        layer.enable_lora(RANK)
    plain.compile(plain.optimizer.__class__(RATES["lora"]), model.loss)
    train(plain, *target)
    merged = [plain.layers[i // 2].kernel for i in (0, 2, 4)]
    dense = copy(model, RATES["lora"])
    for layer, kernel, own in zip(
        dense.layers, merged, plain.layers, strict=True
    ):
        layer.set_weights([np.array(kernel), np.array(own.bias)])
    found["LoRA, dense product"] = test(dense)
    again = copy(dense, RATES["lora"])
    netopt.sparsity.prune(again, SPARSITY)
    found["LoRA, pruned again"] = test(again)
    again = copy(dense, RATES["lora"])
    pairs = zip(dense.get_weights(), masks, strict=True)
    again.set_weights([w * m if w.ndim == 2 else w for w, m in pairs])
    found["LoRA, old mask"] = test(again)

    model.compile(
        keras.optimizers.Adam(RATES["full"]), model.loss, metrics=["accuracy"]
    )
    train(model, *target)
    found["full, masked"] = test(model)
    return found


def main() -> None:
    """Measures every missing row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    records = Records(NAME, SETTINGS, fresh=parser.parse_args().fresh)
    for seed in SEEDS:
        if records.find(seed=seed):
            continue
        for arm, row in measure(seed).items():
            records.add({"seed": seed, "arm": arm, **row})
            print(seed, arm, row, flush=True)


if __name__ == "__main__":
    main()
