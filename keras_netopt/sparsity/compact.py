"""Makes the zeros of a model count: removes the units that are dead."""

from typing import TYPE_CHECKING

import keras

from keras_netopt.selectors import Selector

if TYPE_CHECKING:
    from keras_netopt.surgery.edits.edit_report import EditReport


def compact(
    model: keras.Model,
    *,
    include: Selector | None = None,
    exclude: Selector | None = None,
    dry_run: bool = False,
) -> "EditReport":
    """Removes the units that zeros have made dead; the outputs stay.

    Zeros alone make no network faster: dense kernels multiply by them. A unit
    (neuron, channel or attention head) is dead if everything that reads it
    multiplies it by zero, or if all of its own weights are zero, so that it
    is constant. `compact` removes dead units with every weight coupled to
    them. What a constant adds to the next layer moves into the bias of that
    layer, or into the mean of a batch normalization behind it. Removals that
    make more units dead are followed to the end.

    Use it after `sparsity.prune`, `callbacks.Pruning` or
    `callbacks.SparseTraining` at a high sparsity, with
    `callbacks.ChannelSparsity`, and before an export. The model stays the
    same object; masks and optimizer variables are carried over.

    The outputs in inference stay equal up to rounding. Where that cannot be
    had, a unit stays and the report says why: a constant other than 0 in
    front of a convolution with padding "same", without a bias behind it, or
    in front of a layer that is not examined.

    Example:

    >>> import keras
    >>> from keras_netopt import sparsity
    >>> model = keras.Sequential([
    ...     keras.Input((8,)),
    ...     keras.layers.Dense(16, activation="relu", name="hidden"),
    ...     keras.layers.Dense(2, name="out"),
    ... ])
    >>> kernel, bias = model.get_layer("hidden").get_weights()
    >>> kernel[:, :12] = 0.0
    >>> model.get_layer("hidden").set_weights([kernel, bias])
    >>> report = sparsity.compact(model)
    >>> [(row.layer, row.before, row.after) for row in report.widths]
    [('hidden', 16, 4)]

    Args:
        model: A built Functional or Sequential model; changed in place.
        include: Layers whose units may be removed: a regular expression
            searched in the layer's path, "first" or "last" (layer whose units
            may be removed), a layer, a layer class, a `callable(layer) ->
            bool`, or a list of those. Coupled layers follow. Defaults to
            `None`: all.
        exclude: Layers that keep their units, in the same form. Defaults to
            `None`.
        dry_run: Whether to report only and change nothing. Defaults to
            `False`.

    Returns:
        The report: widths, sizes, and why other layers and constant units
        stay.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the model is subclassed or not built, or a selector
            matches nothing, or only layers whose units must stay. The model
            is unchanged then.

    Reference:
        Han et al., 2015, https://arxiv.org/abs/1506.02626 (section 3.5: dead
        neurons).
    """
    from keras_netopt.surgery.compacting.compact import compact as engine

    return engine(
        model, include=include, exclude=exclude, dry_run=dry_run, stacklevel=3
    )
