"""One arm of a comparison, and its training."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from keras_netopt.curriculum.curriculum_data import CurriculumData
from keras_netopt.curriculum.curriculum_session import CurriculumSession
from keras_netopt.curriculum.curriculum_settings import CurriculumSettings
from keras_netopt.curriculum.dataset_adapters import as_sample_source
from keras_netopt.curriculum.fit_checks import check_fit, no_effect_reasons
from keras_netopt.curriculum.sequence_length import fit_to_source
from keras_netopt.points import RunLength
from keras_netopt.training import NoEffectWarning, NotIntendedUseWarning

BuildModel = Callable[[], keras.Model]


@dataclass(frozen=True, eq=False)
class Arm:
    """One arm of a comparison that differs in more than its ordering.

    Example:

    >>> import keras_netopt as netopt
    >>> half = netopt.curriculum.Arm(
    ...     "shuffle", callbacks=lambda: [netopt.callbacks.SelectiveBackprop()]
    ... )
    >>> half.ordering
    'shuffle'

    Args:
        ordering: As in `callbacks.Curriculum`. Defaults to `"shuffle"`.
        curriculum_kwargs: Other arguments of `callbacks.Curriculum`; they
            override those of the comparison. Defaults to none.
        build_model: Returns a new compiled model, for instance with another
            loss. Defaults to `None`: the one of the comparison.
        callbacks: Returns new further callbacks. Defaults to `None`.
        irreducible_loss: Irreducible loss of each sample, see
            `Curriculum.dataset`. Defaults to `None`.
    """

    ordering: Any = "shuffle"
    curriculum_kwargs: Mapping[str, Any] = field(default_factory=dict)
    build_model: BuildModel | None = None
    callbacks: Callable[[], Sequence[Any]] | None = None
    irreducible_loss: Any = None

    def make_curriculum(
        self,
        x: Any,
        y: Any,
        *,
        seed: int = 0,
        sample_weight: Any = None,
        num_samples: int | None = None,
        sequence_length: Any = None,
        **settings: Any,
    ) -> tuple[CurriculumSettings, CurriculumData]:
        """Creates settings and data of the arm's curriculum.

        The arguments are those of `callbacks.Curriculum`.
        """
        source = as_sample_source(x, y, sample_weight, num_samples)
        checked = CurriculumSettings(
            source, ordering=self.ordering, seed=seed, **settings
        )
        warmup = fit_to_source(sequence_length, source)
        has_weights = checked.ordering.has_weights
        return checked, CurriculumData(
            source, warmup, plans_weights=has_weights
        )


def train_arm(
    arm: Arm,
    build_model: BuildModel,
    x: Any,
    y: Any,
    *,
    seed: int,
    epochs: int,
    batch_size: int,
    validation_data: Any,
    callbacks: Sequence[Any] = (),
    steps_per_epoch: int | None = None,
    **shared: Any,
) -> tuple[dict[str, list[float]], CurriculumSession]:
    """Trains one arm with one seed of the weights and of the order.

    Sets Keras' global seed before the model is built. `callbacks` run after
    those of the arm, `steps_per_epoch` is by default the number of whole
    batches in the data, and `shared` are arguments of `callbacks.Curriculum`
    for all arms.

    Returns:
        The history of the fit, and the session of the curriculum.
    """
    keras.utils.set_random_seed(seed)
    model = (arm.build_model or build_model)()
    kwargs = {**shared, **arm.curriculum_kwargs}
    settings, data = arm.make_curriculum(x, y, seed=seed, **kwargs)
    adapter = data.make_adapter(
        batch_size,
        steps_per_epoch=steps_per_epoch,
        irreducible_loss=arm.irreducible_loss,
    )
    run = RunLength(adapter.num_batches, epochs)
    session = CurriculumSession(settings, data, run)
    for reason in check_fit(settings, data, run, {}, model):
        warnings.warn(reason, NotIntendedUseWarning, stacklevel=2)
    own = arm.callbacks() if arm.callbacks else ()
    history = model.fit(
        adapter,
        epochs=epochs,
        validation_data=validation_data,
        callbacks=[_EpochPlanner(session), *own, *callbacks],
        verbose=0,
    )
    return history.history, session


class _EpochPlanner(keras.callbacks.Callback):
    """Plans each epoch and adds the numbers of the plan to the logs."""

    def __init__(self, session: CurriculumSession) -> None:
        super().__init__()
        self._session = session
        self._warned: set[str] = set()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        session = self._session
        session.begin_epoch(epoch, self.model, verbose=0)
        for reason in no_effect_reasons(
            session.settings, session.run, session.scores, epoch
        ):
            if reason not in self._warned:
                self._warned.add(reason)
                warnings.warn(reason, NoEffectWarning, stacklevel=2)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if logs is not None:
            logs.update(self._session.logs)
