"""Verified export to LiteRT files, and advice about models on a target."""

from keras_netopt.advice.advice import Advice
from keras_netopt.advice.advise import advise
from keras_netopt.advice.finding import Finding
from keras_netopt.export.evaluate_file import evaluate
from keras_netopt.export.evaluation_report import EvaluationReport
from keras_netopt.export.export_error import ExportError
from keras_netopt.export.file_breakdown import FileBreakdown
from keras_netopt.export.file_meter import FileMeter
from keras_netopt.export.file_report import FileReport, inspect_file
from keras_netopt.export.litert_export import to_litert
from keras_netopt.export.litert_report import FileSize, LitertReport
from keras_netopt.export.micro.micro_run import MicroRun, RunDifference
from keras_netopt.export.micro_report import MicroReport, micro_report
from keras_netopt.export.tfmot import tfmot
from keras_netopt.export.to_c_array import to_c_array
from keras_netopt.export.verification import Verification
from keras_netopt.export.write_web_page import write_web_page

__all__ = [
    "Advice",
    "EvaluationReport",
    "ExportError",
    "FileBreakdown",
    "FileMeter",
    "FileReport",
    "FileSize",
    "Finding",
    "LitertReport",
    "MicroReport",
    "MicroRun",
    "RunDifference",
    "Verification",
    "advise",
    "evaluate",
    "inspect_file",
    "micro_report",
    "tfmot",
    "to_c_array",
    "to_litert",
    "write_web_page",
]
