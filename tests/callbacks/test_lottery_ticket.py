"""`LotteryTicket` trains, prunes and rewinds; a control is the last round."""

import keras
import numpy as np
import pytest
from callback_tools.pruning import kernels, size, zeros
from callback_tools.tickets import Seed, Watch, fit, state

from keras_netopt.callbacks import BestCheckpoint, LotteryTicket
from keras_netopt.training import MaskStore, NoEffectWarning


@pytest.fixture(params=[0, "1ep", 2, 0.25])
def rewound(request, ticket_mlp, toy_data):
    """A search in two rounds of two epochs, watched."""
    model, watch = ticket_mlp(), Watch()
    ticket = LotteryTicket(2, 0.5, rewind_to=request.param)
    history = fit(model, toy_data, ticket, watch, epochs=6)
    point = {0: 0, "1ep": 4, 2: 2, 0.25: 6}[request.param]
    return model, ticket, watch, history, point


def test_every_variable_goes_back_to_the_rewind_point(rewound):
    """Bug: biases, moving statistics, slots or the counter stay trained."""
    model, ticket, watch, _, point = rewound
    wanted = watch.before[point]
    for epoch in (2, 4):
        found, masks = watch.before[4 * epoch], watch.masks[4 * epoch]
        assert list(found) == list(wanted)
        for name, value in found.items():
            mask = masks.get(name.split(" of ")[-1], True)
            np.testing.assert_array_equal(
                value, np.where(mask, wanted[name], 0)
            )
    assert watch.iterations[8:10] == [point, point + 1]
    assert int(model.optimizer.iterations) == point + 8


def test_sparsity_follows_the_rate_and_masks_nest(rewound):
    """Bug: a round prunes the rewound values instead of the trained ones."""
    model, ticket, watch, history, _ = rewound
    total = size(model)
    assert history["round"] == [0, 0, 1, 1, 2, 2]
    wanted = [0.0, round(total / 2) / total, round(0.75 * total) / total]
    assert history["sparsity"] == np.repeat(wanted, 2).tolist()
    assert [one.sparsity for one in ticket.finished_rounds] == wanted
    assert zeros(model) == round(0.75 * total)
    for number, step in ((1, 8), (2, 16)):
        trained = np.concatenate(
            [watch.ended[step][key].ravel() for key in watch.masks[step]]
        )
        kept = np.concatenate([m.ravel() for m in watch.masks[step].values()])
        assert kept.sum() == total - round(wanted[number] * total)
        assert np.abs(trained[kept]).min() >= np.abs(trained[~kept]).max()
        if number == 2:
            before = [m.ravel() for m in watch.masks[8].values()]
            assert not (kept & ~np.concatenate(before)).any()


def test_the_report_holds_the_last_logs_of_each_round(rewound):
    """Bug: the logs of the first epoch, or of the rewound model."""
    model, ticket, _, history, _ = rewound
    report = ticket.report()

    for one in report.rounds:
        last = 2 * one.number + 1
        assert one.metrics == {"loss": history["loss"][last]}
    assert [one.kept for one in report.rounds] == [
        size(model) - round(s * size(model)) for s in (0, 0.5, 0.75)
    ]
    text = str(report)
    assert "Sparsity" in text and "75.0%" in text and "loss" in text
    assert ticket.is_complete


def test_the_ticket_trains_as_a_model_that_starts_with_its_mask(
    ticket_mlp, toy_data
):
    """Bug: dropout, the counter or a slot goes on from the last round."""
    model = ticket_mlp()
    initial = state(model)
    fit(model, toy_data, LotteryTicket(1, 0.5), Seed(), epochs=4)
    masks, trained = MaskStore.of(model).masks(), state(model)

    alone = ticket_mlp()
    for name, value in state(alone).items():
        np.testing.assert_array_equal(value, initial[name])
    MaskStore.of(alone).assign(masks)
    fit(alone, toy_data, Seed(), epochs=2)

    for name, value in state(alone).items():
        np.testing.assert_array_equal(value, trained[name])


