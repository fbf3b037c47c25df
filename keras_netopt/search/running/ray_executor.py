"""Trials on a Ray cluster."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import keras

from keras_netopt.checks import check_at_least_zero


class RayExecutor(Executor):
    """Runs each trial in a new worker process of a Ray cluster.

    The search uses the cluster of `ray.init`, else that of `RAY_ADDRESS`,
    else it starts Ray on this machine. Workers on other machines need access
    to the project folder and to this machine: `host="10.0.0.1"` in the
    tuner. Needs the extra `ray`.

    Example:

    >>> import keras_netopt as netopt
    >>> executor = netopt.search.RayExecutor(num_cpus=4, num_gpus=1)
    >>> executor.shares
    {'CPU': 4.0, 'GPU': 1.0}

    Args:
        num_cpus: Cores per trial; at least one of `num_cpus` and `num_gpus`
            is above 0. Defaults to `1`.
        num_gpus: GPUs per trial, which are visible to it, a float at least 0.
            Defaults to `0`.
        **options: Further options of `ray.remote`, such as `resources` or
            `runtime_env`. The search sets `max_calls` and `max_retries`.

    Raises:
        TypeError: If an argument is not a number.
        ValueError: If a number is negative or both are 0; when the search
            begins, if the cluster is too small for one trial.
        ImportError: When the search begins, if Ray is not installed.
    """

    def __init__(
        self, num_cpus: float = 1, num_gpus: float = 0, **options: Any
    ) -> None:
        self.shares = {
            "CPU": check_at_least_zero(num_cpus, "num_cpus"),
            "GPU": check_at_least_zero(num_gpus, "num_gpus"),
        }
        if own := {"max_calls", "max_retries"} & set(options):
            raise ValueError(
                "Argument `options` must omit what the search sets itself. "
                f"Received: {sorted(own)}"
            )
        if not any(self.shares.values()):
            raise ValueError(
                "Arguments `num_cpus` and `num_gpus` must not both be 0. "
                f"Received: num_cpus={num_cpus}, num_gpus={num_gpus}"
            )
        self.options = {
            **options,
            "num_cpus": num_cpus,
            "num_gpus": num_gpus,
            # One process per task; the search retries trials itself.
            "max_calls": 1,
            "max_retries": 0,
        }

    @property
    def _max_workers(self) -> int:
        """Number of parallel trials."""
        held = _started().cluster_resources()
        found = min(
            int(held.get(name, 0) / share)
            for name, share in self.shares.items()
            if share
        )
        if not found:
            raise ValueError(
                "Arguments `num_cpus` and `num_gpus` must fit into the "
                f"cluster, which has {held.get('CPU', 0):g} cores and "
                f"{held.get('GPU', 0):g} GPUs. Received: num_cpus="
                f"{self.shares['CPU']:g}, num_gpus={self.shares['GPU']:g}"
            )
        return found

    def submit(
        self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        """Starts a task."""
        given = self.options.get("runtime_env", {})
        variables = {
            "KERAS_BACKEND": keras.backend.backend(),
            **given.get("env_vars", {}),
        }
        options = {
            **self.options,
            "runtime_env": {**given, "env_vars": variables},
        }
        remote = _started().remote(**options)(fn)
        future: Future[Any] = remote.remote(*args, **kwargs).future()
        return future


def _started() -> Any:
    try:
        import ray
    except ImportError as error:
        raise ImportError(
            "`RayExecutor` needs Ray. Run `pip install 'keras-netopt[ray]'`."
        ) from error
    if not ray.is_initialized():
        ray.init()
    return ray
