"""Multi-layer perceptrons."""

from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen

from jaxmarl_lite.core.env import Array

Activation = Literal["tanh", "relu"]

_ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu}


class MLP(linen.Module):
    """Dense layers with an activation between them, [..., I] -> [..., outputs].

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
            x = linen.Dense(size, kernel_init=linen.initializers.orthogonal(2**0.5))(x)
            x = _ACTIVATIONS[self.activation](x)
        return linen.Dense(self.outputs, kernel_init=linen.initializers.orthogonal(self.output_scale))(x)
