"""What this machine can do at best: a matrix product, and a pass over memory."""

import jax
import jax.numpy as jnp

from jaxmarl_lite.bench.timing import seconds_of
from jaxmarl_lite.training.compilation import Stopwatch

REPEATS = 5
PRODUCTS = 4  # of one call, so that starting it does not count


def product_peak(size: int = 1024) -> float:
    """Return the floating-point operations a second of float32 products of `size` x `size` matrices, the best run.

    Compiled with the options that everything else is compiled with: on a CPU, one thread a product.
    """

    def products(x):
        return jax.lax.scan(lambda y, _: (y @ x, None), x, None, length=PRODUCTS)[0]

    matrix = jnp.eye(size)
    program = Stopwatch().compiled(products, matrix)
    program(matrix).block_until_ready()
    return 2.0 * PRODUCTS * size**3 / min(seconds_of(lambda: program(matrix))[0] for _ in range(REPEATS))


def copy_bandwidth(size: int = 2**26) -> float:
    """Return the bytes a second read and written in scaling `size` float32 numbers in place, the best run.

    They must be many more than caches hold: 2^26 take 256 MiB.
    """
    x = jnp.ones(size)
    program = Stopwatch().compiled(lambda x: x * 0.999, x, donate=(0,))
    x, best = program(x).block_until_ready(), float("inf")
    for _ in range(REPEATS):
        seconds, x = seconds_of(lambda x=x: program(x))
        best = min(best, seconds)
    return 2.0 * size * x.dtype.itemsize / best
