"""Calibrates and converts in a child process, whose end harms no work."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from keras_netopt.export import converter_program
from keras_netopt.export.converter_program import Samples, save_samples
from keras_netopt.export.export_error import ExportError

REMEDY = "`quantize='dynamic'` and `quantize='float16'` need no calibration."


class ConverterProcess:
    """A child process that converts one SavedModel.

    The converter's native code may end its process, for example while it
    calibrates a loop. Fork would copy TensorFlow's threads, and `spawn` runs
    the user's script again, so the process runs a program of its own. It
    imports TensorFlow while its parent goes on, and ends with its parent.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._stderr = open(Path(self._folder.name, "stderr"), "w+b")
        program = os.path.abspath(converter_program.__file__)
        # It must not take the memory of a GPU that its parent uses.
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "ignore", program],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                env=environment,
                text=True,
            )
        except OSError as error:
            self._close()
            raise ExportError(
                "Calibration requires a process of its own, and none could be "
                f"started: {error}. {REMEDY}"
            ) from error
        self._send([path for path in sys.path if isinstance(path, str)])

    def __enter__(self) -> "ConverterProcess":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()  # type: ignore[union-attr]
        self._close()

    def convert(
        self,
        saved_model: str,
        target: str,
        settings: dict[str, Any],
        samples: Samples,
    ) -> None:
        """Runs `converter_program.run_job` in the process.

        Raises:
            ChildProcessError: If the process ends before the job.
            RuntimeError: If the converter refuses the model.
            OSError: If the file cannot be written.
        """
        folder = self._folder.name
        save_samples(os.path.join(folder, converter_program.SAMPLES), samples)
        job = {
            "saved_model": saved_model,
            "target": os.path.abspath(target),
            "settings": settings,
            "folder": folder,
        }
        self._send(job)
        code = self._process.wait()
        if code:
            raise ChildProcessError(self._explain_end(code))
        if (error := self._read(converter_program.ERROR)) is not None:
            kind, text = error
            raise (OSError if kind == "OSError" else RuntimeError)(text)

    def _send(self, content: Any) -> None:
        stdin: Any = self._process.stdin
        # Where it has ended, `convert` explains it.
        with contextlib.suppress(BrokenPipeError):
            stdin.write(json.dumps(content) + "\n")
            stdin.flush()

    def _read(self, name: str) -> Any:
        path = Path(self._folder.name, name)
        return json.loads(path.read_text("utf-8")) if path.exists() else None

    def _explain_end(self, code: int) -> str:
        stage = self._read(converter_program.STAGE) or "loaded TensorFlow"
        end = f"with exit code {code}"
        if code < 0:
            end = f"by signal {signal.Signals(-code).name}"
            if -code == signal.SIGKILL:
                end += " (usual if memory runs out)"
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "")
        said = f" Its last message: {last.strip()[:300]}" if last else ""
        return f"ended {end} while it {stage}.{said}"

    def _close(self) -> None:
        self._stderr.close()
        self._folder.cleanup()
