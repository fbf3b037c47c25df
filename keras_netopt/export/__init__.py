"""Verified export to LiteRT files."""

from keras_netopt.export.evaluate_file import evaluate
from keras_netopt.export.evaluation_report import EvaluationReport
from keras_netopt.export.export_error import ExportError
from keras_netopt.export.litert_export import to_litert
from keras_netopt.export.litert_report import FileSize, LitertReport
from keras_netopt.export.verification import Verification

__all__ = [
    "EvaluationReport",
    "ExportError",
    "FileSize",
    "LitertReport",
    "Verification",
    "evaluate",
    "to_litert",
]
