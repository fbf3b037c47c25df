"""Tuner classes from an oracle class, with KerasTuner's arguments."""

import inspect
import re
import textwrap
from collections.abc import Callable
from typing import Any

import keras_tuner

from keras_netopt.search.tuner import Tuner

# Positional arguments of KerasTuner's tuners, in their order.
POSITIONAL = (
    *("hypermodel", "objective", "max_trials"),
    *("max_epochs", "factor", "hyperband_iterations"),
    *("seed", "hyperparameters", "tune_new_entries", "allow_new_entries"),
    *("max_retries_per_trial", "max_consecutive_failed_trials"),
)
OPTIONAL = inspect.Parameter.POSITIONAL_OR_KEYWORD
NAMED = inspect.Parameter.KEYWORD_ONLY


def tuner_for(oracle_class: Any) -> Callable[[type], type]:
    """Gives a subclass of `Tuner` the oracle's arguments beside its own.

    The decorator writes `__init__` and the sections `Args`, `Raises` and
    `Reference` of the docstring.
    """
    of_oracle = collect_parameters(oracle_class)
    unsupported = set(oracle_class.unsupported)
    of_oracle = {k: v for k, v in of_oracle.items() if k not in unsupported}
    of_tuner = collect_parameters(Tuner)
    of_tuner.pop("oracle")
    every = {**of_oracle, **of_tuner}
    names = [name for name in POSITIONAL if name in every]
    ordered = [every[name].replace(kind=OPTIONAL) for name in names]
    ordered += [
        parameter.replace(kind=NAMED)
        for name, parameter in every.items()
        if name not in names
    ]

    def decorate(tuner_class: Any) -> type:
        own = inspect.Parameter("self", OPTIONAL)
        signature = inspect.Signature([own, *ordered])

        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
            _check_no_oracle(tuner_class, oracle_class, args, kwargs)
            try:
                given = signature.bind(self, *args, **kwargs).arguments
            except TypeError as error:
                name = tuner_class.__name__
                raise TypeError(f"{name}.__init__() {error}") from None
            del given["self"]
            oracle = oracle_class(
                **{k: given.pop(k) for k in of_oracle if k in given}
            )
            super(tuner_class, self).__init__(oracle=oracle, **given)

        __init__.__signature__ = signature  # type: ignore[attr-defined]
        tuner_class.__init__ = __init__
        tuner_class.__doc__ = _complete_docstring(
            tuner_class, oracle_class, [one.name for one in ordered]
        )
        return tuner_class

    return decorate


def collect_parameters(cls: type) -> dict[str, inspect.Parameter]:
    """Returns the arguments of a class, those behind `**kwargs` included."""
    found: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        own = inspect.signature(vars(base)["__init__"])
        parameters = list(own.parameters.values())
        kinds = {parameter.kind for parameter in parameters}
        for one in parameters[1:]:
            if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
                found.setdefault(one.name, one)
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            break
    return found


def _check_no_oracle(
    tuner_class: type, oracle_class: type, args: Any, kwargs: Any
) -> None:
    """Refuses an oracle, or the arguments of one."""
    name = tuner_class.__name__
    first = args[0] if args else kwargs.get("hypermodel")
    if isinstance(first, keras_tuner.Oracle) or "oracle" in kwargs:
        raise TypeError(
            f"`search.{name}` creates its own oracle. Use "
            f"`search.{name}(build, objective=...)`, or "
            "`search.Tuner(build, oracle=...)` for an oracle that exists. "
            f"Received: {'an oracle' if 'oracle' in kwargs else first!r}"
        )
    if isinstance(first, str | list | keras_tuner.Objective):
        raise TypeError(
            "Argument `hypermodel` must be a function of `hp` or a "
            f"`HyperModel`. The oracle that begins with the objective is "
            f"`search.{oracle_class.__name__}`. Received: hypermodel={first!r}"
        )


def _complete_docstring(
    tuner_class: type, oracle_class: type, names: list[str]
) -> str:
    classes = (*Tuner.__mro__[:1], *oracle_class.__mro__, *Tuner.__mro__[1:])
    described = [_parse_section(one, "Args") for one in classes]
    lines = []
    for name in names:
        texts = (known[name] for known in described if name in known)
        full = [text for text in texts if not text.startswith("As in ")]
        lines.append(_wrap(f"{name}: {full[0] if full else 'See the oracle.'}"))
    parts = [
        inspect.cleandoc(tuner_class.__doc__ or ""),
        "Args:\n" + "\n".join(lines),
        "Raises:\n    TypeError: If an argument has the wrong type.\n"
        "    ValueError: If an argument is out of range, or the folder holds\n"
        "        another search.",
    ]
    reference = inspect.getdoc(oracle_class) or ""
    if "Reference:\n" in reference:
        parts.append("Reference:\n" + reference.partition("Reference:\n")[2])
    return "\n\n".join(parts)


def _parse_section(cls: type, section: str) -> dict[str, str]:
    """Returns the entries of a section of a docstring, by name."""
    text = inspect.cleandoc(vars(cls).get("__doc__") or "")
    found = re.search(rf"^{section}:\n((?:    .*\n|\n)*)", text + "\n", re.M)
    body = textwrap.dedent(found[1]) if found else ""
    entries = re.split(r"^(\*{0,2}\w+):[ \n]", body, flags=re.M)[1:]
    return {
        name: " ".join(entry.split())
        for name, entry in zip(entries[::2], entries[1::2], strict=True)
    }


def _wrap(text: str) -> str:
    return textwrap.fill(
        text, 76, initial_indent=" " * 4, subsequent_indent=" " * 8
    )
