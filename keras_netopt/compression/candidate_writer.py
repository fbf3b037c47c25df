"""Writes the file of a model, verifies and measures it."""

import contextlib
from collections.abc import Iterator

import keras

from keras_netopt import quantization
from keras_netopt.compression.candidate import Candidate, find_misses
from keras_netopt.compression.probe import count_macs, measure_figures
from keras_netopt.compression.route import Route
from keras_netopt.compression.run_folder import FLOAT, RunFolder
from keras_netopt.compression.run_settings import SAMPLE, RunSettings
from keras_netopt.compression.stage import Stage
from keras_netopt.compression.training_data import name_inputs
from keras_netopt.export.unverified_file import write_quickly
from keras_netopt.export.write_verified import write_verified
from keras_netopt.graph.model_graph import is_graph_model
from keras_netopt.training.batches import iterate_batches

ROUNDS = 300  # Timed calls of a file; each takes microseconds.


class CandidateWriter:
    """Writes the files of a run into its folder.

    Args:
        settings: The arguments of the run.
        folder: The folder of the run.
    """

    def __init__(self, settings: RunSettings, folder: RunFolder) -> None:
        self._settings = settings
        self._folder = folder
        self._sample, _ = settings.data.sample(SAMPLE)
        self._inputs = name_inputs(self._sample, settings.judge.names)
        self._original: Candidate | None = None
        self.metric = ""

    def write_original(self) -> Candidate:
        """Writes the float32 file of the original model.

        It is measured and judged, but not delivered, so that it is not
        compared with the model.
        """
        path = self._folder.file(FLOAT)
        model, judge = self._settings.model, self._settings.judge
        write_quickly(model, path)
        self.metric, score = judge.score(path)
        figures = measure_figures(path, path, count_macs(model), rounds=1)
        found = Candidate(
            "original",
            "float32",
            kilobytes=figures["kilobytes"],
            gzip_kilobytes=figures["gzip_kilobytes"],
            latency_ratio=1.0,
            macs=figures["macs"],
            score=score,
            drop=0.0,
            file=FLOAT,
        )
        return self.use_original(found, self.metric)

    def use_original(self, found: Candidate, metric: str) -> Candidate:
        """Takes the original's figures as those to compare with."""
        self._original, self.metric = found, metric
        return found

    def write(self, stage: Stage, model: keras.Model, epochs: int) -> Candidate:
        """Writes and measures the file of a stage.

        Raises:
            ExportError: If the model cannot be converted, or its file fails
                the verification.
        """
        settings, route = self._settings, stage.route
        original: Candidate = self._original  # type: ignore[assignment]
        name = f"stage-{stage.number}.tflite"
        path = self._folder.file(name)
        with self.ranges_of(stage, model):
            notes = write_verified(
                model,
                path,
                route.format,
                samples=self._inputs,
                quantized_io=self._find_io(route),
                seed=settings.seed,
            )
        figures = measure_figures(
            path, self._folder.file(FLOAT), count_macs(model), rounds=ROUNDS
        )
        metric, score = settings.judge.score(path)
        drop = settings.judge.drop(metric, original.score, score)
        return Candidate(
            stage.title,
            route.format,
            **figures,
            score=score,
            drop=drop,
            epochs=epochs,
            cut=route.cut,
            zeros=route.zeros,
            misses=find_misses(
                {**figures, "drop": drop},
                settings.target,
                original.macs,
                settings.max_drop,
            ),
            notes=tuple(notes),
            file=name,
        )

    @contextlib.contextmanager
    def ranges_of(
        self, stage: Stage, model: keras.Model, keep: bool = False
    ) -> Iterator[None]:
        """Gives a model measured ranges, so that its file needs no others.

        The converter's own calibration takes seconds more, and gives the same
        ranges. Models without a graph are calibrated by it.
        """
        is_measured = (
            stage.route.bits == 8
            and not stage.has_ranges
            and is_graph_model(model)
        )
        if is_measured:
            ranges = quantization.ActivationRanges.attach(model)
            batches = iterate_batches((self._sample,), batch_size=128)
            ranges.measure(batch[0] for batch in batches)
        try:
            yield
        finally:
            if is_measured and not keep:
                quantization.remove_ranges(model)

    def _find_io(self, route: Route) -> bool | str:
        io = self._settings.target.io
        return io if route.bits == 8 and io != "float32" else False
