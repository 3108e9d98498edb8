"""Playing whole episodes with a fixed policy."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxmarl_lite.core.env import Array, Env, Key, Tree
from jaxmarl_lite.core.shard import WHOLE, Shard
from jaxmarl_lite.environments.vectorize import vectorize
from jaxmarl_lite.learners.learner import Policy
from jaxmarl_lite.ops.reliability import mean_interval


class Episodes(NamedTuple):
    """Complete episodes, one in each of E environments."""

    episode_return: Array
    """float32 [E, A], undiscounted"""
    length: Array
    """int32 [E]"""


def evaluate(
    policy: Policy,
    params: Tree,
    env: Env,
    key: Key,
    *,
    episodes: int,
    greedy: bool = True,
    shard: Shard = WHOLE,
) -> Episodes:
    """Play `episodes` episodes side by side, each to its end, and never a second one in its place.

    Where devices share them, `shard` says which part is played and returned here. With `greedy` the likeliest action
    is taken, else one is drawn. Pure: may be jitted, and vmapped over params.
    """
    episodes = shard.part(episodes)
    venv = vectorize(env, episodes, first=shard.first(episodes))
    starting, playing = jax.random.split(key)
    env_state, ts = venv.reset(starting)

    def step(world, key):
        env_state, ts, restart, carry, going, total, length = world
        acting, moving = jax.random.split(key)
        action, carry = policy.act(params, carry, ts, restart, venv.keys(acting), greedy)
        env_state, successor, ts = venv.step(moving, env_state, action)
        total = total + jnp.where(going[:, None], successor.reward, 0.0)
        done = successor.done
        return (env_state, ts, done, carry, going & ~done, total, length + going), None

    fresh = jnp.ones(episodes, bool)
    world = (env_state, ts, fresh, policy.carry(episodes), fresh, jnp.zeros_like(ts.reward), jnp.zeros(episodes, int))
    world, _ = jax.lax.scan(step, world, jax.random.split(playing, env.spec.horizon))
    return Episodes(world[5], world[6])


def summarise(episodes: Episodes) -> dict[str, Any]:
    """Return the figures of episodes [K, E, ...] of K seeds as plain values.

    `return_sum` is the mean over episodes of the undiscounted return summed over agents. The seed is the unit of the
    interval `return_sum_ci95` (Student's t; null with one seed).
    """
    returns = np.asarray(episodes.episode_return, np.float64)
    per_seed = returns.sum(-1).mean(-1)
    interval = mean_interval(per_seed)
    return {
        "episodes": int(returns.shape[0] * returns.shape[1]),
        "return_sum": float(per_seed.mean()),
        "return_sum_ci95": interval and list(interval),
        "return_sum_min": float(returns.sum(-1).min()),
        "return_sum_max": float(returns.sum(-1).max()),
        "return_per_agent": returns.mean((0, 1)).tolist(),
        "length": float(np.mean(episodes.length)),
        "return_sum_per_seed": per_seed.tolist(),
    }
