"""Multi-layer perceptrons, and the dense layer that all networks are made of."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen

from jaxmarl_lite.core.env import Array, Key

Activation = Literal["tanh", "relu"]
Start = Literal["orthogonal", "normal"]

_ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu}


class Dense(linen.Module):
    """An affine map of columns, y = W^T x + b: [I, R] -> [outputs, R].

    Weights are orthogonal and scaled by `scale` (Saxe et al. 2014, arXiv:1312.6120), or normal with deviation
    `scale` / sqrt(I), cut off at two deviations.
    """

    outputs: int
    scale: float
    start: Start = "orthogonal"

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """Return the outputs for inputs x."""
        kernel = self.param("kernel", _weights(self.start, self.scale), (x.shape[0], self.outputs))
        bias = self.param("bias", linen.initializers.zeros, (self.outputs,))
        if self.outputs == 1:
            # The compiler turns a product with one row into a broadcast, and works out what is broadcast, the gradient
            # of the whole loss, anew for each of its rows. Two rows, one of them zero, are a product like any other.
            kernel = jnp.pad(kernel, ((0, 0), (0, 1)))
        return _add_bias((kernel.T @ x)[: self.outputs], bias)


class Hidden(linen.Module):
    """Dense layers, each with an activation behind it, on columns: [I, R] -> [sizes[-1], R].

    Weights are scaled by sqrt(2). With `layer_norm` what an activation gets has mean 0 and deviation 1 over its layer
    (Ba et al. 2016, arXiv:1607.06450), then scaled and moved by learnt numbers.
    """

    sizes: tuple[int, ...]
    activation: Activation = "tanh"
    layer_norm: bool = False
    start: Start = "orthogonal"

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """Return the last layer's outputs for inputs x."""
        for size in self.sizes:
            x = Dense(size, 2**0.5, self.start)(x)
            if self.layer_norm:
                x = LayerNorm()(x)
            x = _ACTIVATIONS[self.activation](x)
        return x


class LayerNorm(linen.Module):
    """Columns brought to mean 0 and deviation 1, then scaled and moved by learnt numbers: [I, R] -> [I, R]."""

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """Return the normalised columns."""
        size = x.shape[0]
        scale = self.param("scale", linen.initializers.ones, (size,))
        bias = self.param("bias", linen.initializers.zeros, (size,))
        centred = x - x.mean(0)
        return centred * jax.lax.rsqrt(jnp.square(centred).mean(0) + 1e-6) * scale[:, None] + bias[:, None]


class MLP(linen.Module):
    """Hidden layers and a linear one behind them: [I, E, T, A] -> [outputs, E, T, A]; it remembers nothing.

    `output_scale` is that of the last layer's weights: 0.01 lets a policy begin near uniform (Andrychowicz et al. 2021,
    arXiv:2006.05990).
    """

    hidden: Hidden
    outputs: int
    output_scale: float = 1.0

    def carry(self, num_envs: int, num_agents: int) -> tuple:
        """Return the memory at the start of an episode: none."""
        del num_envs, num_agents
        return ()

    @linen.compact
    def __call__(self, carry: tuple, x: Array, restart: Array, every: bool = False) -> tuple[tuple, Array]:
        """Return (carry, outputs) for inputs x."""
        del restart, every
        # A column for each agent and step: all products of a dense layer and of its gradient then run at full speed.
        columns = self.hidden(x.reshape(x.shape[0], -1))
        y = Dense(self.outputs, self.output_scale, self.hidden.start, name="output")(columns)
        return carry, y.reshape(-1, *x.shape[1:])


def orthogonal(scale: float) -> linen.initializers.Initializer:
    """Return flax's orthogonal initialiser for use under `vmap`: matrices are factored one after another.

    A batched factorisation waits, on a thread of XLA's pool, for others of the pool; where several of them hold all
    its threads, they wait for ever (jaxlib 0.10.2, QrFactorization in ParallelBatchMap).
    """
    plain = linen.initializers.orthogonal(scale)

    def draw(key: Key, shape: Any, dtype: Any = jnp.float32) -> Array:
        return jax.custom_batching.sequential_vmap(lambda key: plain(key, shape, dtype))(key)

    return draw


def _weights(start: Start, scale: float) -> linen.initializers.Initializer:
    if start == "orthogonal":
        return orthogonal(scale)
    return linen.initializers.variance_scaling(scale**2, "fan_in", "truncated_normal")


@jax.custom_vjp
def _add_bias(x: Array, bias: Array) -> Array:
    return x + bias[:, None]


# The gradient of a bias as a product: a sum along rows takes a CPU three times as long.
_add_bias.defvjp(lambda x, bias: (x + bias[:, None], None), lambda _, grad: (grad, grad @ jnp.ones(grad.shape[1])))
