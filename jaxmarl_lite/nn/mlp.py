"""Multi-layer perceptrons."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen

from jaxmarl_lite.core.env import Array, Key

Activation = Literal["tanh", "relu"]

_ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu}


class MLP(linen.Module):
    """Dense layers with an activation between them, on columns: [I, R] -> [outputs, R].

    Weights are orthogonal (Saxe et al. 2014, arXiv:1312.6120), scaled by sqrt(2) in the hidden layers and by
    `output_scale` in the last: 0.01 lets a policy begin near uniform (Andrychowicz et al. 2021, arXiv:2006.05990).
    """

    hidden: tuple[int, ...]
    outputs: int
    activation: Activation = "tanh"
    output_scale: float = 1.0

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """Return the outputs for inputs x."""
        for size in self.hidden:
            x = _ACTIVATIONS[self.activation](Dense(size, 2**0.5)(x))
        return Dense(self.outputs, self.output_scale)(x)


class Dense(linen.Module):
    """An affine map of columns, y = W^T x + b: [I, R] -> [outputs, R]."""

    outputs: int
    scale: float

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """Return the outputs for inputs x."""
        kernel = self.param("kernel", orthogonal(self.scale), (x.shape[0], self.outputs))
        bias = self.param("bias", linen.initializers.zeros, (self.outputs,))
        if self.outputs == 1:
            # The compiler turns a product with one row into a broadcast, and works out what is broadcast, the gradient
            # of the whole loss, anew for each of its rows. Two rows, one of them zero, are a product like any other.
            kernel = jnp.pad(kernel, ((0, 0), (0, 1)))
        return _add_bias((kernel.T @ x)[: self.outputs], bias)


def orthogonal(scale: float) -> linen.initializers.Initializer:
    """Return flax's orthogonal initialiser for use under `vmap`: matrices are factored one after another.

    A batched factorisation waits, on a thread of XLA's pool, for others of the pool; where several of them hold all
    its threads, they wait for ever (jaxlib 0.10.2, QrFactorization in ParallelBatchMap).
    """
    plain = linen.initializers.orthogonal(scale)

    def draw(key: Key, shape: Any, dtype: Any = jnp.float32) -> Array:
        return jax.custom_batching.sequential_vmap(lambda key: plain(key, shape, dtype))(key)

    return draw


@jax.custom_vjp
def _add_bias(x: Array, bias: Array) -> Array:
    return x + bias[:, None]


# The gradient of a bias as a product: a sum along rows takes a CPU three times as long.
_add_bias.defvjp(lambda x, bias: (x + bias[:, None], None), lambda _, grad: (grad, grad @ jnp.ones(grad.shape[1])))
