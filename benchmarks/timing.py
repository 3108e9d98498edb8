"""Speed of what the other libraries are made to do, compile time apart."""

import statistics
import time
from collections.abc import Callable
from typing import Any


def median_speed(run: Callable[[int], Any], steps: int, repeats: int) -> dict:
    """Time `run(repeat)`, which takes `steps` environment steps, after one call that is not timed."""
    run(0)
    speeds = []
    for repeat in range(repeats):
        begin = time.perf_counter()
        run(repeat)
        speeds.append(steps / (time.perf_counter() - begin))
    return {"env_steps_per_second": statistics.median(speeds)}


def compiled(function: Callable[..., Any], *args: Any) -> tuple[Any, float]:
    """Return the jitted function compiled for its arguments, and how long that took."""
    import jax

    begin = time.perf_counter()
    program = jax.jit(function).lower(*args).compile()
    return program, time.perf_counter() - begin
