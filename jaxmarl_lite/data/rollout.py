"""Collecting experience from a vectorised environment."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Key, TimeStep, Tree
from jaxmarl_lite.environments.vectorize import VecEnv


class Actors(NamedTuple):
    """Everything that a rollout carries on from where the last one stopped; all leaves have a leading axis E."""

    env_state: Tree
    ts: TimeStep
    """the step to act on"""
    restart: Array
    """bool [E], an episode begins here"""
    carry: Tree
    """the memory of whoever acts"""
    episode_return: Array
    """float32 [E, A], rewards of the present episode so far"""
    episode_length: Array
    """int32 [E]"""


class Transition(NamedTuple):
    """One step of E environments; a rollout stacks T of them along a leading axis."""

    ts: TimeStep
    """what was acted on"""
    restart: Array
    """bool [E], an episode began at `ts`"""
    action: Array
    """int32 [E, A] or float32 [E, A, D]"""
    successor: TimeStep
    """the true outcome, before any reset"""
    extras: Tree
    """what the actor noted when it acted"""
    outlook: Tree
    """what the actor noted of the successor"""


class EpisodeTotals(NamedTuple):
    """Sums over the episodes that ended in a rollout."""

    episodes: Array
    """float32 [], how many ended"""
    episode_return: Array
    """float32 [A], their undiscounted returns, summed over episodes"""
    episode_length: Array
    """float32 [], their lengths, summed over episodes"""


Act = Callable[[Tree, TimeStep, Array, Tree], tuple[Array, Tree, Tree]]
"""(carry, ts, restart, noise) -> (action, carry, extras)"""
Draw = Callable[[Key], Tree]
"""key -> the noise with which one environment's team acts once"""
Look = Callable[[Tree, TimeStep, Tree], Tree]
"""(carry, successor, noise) -> outlook"""


def start(venv: VecEnv, key: Key, carry: Tree) -> Actors:
    """Begin E episodes."""
    env_state, ts = venv.reset(key)
    return Actors(
        env_state,
        ts,
        restart=jnp.ones(venv.num_envs, bool),
        carry=carry,
        episode_return=jnp.zeros(ts.reward.shape),
        episode_length=jnp.zeros(venv.num_envs, jnp.int32),
    )


def rollout(
    venv: VecEnv,
    actors: Actors,
    key: Key,
    length: int,
    act: Act,
    draw: Draw,
    look: Look = lambda carry, successor, noise: (),
) -> tuple[Actors, Transition, EpisodeTotals]:
    """Take `length` steps; returns (actors, transitions [T, E, ...], totals of the episodes that ended).

    What the caller does not use of the transitions is dead code to the compiler and is never stored.
    """
    acting, moving = jax.random.split(key)
    # All noise at once: drawing a few numbers costs as much as drawing many.
    keys = jax.vmap(jax.random.split, in_axes=(0, None), out_axes=1)(venv.keys(acting), length)
    noise = jax.vmap(jax.vmap(draw))(keys)

    def step(actors: Actors, inputs: tuple[Tree, Key]):
        noise, key = inputs
        action, carry, extras = act(actors.carry, actors.ts, actors.restart, noise)
        env_state, successor, ts = venv.step(key, actors.env_state, action)
        transition = Transition(actors.ts, actors.restart, action, successor, extras, look(carry, successor, noise))
        done = successor.done
        returned = actors.episode_return + successor.reward
        length = actors.episode_length + 1
        totals = EpisodeTotals(done.sum(dtype=jnp.float32), done @ returned, (done * length).sum(dtype=jnp.float32))
        actors = Actors(
            env_state,
            ts,
            restart=done,
            carry=carry,
            episode_return=jnp.where(done[:, None], 0.0, returned),
            episode_length=jnp.where(done, 0, length),
        )
        return actors, (transition, totals)

    actors, (transitions, totals) = jax.lax.scan(step, actors, (noise, jax.random.split(moving, length)))
    return actors, transitions, jax.tree.map(lambda x: x.sum(0), totals)
