"""Recurrent networks."""

import functools

import jax
import jax.numpy as jnp
from flax import linen

from jaxmarl_lite.core.env import Array
from jaxmarl_lite.nn.mlp import Dense, Hidden, orthogonal


class Recurrent(linen.Module):
    """Hidden layers, gated recurrent units, and a linear layer behind both: [I, E, T, A] -> [outputs, E, T, A].

    With x the last hidden layer and h the memory, h' = (1 - z) n + z h, where z = s(W_z x + U_z h),
    n = tanh(W_n x + r (U_n h)), r = s(W_r x + U_r h) and s is the logistic function (Cho et al. 2014,
    arXiv:1406.1078, eqs. 5-8, with the gate r behind the product, as cuDNN has it). The last layer sees x and h', so
    that what needs no memory is learnt as fast as without one.
    """

    hidden: Hidden
    units: int
    outputs: int
    output_scale: float = 1.0

    def carry(self, num_envs: int, num_agents: int) -> Array:
        """Return the memory at the start of an episode, zeros [E, A, units]."""
        return jnp.zeros((num_envs, num_agents, self.units))

    @linen.compact
    def __call__(self, carry: Array, x: Array, restart: Array, every: bool = False) -> tuple[Array, Array]:
        """Return (carry, outputs); the memory is cleared before each step at which `restart`, bool [E, T], is set.

        With `every` it is the memory after each step, [E, T, A, units], instead of that after the last one.
        """
        size, num_envs, length, num_agents = x.shape
        # Time before environments: what a step of the loop takes and leaves is then a copy of long runs.
        columns = jnp.swapaxes(x, 1, 2).reshape(size, -1)
        # All that does not depend on the memory at once: large products are many times as fast as small ones.
        encoded = self.hidden(columns)
        gates = Dense(3 * self.units, 1.0, self.hidden.start)(encoded).reshape(3, self.units, length, -1)
        # Three arrays: XLA's CPU compiler does not vectorise a loop that reads several slices of one that is sliced by
        # time, and a step takes more than twice as long.
        gates = [jnp.swapaxes(gate, 0, 1) for gate in gates]
        kernel = self.param("memory", orthogonal(1.0), (self.units, 3 * self.units))
        keep = jnp.broadcast_to(~restart.T[:, :, None], (length, num_envs, num_agents)).reshape(length, -1)

        # Worked out again for the gradient: keeping all of it takes as long, and in large batches twice as long.
        @functools.partial(jax.checkpoint, prevent_cse=False)
        def step(memory, inputs):
            (reset, update, new), keep = inputs
            memory = jnp.where(keep, memory, 0.0)
            from_reset, from_update, from_new = jnp.split(kernel.T @ memory, 3)
            rate = jax.nn.sigmoid(update + from_update)
            candidate = jnp.tanh(new + jax.nn.sigmoid(reset + from_reset) * from_new)
            memory = candidate + rate * (memory - candidate)
            return memory, memory

        memory = jnp.moveaxis(carry, -1, 0).reshape(self.units, -1)
        memory, states = jax.lax.scan(step, memory, (gates, keep))
        behind = jnp.concatenate([encoded, jnp.swapaxes(states, 0, 1).reshape(self.units, -1)])
        y = Dense(self.outputs, self.output_scale, self.hidden.start, name="output")(behind)
        y = jnp.swapaxes(y.reshape(-1, length, num_envs, num_agents), 1, 2)
        if every:
            return states.reshape(length, self.units, num_envs, num_agents).transpose(2, 0, 3, 1), y
        return jnp.moveaxis(memory.reshape(self.units, num_envs, num_agents), 0, -1), y
