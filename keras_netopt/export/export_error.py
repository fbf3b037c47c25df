"""The error of a failed export."""


class ExportError(ValueError):
    """Raised where a model cannot be exported to a correct file.

    File system errors stay `OSError`.

    Example:

    >>> issubclass(ExportError, ValueError)
    True
    """
