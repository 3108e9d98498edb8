"""What is remembered of the steps that a team takes, and how they are collected, for all that learn from a replay."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Env, Key, TimeStep, Tree
from jaxmarl_lite.core.shard import COPY, Shard
from jaxmarl_lite.data.places import Drawing, Ratings
from jaxmarl_lite.data.replay import Replay, Storage, add, empty
from jaxmarl_lite.data.rollout import Act, Actors, Draw, Transition, rollout, start
from jaxmarl_lite.environments.vectorize import vectorize
from jaxmarl_lite.learners.hyper import Hyper, hyper_leaves
from jaxmarl_lite.learners.replay_settings import ReplaySettings
from jaxmarl_lite.learners.units import Told, Units
from jaxmarl_lite.nn.mixers import counted
from jaxmarl_lite.ops.q_learning import decayed, epsilon_of_each
from jaxmarl_lite.ops.returns import team_mean
from jaxmarl_lite.ops.statistics import Moments, Sums

TOLD_DECAY = 0.99  # of running statistics, per update


class ReplayState(NamedTuple):
    """Everything that learning carries on from."""

    key: Key
    params: Tree
    target_params: Tree
    """those of the target networks; None: there are none"""
    target_units: Units
    """what the networks that targets are made of give values in: the units in which these learnt"""
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
    present: Array
    """bool [A], not gone"""


class Step(NamedTuple):
    """A step as it is stored; a rollout has leading axes [T, E]."""

    view: View
    restart: Array
    """bool [], an episode began here"""
    choice: Array
    """int32 [A], or [D, A] if actions are continuous"""
    reward: Array
    """[A], or [1] if it is the team's: its agents' mean, to which those that are gone add nothing"""
    terminated: Array
    """bool [A], or [1]"""
    ended: Array
    """bool [], terminated or truncated"""
    successor: View
    """the true one, before any reset"""


class Collected(NamedTuple):
    """The state after a rollout, and where its steps are."""

    state: ReplayState
    memory: Tree
    """[E, ...], of the agents when it began"""
    replay: Replay | None
    """a ring that the rollout fills, if nothing else is learnt from; else it is in the state's"""
    metrics: dict[str, Array]


def begin(
    settings: ReplaySettings, env: Env, key: Key, for_envs: Key, params: Tree, opt_state: Tree, carry: Tree
) -> ReplayState:
    """Return the state before anything is learnt: `params`, the optimiser's state for them, and E episodes begun.

    Learning goes on from `key`, episodes begin from `for_envs`, and actors carry `carry` along.
    """
    actors = start(vectorize(env, settings.num_envs), for_envs, carry)
    shape = (1 if settings.is_joint else env.spec.num_agents,)
    return ReplayState(
        key,
        params,
        target_params=params if settings.remembers else None,
        target_units=Units.start(shape),
        opt_state=opt_state,
        steps=jnp.zeros((), jnp.int32),
        actors=actors,
        replay=empty(_stored_shapes(settings, env, actors.ts), settings.capacity) if settings.remembers else None,
        ratings=Ratings.start(drawing(settings)) if settings.priority else None,
        told=Told(Moments.start(shape), Moments.start(shape)),
        hyper=hyper_leaves(settings),
    )


def env_axes(state: ReplayState) -> Tree:
    """Return for each leaf of a state which of its axes is that of the environments, or COPY."""
    nowhere = jax.tree.map(lambda leaf: COPY, state)
    first = jax.tree.map(lambda leaf: 0, (state.actors, state.ratings))
    axes = nowhere._replace(actors=first[0], ratings=first[1])
    if state.replay is None:
        return axes
    return axes._replace(replay=axes.replay._replace(steps=jax.tree.map(lambda leaf: 1, state.replay.steps)))


