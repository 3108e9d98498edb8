"""Recurrent networks."""

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
        # All that does not depend on the memory at once: large products are many times as fast as small ones.
        encoded = self.hidden(x.reshape(size, -1))
        gates = Dense(3 * self.units, 1.0, self.hidden.start)(encoded)
        gates = gates.reshape(-1, num_envs, length, num_agents).transpose(2, 0, 1, 3)
        kernel = self.param("memory", orthogonal(1.0), (self.units, 3 * self.units))
        keep = jnp.broadcast_to(~restart.T[:, :, None], (length, num_envs, num_agents)).reshape(length, -1)

        def step(memory, inputs):
            gates, keep = inputs
            memory = jnp.where(keep, memory, 0.0)
            reset, update, new = jnp.split(gates, 3)
            from_reset, from_update, from_new = jnp.split(kernel.T @ memory, 3)
            rate = jax.nn.sigmoid(update + from_update)
            candidate = jnp.tanh(new + jax.nn.sigmoid(reset + from_reset) * from_new)
            memory = candidate + rate * (memory - candidate)
            return memory, memory

        memory = jnp.moveaxis(carry, -1, 0).reshape(self.units, -1)
        memory, states = jax.lax.scan(step, memory, (gates.reshape(length, 3 * self.units, -1), keep))
        states = states.reshape(length, self.units, num_envs, num_agents).transpose(1, 2, 0, 3)
        columns = jnp.concatenate([encoded, states.reshape(self.units, -1)])
        y = Dense(self.outputs, self.output_scale, self.hidden.start, name="output")(columns)
        carry = jnp.moveaxis(memory.reshape(self.units, num_envs, num_agents), 0, -1)
        if every:
            carry = jnp.moveaxis(states, 0, -1)
        return carry, y.reshape(-1, *x.shape[1:])