def test_rounds_of_a_control_arm_are_those_of_the_ticket(ticket_mlp, toy_data):
    """Bug: a control finds another mask, or trains another number of steps."""
    found = {}
    for control in (None, "reinit", "shuffle_mask"):
        model, watch = ticket_mlp(), Watch()
        ticket = LotteryTicket(1, 0.5, rewind_to=2, control=control)
        fit(model, toy_data, ticket, watch, Seed(), epochs=4)
        assert ticket.finished_rounds[0].metrics == {
            "loss": pytest.approx(ticket.finished_rounds[0].metrics["loss"])
        }
        assert [one.control for one in ticket.finished_rounds] == [
            None,
            control,
        ]
        assert (f"1 {control}" in str(ticket.report())) == bool(control)
        found[control] = watch
    plain, new, shuffled = found.values()
    for name, value in plain.ended[8].items():
        for other in (new, shuffled):
            np.testing.assert_array_equal(value, other.ended[8][name])
    assert plain.iterations[8] == shuffled.iterations[8] == 2
    assert new.iterations[8] == 0
    assert len(plain.iterations) == len(new.iterations) == 16

    for key, mask in plain.masks[8].items():
        np.testing.assert_array_equal(new.masks[8][key], mask)
        assert shuffled.masks[8][key].sum() == mask.sum()
        assert (shuffled.masks[8][key] != mask).any()
    ticket, values = plain.before[8], new.before[8]
    kernel = "hidden/kernel"
    both = plain.masks[8][kernel]
    assert (values[kernel][both] != ticket[kernel][both]).all()
    assert not values["hidden/bias"].any() and ticket["hidden/bias"].any()
    slots = [k for k in values if k.startswith("slot") and k.endswith(kernel)]
    assert slots and not any(values[name].any() for name in slots)
    assert all(ticket[name].any() for name in slots)
    for name in ticket:  # Shuffled masks, the same values.
        mask = shuffled.masks[8].get(name.split(" of ")[-1], True)
        wanted = np.where(mask, plain.before[2][name], 0)
        np.testing.assert_array_equal(shuffled.before[8][name], wanted)


def test_seeds_choose_the_control(ticket_mlp, toy_data):
    """Bug: every control arm has the same values and the same shuffle."""
    found = []
    for control in ("reinit", "shuffle_mask"):
        for seed in (0, 0, 1):
            model = ticket_mlp()
            ticket = LotteryTicket(1, 0.5, control=control, seed=seed)
            fit(model, toy_data, ticket, epochs=2)
            found.append(kernels(model)[0])
    for first, again, other in (found[:3], found[3:]):
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)


def test_checkpoints_of_a_round_hold_its_trained_weights(
    ticket_mlp, toy_data, tmp_path
):
    """Bug: files saved at the end of a round hold the rewound weights, or the
    copy for the rewind point stays in the files of the last round."""
    model, watch = ticket_mlp(), Watch()
    every = keras.callbacks.ModelCheckpoint(
        tmp_path / "{epoch}.weights.h5", save_weights_only=True
    )
    best = BestCheckpoint(
        tmp_path / "best.weights.h5", monitor="loss", save_weights_only=True
    )
    fit(model, toy_data, LotteryTicket(1, 0.5), every, best, watch, epochs=4)

    sizes = [
        (tmp_path / f"{i}.weights.h5").stat().st_size for i in (1, 2, 3, 4)
    ]
    assert min(sizes[:2]) > max(sizes[2:])
    model.load_weights(tmp_path / "2.weights.h5")
    for name, value in watch.ended[8].items():
        np.testing.assert_array_equal(state(model)[name], value)
    model.load_weights(tmp_path / "best.weights.h5")
    assert zeros(model) == round(size(model) / 2)


def test_a_further_fit_trains_the_ticket_on(ticket_mlp, toy_data):
    """Bug: a second `fit` prunes again, or needs a multiple of the parts."""
    model, ticket = ticket_mlp(), LotteryTicket(2, 0.5)
    fit(model, toy_data, ticket, epochs=3)
    masks = MaskStore.of(model).masks()
    rounds, trained = ticket.finished_rounds, kernels(model)
    history = fit(model, toy_data, ticket, epochs=1)

    assert history["round"] == [2] and ticket.finished_rounds == rounds
    for key, mask in MaskStore.of(model).masks().items():
        np.testing.assert_array_equal(mask, masks[key])
    assert not np.array_equal(kernels(model)[0], trained[0])
    assert zeros(model) == round(0.75 * size(model))

    other = LotteryTicket(1, 0.5)
    fit(model, toy_data, other, epochs=2)
    kept = size(model) - round(0.75 * size(model))
    assert [one.kept for one in other.finished_rounds] == [kept, kept // 2]


def test_a_fit_that_ends_early_gives_a_warning(ticket_mlp, toy_data):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 2

    model, ticket = ticket_mlp(), LotteryTicket(2, 0.5)
    with pytest.warns(NoEffectWarning, match="ended in round 1 of 2") as told:
        fit(model, toy_data, ticket, Stop(), epochs=6)

    assert [one.category for one in told].count(NoEffectWarning) == 1
    assert [one.number for one in ticket.finished_rounds] == [0]
    assert not ticket.is_complete
    assert zeros(model) == round(0.5 * size(model))
    fit(model, toy_data, ticket, epochs=6, initial_epoch=3)
    assert [one.number for one in ticket.finished_rounds] == [0, 1, 2]
    assert zeros(model) == round(0.75 * size(model))
