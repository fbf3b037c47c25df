"""Rehearses actions on a model, to find errors and sizes before an edit."""

from collections.abc import Iterable

import keras

from keras_netopt.surgery.edits.edit_report import EditReport
from keras_netopt.surgery.edits.rehearsal import rehearsal
from keras_netopt.surgery.growing.actions import Action


def rehearse_actions(
    model: keras.Model, actions: Iterable[Action], *, new_units: str
) -> EditReport | None:
    """Makes actions in order, takes them back, and returns the last report.

    Raises the errors of the actions. The model is unchanged in any case.
    """
    report = None
    with rehearsal(model):
        for action in actions:
            report = action.rehearse(model, new_units=new_units, seed=0)
    return report