def play(
    settings: ReplaySettings,
    state: ReplayState,
    env: Env,
    progress: Array,
    shard: Shard,
    act: Callable[[Array], Act],
    draw: Draw,
) -> Collected:
    """Play `rollout_length` steps in all environments and remember them.

    `act` makes, of how likely a choice at random is in each of a device's environments [E], what acts in them and notes
    its choice.
    """
    hyper = state.hyper
    epsilon = decayed(hyper["epsilon_start"], hyper["epsilon_end"], hyper["epsilon_share"], progress)
    num_envs = len(state.actors.restart)
    venv = vectorize(env, num_envs, first=shard.first(num_envs))
    number = shard.first(num_envs) + jnp.arange(num_envs)
    acting = act(epsilon_of_each(epsilon, number, settings.num_envs, hyper["epsilon_spread"]))
    key, collecting = jax.random.split(state.key)
    actors, transitions, totals = rollout(venv, state.actors, collecting, settings.rollout_length, acting, draw)
    steps = _stored(settings, transitions)
    weight = counted(steps.reward, steps.view.present)
    sums = [Sums.of(x, weight, axis=(0, 1)) for x in (steps.reward, steps.terminated.astype(jnp.float32))]
    told = Told(*(old.update(new, TOLD_DECAY) for old, new in zip(state.told, shard.sum(sums), strict=True)))
    frequency = {}
    if env.spec.is_discrete:
        played = jax.nn.one_hot(steps.choice, env.spec.num_actions).sum((0, 1))
        frequency = {"action_frequency": shard.sum(played) / settings.steps_per_update}
    kept = add(empty(steps, settings.rollout_length) if state.replay is None else state.replay, steps)
    fresh, remembered = (kept, None) if state.replay is None else (None, kept)
    ratings = state.ratings
    if ratings is not None:
        ratings = ratings.welcome(drawing(settings), kept, settings.rollout_length)
    memory = state.actors.carry
    state = state._replace(key=key, actors=actors, replay=remembered, ratings=ratings, told=told)
    return Collected(state, memory, fresh, {**shard.sum(totals)._asdict(), **frequency, "epsilon": epsilon})


def drawing(settings: ReplaySettings) -> Drawing:
    """Return what a batch is drawn from."""
    return Drawing(settings.batch, settings.num_envs, settings.drawn, settings.stride, settings.capacity)


def storage(settings: ReplaySettings) -> Storage:
    """Return how floats that are seen are stored."""
    return Storage(settings.storage, *settings.storage_range)


def _stored(settings: ReplaySettings, transitions: Transition) -> Step:
    """Return transitions [T, E, ...] as they are stored."""
    ts, successor = transitions.ts, transitions.successor
    reward, terminated = successor.reward, successor.terminated
    if settings.is_joint:
        reward, terminated = team_mean(reward, ts.terminated), terminated.all(-1, keepdims=True)
    elif settings.share_rewards:
        reward = jnp.broadcast_to(team_mean(reward, ts.terminated), reward.shape)
    return Step(
        _view(settings, ts),
        transitions.restart,
        transitions.extras,
        reward,
        terminated,
        successor.done,
        _view(settings, successor),
    )


def _stored_shapes(settings: ReplaySettings, env: Env, ts: TimeStep) -> Step:
    """Return the shapes of a rollout of one step as it is stored, for steps [E, ...] such as `ts`."""
    spec = env.spec

    def of_one(ts: TimeStep) -> Step:
        choice = jnp.zeros(ts.active.shape, jnp.int32)
        if not spec.is_discrete:
            choice = jnp.zeros((len(ts.active), spec.num_actions, spec.num_agents))
        transition = Transition(ts, ts.done, choice, ts, choice, ())
        return _stored(settings, jax.tree.map(lambda x: x[None], transition))

    return jax.eval_shape(of_one, ts)


def _view(settings: ReplaySettings, ts: TimeStep) -> View:
    narrow = storage(settings).narrow
    state = narrow(ts.state) if settings.sees_state else None
    obs, legal = (jnp.swapaxes(x, -1, -2) for x in (narrow(ts.obs), ts.legal))
    return View(obs, state, legal, ts.active, ~ts.terminated)
