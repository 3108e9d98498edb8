"""Attention of each agent to all others."""

import jax
import jax.numpy as jnp
from flax import linen

from jaxmarl_lite.core.env import Array
from jaxmarl_lite.nn.mlp import Dense
from jaxmarl_lite.ops.policy import mask_logits


class Attention(linen.Module):
    """What each agent hears of all others, as much of each as it asks for: [I, E, T, A] -> [I, E, T, A].

    x_i = sum over j != i of a_ij relu(V e_j), a_ij = softmax over j of (K e_j) (Q s_i) / sqrt(d), in `heads` parts of
    d = I / heads numbers (Iqbal and Sha 2019, arXiv:1810.02912, eqs. 5-6 and appendix; Vaswani et al. 2017,
    arXiv:1706.03762, eq. 1). Agents that are gone are not heard; one that is alone hears zeros.
    """

    heads: int = 4

    @linen.compact
    def __call__(self, asking: Array, telling: Array, present: Array) -> Array:
        """Return x for s = `asking` and e = `telling`, of agents of which some are `present`, bool [E, T, A]."""
        size, *rows, num_agents = asking.shape

        def project(x: Array) -> Array:
            y = Dense(size, 1.0)(x.reshape(size, -1))
            return y.reshape(self.heads, size // self.heads, *rows, num_agents)

        query, key, value = project(asking), project(telling), jax.nn.relu(project(telling))
        score = (query[..., :, None] * key[..., None, :]).sum(1) / (size // self.heads) ** 0.5
        is_heard = ~jnp.eye(num_agents, dtype=bool) & present[..., None, :]
        share = jax.nn.softmax(mask_logits(score, jnp.broadcast_to(is_heard, score.shape)), axis=-1)
        share = jnp.where(is_heard, share, 0.0)
        heard = sum(share[:, None, ..., j] * value[..., j][..., None] for j in range(num_agents))
        return jnp.asarray(heard).reshape(size, *rows, num_agents)
