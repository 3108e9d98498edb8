"""Repeating what is timed."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax


def seconds_of(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds until the result of `call` is there, and the result."""
    begin = time.perf_counter()
    result = jax.block_until_ready(call())
    return time.perf_counter() - begin, result


def spread(name: str, values: Sequence[float]) -> dict[str, float]:
    """Return the median of repeats as `name`, and the least and the greatest as `name`_min and `name`_max."""
    return {name: statistics.median(values), f"{name}_min": min(values), f"{name}_max": max(values)}
