"""How the value family plays what it learns from."""

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Env
from jaxmarl_lite.core.shard import Shard
from jaxmarl_lite.data.rollout import Act
from jaxmarl_lite.learners.q_nets import q_networks
from jaxmarl_lite.learners.sight import see_step
from jaxmarl_lite.learners.steps import Collected, ReplayState, play
from jaxmarl_lite.learners.value_settings import ValueSettings
from jaxmarl_lite.ops.policy import sample_index
from jaxmarl_lite.ops.q_learning import epsilon_greedy


def collect(settings: ValueSettings, state: ReplayState, env: Env, progress: Array, shard: Shard) -> Collected:
    """Play `rollout_length` steps in all environments, at random with probability epsilon."""
    nets = q_networks(settings, env.spec)

    def acting(epsilon: Array) -> Act:
        def act(memory, ts, restart, noise):
            seen = see_step(settings, None, ts, restart)
            memory, values = nets.step(state.params.agent, memory, seen)
            legal = jnp.swapaxes(seen.legal, 0, 1)
            choice = sample_index(noise, epsilon_greedy(values, legal, epsilon[:, None, None])[:, :, 0])
            return choice, memory, choice

        return act

    def draw(key):
        return jax.random.uniform(key, (env.spec.num_agents,))

    return play(settings, state, env, progress, shard, acting, draw)
