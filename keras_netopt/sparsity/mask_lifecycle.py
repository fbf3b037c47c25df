"""Applies, removes and loads the masks of a trained model."""

import os

import keras

from keras_netopt.sparsity.sparsity_report import SparsityReport, report
from keras_netopt.training import CheckpointState, MaskStore, variables_by_name
from keras_netopt.training.dense_store import DenseStore
from keras_netopt.training.float_weights import DENSE_WEIGHTS
from keras_netopt.training.mask_file import check_masks


def apply_masks(model: keras.Model) -> SparsityReport:
    """Applies the current masks to the weights.

    Use it after something else has written weights into a pruned model:
    `load_weights` of an earlier checkpoint, `set_weights`, or a callback that
    restored an older epoch.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(50)])
    >>> model.compile("adam", "mse")
    >>> x, y = np.ones((32, 8)), np.zeros((32, 50))
    >>> dense = model.get_weights()
    >>> _ = model.fit(
    ...     x, y, epochs=2, verbose=0,
    ...     callbacks=[netopt.callbacks.Pruning(0.5)])
    >>> model.set_weights(dense)
    >>> apply_masks(model).sparsity
    0.5

    Args:
        model: A model that was trained with `callbacks.Pruning`.

    Returns:
        The report: zeros per weight.

    Raises:
        ValueError: If the model has no masks.
    """
    require_masks(model).project()
    return report(model)


def remove_masks(model: keras.Model) -> None:
    """Removes the masks of a model; zeros stay until it is trained again.

    Use it to train a pruned model without masks. The model stays compiled,
    its own constraints are restored, and its optimizer has its own variables
    only. Saving and exporting do not need it: saved models hold no masks as
    layers or config.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(50)])
    >>> model.compile("adam", "mse")
    >>> _ = model.fit(np.ones((32, 8)), np.zeros((32, 50)), epochs=2,
    ...     verbose=0, callbacks=[netopt.callbacks.Pruning(0.5)])
    >>> remove_masks(model)
    >>> model.layers[0].kernel.constraint is None
    True

    Args:
        model: A model that was trained with `callbacks.Pruning`.

    Raises:
        ValueError: If the model has no masks.
    """
    store = require_masks(model)
    store.project()
    dense = DenseStore.of(model)
    if dense is not None:
        dense.detach()
    store.detach()
    states = CheckpointState.of(model).states
    for name, state in list(states.items()):
        if isinstance(state, keras.callbacks.Callback):
            del states[name]  # Masters, ranges and the edit history remain.


def load_masks(
    model: keras.Model, path: str | os.PathLike[str]
) -> SparsityReport:
    """Loads the masks that a file holds.

    Keras loads weights and optimizer from a file; this loads the masks, the
    dense weights of straight-through masks and the random state saved with
    them. Load the model, then its masks, then
    continue training with `initial_epoch=`, with the same `Pruning` callback
    or without.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(50)])
    >>> model.compile("adam", "mse")
    >>> _ = model.fit(np.ones((32, 8)), np.zeros((32, 50)), epochs=2,
    ...     verbose=0, callbacks=[netopt.callbacks.Pruning(0.5)])
    >>> model.save("pruned.keras")
    >>> again = keras.saving.load_model("pruned.keras")
    >>> load_masks(again, "pruned.keras").sparsity
    0.5

    Args:
        model: A compiled, built model of the same structure.
        path: A `.keras` or `.weights.h5` file saved from a pruned model.

    Returns:
        The report: zeros per weight.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file cannot be read or holds no masks, they do not
            fit the weights, or the model is not compiled; the model is as it
            was.
    """
    if getattr(model, "optimizer", None) is None:
        raise ValueError(
            "Argument `model` must be compiled, because its optimizer holds "
            "the masks. Call `model.compile` first. Received: "
            f"model={model.name!r}"
        )
    if not os.fspath(path).endswith((".keras", ".weights.h5")):
        raise ValueError(
            "Argument `path` must end in .keras or .weights.h5. "
            f"Received: path={os.fspath(path)!r}"
        )
    checkpoint_state = CheckpointState.of(model)
    if not checkpoint_state.read(path, needs=MaskStore.entry):
        raise ValueError(
            "Argument `path` must be a file saved from a pruned model, but it "
            f"holds no masks. Received: path={os.fspath(path)!r}"
        )
    loaded = checkpoint_state.take_loaded(MaskStore.entry)
    state = loaded[1] if loaded else {}
    check_masks(model, state)
    checkpoint_state.restore_random(repeat_in_fit=True)
    store = MaskStore.attach(model, variables_by_name(model, state))
    dense = checkpoint_state.take_loaded(DENSE_WEIGHTS)
    if dense is None:
        store.load_state(state)
        return report(model)
    # Before the masks, which would set the slots of dense weights to zero.
    swapped = DenseStore.attach(model, variables_by_name(model, dense[1]))
    store.load_state(state)
    swapped.load_state(dense[1])
    return report(model)


def require_masks(model: keras.Model) -> MaskStore:
    """Returns the masks of a model; raises a ValueError without any."""
    store = MaskStore.of(model)
    if store is None:
        raise ValueError(
            "Argument `model` must have masks: train it with "
            "`callbacks.Pruning`, or use `sparsity.load_masks`. "
            f"Received: model={model.name!r}"
        )
    return store
