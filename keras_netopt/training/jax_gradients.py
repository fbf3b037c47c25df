"""Fast gradients of convolutions inside branches and loops of JAX on CPUs.

XLA brings the axes of convolutions into the order of its fast kernels in the
main program only. In a branch, the gradients of a convolution, whose axes are
in another order, are 25 to 100 times slower (JAX 0.10). Here they are
transposed by hand.
"""

from collections.abc import Callable, Sequence
from typing import Any

Function = Callable[..., Any]
_CALLS = ("jit", "pjit", "closed_call", "checkpoint", "remat", "remat2")


def with_fast_gradients(
    function: Callable[[], Any], *, recomputes: bool = False
) -> Any:
    """Calls a function in a branch, with fast gradients on a CPU.

    With `recomputes`, the backward pass computes the function again instead
    of keeping its intermediate results: JAX makes room for those in every
    branch, whichever runs.

    The function returns `(differentiable, auxiliary)`, two structures of
    tensors; no gradient flows through the second.
    """
    import jax

    program, shape = jax.make_jaxpr(function, return_shape=True)()
    structure = jax.tree.structure(shape)
    # What the function takes from outside, as arguments.
    tensors = program.consts
    trained = [
        jax.numpy.issubdtype(t.dtype, jax.numpy.inexact) for t in tensors
    ]

    def pure(*values: Any) -> Any:
        return jax.tree.unflatten(structure, _run(program.jaxpr, values, ()))

    if recomputes:
        pure = jax.checkpoint(pure)
    if jax.default_backend() != "cpu":
        return pure(*tensors)

    @jax.custom_vjp
    def call(*values: Any) -> Any:
        return pure(*values)

    def forward(*values: Any) -> Any:
        def of_trained(*floats: Any) -> Any:
            left = iter(floats)
            pairs = zip(values, trained, strict=True)
            return pure(
                *(next(left) if is_float else v for v, is_float in pairs)
            )

        floats = [
            v for v, is_float in zip(values, trained, strict=True) if is_float
        ]
        outputs, pull, aux = jax.vjp(of_trained, *floats, has_aux=True)
        return (outputs, aux), pull

    def backward(pull: Any, gradients: Any) -> Any:
        found = iter(_in_fast_order(pull, gradients[0]))
        return tuple(next(found) if is_float else None for is_float in trained)

    call.defvjp(forward, backward)
    return call(*tensors)


def _in_fast_order(function: Function, *args: Any) -> Any:
    """Calls a function and transposes all convolutions in it."""
    import jax

    program, shape = jax.make_jaxpr(function, return_shape=True)(*args)
    outputs = _run(program.jaxpr, program.consts, jax.tree.leaves(args))
    return jax.tree.unflatten(jax.tree.structure(shape), outputs)


def _run(program: Any, consts: Sequence[Any], args: Sequence[Any]) -> list[Any]:
    """Interprets a program of JAX, as its documentation shows."""
    values = dict(zip(program.constvars, consts, strict=True))
    values.update(zip(program.invars, args, strict=True))

    def read(variable: Any) -> Any:
        # A literal holds its value.
        return variable.val if hasattr(variable, "val") else values[variable]

    for step in program.eqns:
        outputs = _run_step(step, [read(one) for one in step.invars])
        values.update(zip(step.outvars, outputs, strict=True))
    return [read(one) for one in program.outvars]


def _run_step(step: Any, inputs: list[Any]) -> Sequence[Any]:
    primitive = step.primitive
    if primitive.name == "conv_general_dilated":
        return [_convolve(primitive, *inputs, **step.params)]
    if primitive.name in _CALLS:
        inner = step.params.get("jaxpr") or step.params["call_jaxpr"]
        consts = getattr(inner, "consts", ())
        return _run(getattr(inner, "jaxpr", inner), consts, inputs)
    params = primitive.get_bind_params(step.params)
    functions: Any = ()
    if isinstance(params, tuple):  # Until JAX 0.9.
        functions, params = params
    outputs = primitive.bind(*functions, *inputs, **params)
    found: Sequence[Any] = outputs if primitive.multiple_results else [outputs]
    return found


def _convolve(
    primitive: Any,
    inputs: Any,
    kernel: Any,
    *,
    dimension_numbers: Any,
    **params: Any,
) -> Any:
    """Convolves with channels last, whatever the order of the axes is."""
    import jax

    axes = dimension_numbers
    rank = inputs.ndim
    batch, channels, *space = axes.lhs_spec
    inputs = jax.numpy.transpose(inputs, (batch, *space, channels))
    outer, inner, *window = axes.rhs_spec
    kernel = jax.numpy.transpose(kernel, (*window, inner, outer))
    middle = range(1, rank - 1)
    fast = jax.lax.ConvDimensionNumbers(
        (0, rank - 1, *middle),
        (rank - 1, rank - 2, *range(rank - 2)),
        (0, rank - 1, *middle),
    )
    outputs = primitive.bind(inputs, kernel, dimension_numbers=fast, **params)
    order = [0] * rank
    for place, axis in enumerate(fast.out_spec):
        order[axes.out_spec[place]] = axis
    return jax.numpy.transpose(outputs, order)
