"""The error of a model that does not cross into tf_keras, or back."""


class BridgeError(ValueError):
    """Raised where a model has no equal twin in tf_keras.

    It lists all obstacles at once, before anything is built or trained.

    Example:

    >>> issubclass(BridgeError, ValueError)
    True
    """
