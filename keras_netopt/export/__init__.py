"""Verified export to LiteRT files."""

from keras_netopt.export.errors import ExportError
from keras_netopt.export.litert import to_litert
from keras_netopt.export.report import FileSize, LitertReport
from keras_netopt.export.verify import Verification

__all__ = [
    "ExportError",
    "FileSize",
    "LitertReport",
    "Verification",
    "to_litert",
]
