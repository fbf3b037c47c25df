"""C25: a subclass of a callback behaves as its base class."""

import copy
import json
import pickle

import keras
import pytest
from contract import callback_setting, probes, resume, settings, zoo
from contract.rows import COMPONENTS, FIRST, ONE_PER_COMPONENT
from contract.test_compose import OTHERS


def _plain(base):
    return type("Plain", (base,), {"__module__": __name__})


def _with_kwargs(base):
    def __init__(self, **kwargs):
        super(cls, self).__init__(**kwargs)

    members = {"__module__": __name__, "__init__": __init__}
    cls = type("WithKwargs", (base,), members)
    return cls


MAKERS = (_plain, _with_kwargs)
# `pickle` looks classes up by name in their module.
SUBCLASSES = {
    (maker, component): maker(setting.kind)
    for maker in MAKERS
    for component, setting in settings.COMPONENTS.items()
}
for (_, _component), _cls in SUBCLASSES.items():
    _cls.__qualname__ = f"{_cls.__name__}{_component.rpartition('.')[2]}"
    globals()[_cls.__qualname__] = _cls
BOTH = pytest.mark.parametrize("maker", MAKERS, ids=lambda f: f.__name__)


class Interrupted(Exception):
    """Ends a `fit` call in the middle."""


@pytest.fixture
def subclass(setting, maker):
    return SUBCLASSES[maker, setting.component]


@pytest.mark.check("C25")
@BOTH
@ONE_PER_COMPONENT
def test_order_rules_hold_for_a_subclass(subclass, setting, case):
    first = [(rule, "must come after") for rule in subclass.must_follow]
    never = [(rule, "cannot be") for rule in subclass.conflicts_with]
    model = zoo.light(eager=True)
    for rule, message in (*first, *never):
        callbacks = [
            subclass(**setting.arguments(case)),
            OTHERS[rule](case.folder),
        ]
        with pytest.raises(ValueError, match=f"{subclass.__name__} {message}"):
            probes.fit(model, "mlp", callbacks)


@pytest.mark.check("C25")
@BOTH
@ONE_PER_COMPONENT
def test_a_subclass_is_copied_pickled_and_configured(subclass, setting, case):
    callback = subclass(**setting.arguments(case))
    config = json.loads(json.dumps(callback.get_config()))
    data = {
        name: setting.arguments(case)[name]
        for name in setting.kind.data_args
        if name in setting.arguments(case)
    }
    twins = [
        copy.deepcopy(callback),
        pickle.loads(pickle.dumps(callback)),
        subclass.from_config(config, **data),
    ]
    for twin in twins:
        assert type(twin) is subclass
        assert twin is not callback
        assert twin.get_config() == config
    given = {k: v for k, v in config.items() if k in setting.arguments(case)}
    base = setting.build(case).get_config()
    assert given == {k: base[k] for k in given}
    assert repr(twins[0]) == repr(twins[1]) == repr(callback)
    assert repr(callback).startswith(f"{subclass.__name__}(")


def _resumed():
    """Each component with one of the makers, the first with both."""
    for i, setting in enumerate(COMPONENTS):
        quick = MAKERS if setting is FIRST else [MAKERS[i % 2]]
        for maker in MAKERS:
            marks = () if maker in quick else (pytest.mark.slow,)
            name = f"{setting}-{maker.__name__}"
            yield pytest.param(setting, maker, id=name, marks=marks)


@pytest.mark.check("C25")
@pytest.mark.parametrize(("setting", "maker"), [*_resumed()])
def test_a_resumed_subclass_repeats_its_base_class(setting, subclass, tmp_path):
    """Two epochs of two steps, interrupted in the second epoch."""
    expected = _trained(setting, setting.kind, tmp_path / "base")
    folder = tmp_path / "sub"
    backup = keras.callbacks.BackupAndRestore(str(folder / "backup"))
    bomb = probes.AtBatch(3, _interrupt)
    with pytest.raises(Interrupted):
        _trained(setting, subclass, folder, backup, bomb)
    found = _trained(setting, subclass, folder, backup)

    probes.assert_same(found, expected)


def _interrupt(model):
    raise Interrupted


def _trained(setting, kind, folder, *others):
    folder.mkdir(exist_ok=True)
    case = callback_setting.case("mlp", folder)
    model = zoo.light(eager=True)
    callback = kind(**setting.arguments(case))
    callbacks = [*setting.callbacks(case, callback), *others]
    probes.fit(model, "mlp", callbacks, batch_size=32)
    return resume.without(probes.state(model), "checkpoint ")
