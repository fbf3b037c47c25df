"""The error of a conversion that failed."""


class ExportError(ValueError):
    """A model that could not be turned into a correct file.

    Errors of the file system stay `OSError`.

    Example:

    >>> issubclass(ExportError, ValueError)
    True
    """
