"""Converts in a child process, which may have another Keras backend."""

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
from keras_netopt.export.exportable_model import ExportableModel
from keras_netopt.export.portable_model import save_portable
from keras_netopt.export.rebuild_error import explain_rebuild_error

REMEDY = "`quantize='dynamic'` and `quantize='float16'` need no calibration."
OTHER_BACKEND = (
    'Save the model with `model.save("model.keras")`, load it in a program '
    "with KERAS_BACKEND=tensorflow and export it there."
)


class ConverterProcess:
    """A child process that converts SavedModels.

    The converter's native code may end its process, for example while it
    calibrates a loop. Fork would copy TensorFlow's threads, and `spawn` runs
    the user's script again, so the process runs a program of its own. It
    imports TensorFlow while its parent goes on, and ends with its parent.

    Args:
        rebuilds: Whether it imports Keras with the TensorFlow backend, to
            write the SavedModels of models of this process.
    """

    def __init__(self, rebuilds: bool = False) -> None:
        self.rebuilds = rebuilds
        self._is_busy = False
        self._folder = tempfile.TemporaryDirectory()
        self._stderr = open(Path(self._folder.name, "stderr"), "w+b")
        program = os.path.abspath(converter_program.__file__)
        # It must not take the memory of a GPU that its parent uses.
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
        command = [sys.executable, "-W", "ignore", program]
        if rebuilds:
            environment |= {"KERAS_BACKEND": "tensorflow"}
            environment |= {"JAX_PLATFORMS": "cpu"}
            command.append(converter_program.REBUILD)
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env=environment,
                text=True,
            )
        except OSError as error:
            self._close()
            raise ExportError(
                "The converter requires a process of its own, and none could "
                f"be started: {error}. {OTHER_BACKEND if rebuilds else REMEDY}"
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
        self._process.stdout.close()  # type: ignore[union-attr]
        self._close()

    def write_saved_model(
        self, exportable: ExportableModel, target: str
    ) -> None:
        """Writes the SavedModel of a copy that is rebuilt in the process.

        Raises:
            ExportError: If the model cannot be saved or rebuilt.
            ChildProcessError: If the process ends before the job.
            OSError: If a file cannot be written.
        """
        with tempfile.TemporaryDirectory() as folder:
            save_portable(exportable, folder)
            try:
                self._run({"model": folder, "saved_model": target})
            except RuntimeError as error:
                kind = type(error).__name__
                raise explain_rebuild_error(kind, str(error)) from error

    def convert(
        self,
        saved_model: str,
        target: str,
        settings: dict[str, Any],
        samples: Samples | None = None,
    ) -> None:
        """Runs `converter_program.run_job` in the process.

        Raises:
            ChildProcessError: If the process ends before the job.
            RuntimeError: If the converter refuses the model.
            OSError: If the file cannot be written.
        """
        if samples is not None:
            path = os.path.join(self._folder.name, converter_program.SAMPLES)
            save_samples(path, samples)
        self._run(
            {
                "saved_model": saved_model,
                "target": os.path.abspath(target),
                "settings": settings,
                "calibrates": samples is not None,
            }
        )

    @property
    def is_idle(self) -> bool:
        """Whether it can take a job: alive, and no job was interrupted."""
        return self._process.poll() is None and not self._is_busy

    def _run(self, job: dict[str, Any]) -> None:
        self._is_busy = True
        self._send({**job, "folder": self._folder.name})
        stdout: Any = self._process.stdout
        if not stdout.readline() and (code := self._process.wait()):
            raise ChildProcessError(self._explain_end(code))
        self._is_busy = False
        if (error := self._read(converter_program.ERROR)) is not None:
            kind, text = error
            if kind == "OSError":
                raise OSError(text)
            # The converter's errors are explained by their kind and text.
            raise type(kind, (RuntimeError,), {})(text)

    def _send(self, content: Any) -> None:
        stdin: Any = self._process.stdin
        # Where it has ended, `convert` explains it.
        with contextlib.suppress(BrokenPipeError):
            stdin.write(json.dumps(content) + "\n")
            stdin.flush()

    def _read(self, name: str) -> Any:
        path = Path(self._folder.name, name)
        if not path.exists():
            return None
        content = json.loads(path.read_text("utf-8"))
        path.unlink()
        return content

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
