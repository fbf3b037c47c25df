"""Steps are counted by epoch and batch numbers."""

from keras_netopt.points import RunLength
from keras_netopt.training import Progress


def test_steps_are_counted_across_epochs():
    progress = Progress(RunLength(4, 3))
    seen = []
    for epoch in range(3):
        progress.begin_epoch(epoch)
        seen += [progress.end_batch(batch) for batch in range(4)]

    assert seen == [(i, i + 1) for i in range(12)]


def test_a_resumed_fit_call_starts_at_its_epoch():
    progress = Progress(RunLength(4, 3))
    progress.begin_epoch(2)

    assert progress.end_batch(0) == (8, 9)


def test_executions_of_several_steps_never_count_beyond_the_data():
    progress = Progress(RunLength(10, 2))
    progress.begin_epoch(0)

    assert [progress.end_batch(b) for b in (3, 7, 11)] == [
        (0, 4),
        (4, 8),
        (8, 10),
    ]


def test_an_unknown_length_is_counted():
    progress = Progress(RunLength(None, 2))
    progress.begin_epoch(0)
    for batch in range(7):
        progress.end_batch(batch)
    progress.begin_epoch(1)

    assert progress.end_batch(0) == (7, 8)


def test_an_unknown_length_resumes_at_the_saved_step():
    progress = Progress(RunLength(None, 2))
    progress.begin_epoch(1, step=7)

    assert progress.end_batch(0) == (7, 8)
