"""Warning categories of this package, for `warnings.filterwarnings`."""


class LayerCollapseWarning(UserWarning):
    """Warns that pruning has left a layer almost no weights.

    The text names the layers that keep at most one weight per output unit,
    and less than a quarter of the share that all layers keep.

    Example:

    >>> import warnings
    >>> import keras_netopt as netopt
    >>> warnings.simplefilter("error", netopt.warnings.LayerCollapseWarning)
    >>> warnings.resetwarnings()
    """


class NoEffectWarning(UserWarning):
    """Warns that a method does nothing, or less than requested.

    The text names the remedy: a later `end`, another `include`, a smaller
    model. The training or the function call itself continues.

    Example:

    >>> import warnings
    >>> import keras_netopt as netopt
    >>> warnings.simplefilter("error", netopt.warnings.NoEffectWarning)
    >>> warnings.resetwarnings()
    """


class NotIntendedUseWarning(UserWarning):
    """Warns of a setting that runs although its authors advise against it.

    An example is a logger that is listed before the callback whose values it
    should log.

    Example:

    >>> import warnings
    >>> import keras_netopt as netopt
    >>> warnings.simplefilter("ignore", netopt.warnings.NotIntendedUseWarning)
    >>> warnings.resetwarnings()
    """


class SearchCollapseWarning(UserWarning):
    """Warns that an architecture search prefers operations without weights.

    Skip connections, pooling and cut edges lower the loss early in training.
    The text names the decisions and the shares of these options.

    Example:

    >>> import warnings
    >>> import keras_netopt as netopt
    >>> warnings.simplefilter("ignore", netopt.warnings.SearchCollapseWarning)
    >>> warnings.resetwarnings()
    """


class TargetMissedWarning(UserWarning):
    """Warns that `compress` wrote a file that misses its target.

    The text says what stood in the way; the file is the nearest one.

    Example:

    >>> import warnings
    >>> import keras_netopt as netopt
    >>> warnings.simplefilter("error", netopt.warnings.TargetMissedWarning)
    >>> warnings.resetwarnings()
    """
