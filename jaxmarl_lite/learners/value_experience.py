"""What the value family carries on from, and how it collects what it learns from."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Env, Key, TimeStep, Tree
from jaxmarl_lite.core.shard import Shard
from jaxmarl_lite.data.places import Drawing, Ratings
from jaxmarl_lite.data.replay import Replay, Storage, add, empty
from jaxmarl_lite.data.rollout import Actors, Transition, rollout
from jaxmarl_lite.environments.vectorize import vectorize
from jaxmarl_lite.learners.hyper import Hyper
from jaxmarl_lite.learners.q_nets import ValueParams, q_networks
from jaxmarl_lite.learners.sight import see_step
from jaxmarl_lite.learners.units import Told
from jaxmarl_lite.learners.value_settings import ValueSettings
from jaxmarl_lite.nn.mixers import counted
from jaxmarl_lite.ops.policy import sample_index
from jaxmarl_lite.ops.q_learning import decayed, epsilon_greedy, epsilon_of_each
from jaxmarl_lite.ops.statistics import Sums

TOLD_DECAY = 0.99  # of running statistics, per update


class ValueState(NamedTuple):
    """Everything that learning carries on from."""

    key: Key
    params: ValueParams
    target_params: ValueParams | None
    """those of the target network, with a replay"""
    opt_state: Tree
    steps: Array
    """int32 [], gradient steps taken"""
    actors: Actors
    replay: Replay | None
    """leaves [capacity, E, ...], of Step; None: only fresh rollouts are learnt from"""
    ratings: Ratings | None
    """of its sequences; None: all are alike"""
    told: Told
    hyper: Hyper


class View(NamedTuple):
    """What is seen of a step, as it is stored; a rollout's has leading axes [T, E]."""

    obs: Array
    """[O, A]"""
    state: Array | None
    """[S], if it is looked at"""
    legal: Array
    """bool [N, A]"""
    active: Array
    """bool [A]"""


class Step(NamedTuple):
    """A step as it is stored; a rollout has leading axes [T, E]."""

    view: View
    restart: Array
    """bool [], an episode began here"""
    choice: Array
    """int32 [A]"""
    reward: Array
    """[A], or [1] if it is the team's: its agents' mean, to which those that are not active add nothing"""
    terminated: Array
    """bool [A], or [1]"""
    ended: Array
    """bool [], terminated or truncated"""
    successor: View
    """the true one, before any reset"""


class Collected(NamedTuple):
    """The state after a rollout, and where its steps are."""

    state: ValueState
    memory: Tree
    """[E, ...], of the agents when it began"""
    replay: Replay | None
    """a ring that the rollout fills, if nothing else is learnt from; else it is in the state's"""
    metrics: dict[str, Array]


def collect(settings: ValueSettings, state: ValueState, env: Env, progress: Array, shard: Shard) -> Collected:
    """Play `rollout_length` steps in all environments, at random with probability epsilon."""
    nets, params = q_networks(settings, env.spec), state.params
    num_envs = len(state.actors.restart)
    venv = vectorize(env, num_envs, first=shard.first(num_envs))
    key, collecting = jax.random.split(state.key)
    hyper = state.hyper
    epsilon = decayed(hyper["epsilon_start"], hyper["epsilon_end"], hyper["epsilon_share"], progress)
    number = shard.first(num_envs) + jnp.arange(num_envs)
    of_each = epsilon_of_each(epsilon, number, settings.num_envs, hyper["epsilon_spread"])[:, None]

    def act(memory, ts, restart, noise):
        seen = see_step(settings, None, ts, restart)
        memory, values = nets.step(params.agent, memory, seen)
        legal = jnp.swapaxes(seen.legal, 0, 1)
        return sample_index(noise, epsilon_greedy(values, legal, of_each[:, None])[:, :, 0]), memory, ()

    def draw(key):
        return jax.random.uniform(key, (env.spec.num_agents,))

    actors, transitions, totals = rollout(venv, state.actors, collecting, settings.rollout_length, act, draw)
    steps = stored(settings, transitions)
    weight = counted(steps.reward, steps.view.active)
    sums = [Sums.of(x, weight, axis=(0, 1)) for x in (steps.reward, steps.terminated.astype(jnp.float32))]
    told = Told(*(old.update(new, TOLD_DECAY) for old, new in zip(state.told, shard.sum(sums), strict=True)))
    played = jax.nn.one_hot(steps.choice, env.spec.num_actions).sum((0, 1))
    totals, played = shard.sum((totals, played))
    metrics = {**totals._asdict(), "action_frequency": played / settings.steps_per_update, "epsilon": epsilon}
    kept = add(empty(steps, settings.rollout_length) if state.replay is None else state.replay, steps)
    fresh, remembered = (kept, None) if state.replay is None else (None, kept)
    ratings = state.ratings
    if ratings is not None:
        ratings = ratings.welcome(drawing(settings), kept, settings.rollout_length)
    memory = state.actors.carry
    state = state._replace(key=key, actors=actors, replay=remembered, ratings=ratings, told=told)
    return Collected(state, memory, fresh, metrics)


def stored(settings: ValueSettings, transitions: Transition) -> Step:
    """Return transitions [T, E, ...] as they are stored."""
    ts, successor = transitions.ts, transitions.successor
    reward, terminated = successor.reward, successor.terminated
    if settings.is_joint:
        reward = jnp.where(ts.active, reward, 0.0).mean(-1, keepdims=True)
        terminated = terminated.all(-1, keepdims=True)
    return Step(
        _view(settings, ts),
        transitions.restart,
        transitions.action,
        reward,
        terminated,
        successor.done,
        _view(settings, successor),
    )


def stored_shapes(settings: ValueSettings, ts: TimeStep) -> Step:
    """Return the shapes of a rollout of one step as it is stored, for steps [E, ...] such as `ts`."""

    def of_one(ts: TimeStep) -> Step:
        action = jnp.zeros(ts.active.shape, jnp.int32)
        transition = Transition(ts, ts.done, action, ts, (), ())
        return stored(settings, jax.tree.map(lambda x: x[None], transition))

    return jax.eval_shape(of_one, ts)


def drawing(settings: ValueSettings) -> Drawing:
    """Return what a batch is drawn from."""
    return Drawing(settings.batch, settings.num_envs, settings.drawn, settings.stride, settings.capacity)


def storage(settings: ValueSettings) -> Storage:
    """Return how floats that are seen are stored."""
    return Storage(settings.storage, *settings.storage_range)


def _view(settings: ValueSettings, ts: TimeStep) -> View:
    narrow = storage(settings).narrow
    state = narrow(ts.state) if settings.sees_state else None
    return View(jnp.swapaxes(narrow(ts.obs), -1, -2), state, jnp.swapaxes(ts.legal, -1, -2), ts.active)
