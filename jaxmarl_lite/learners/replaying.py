"""Learning from a replay, whatever is learnt: what is given to gradient steps, and how one follows another."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Key, Tree
from jaxmarl_lite.core.shard import Shard
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.data.places import Places, Ratings, draw
from jaxmarl_lite.learners.hyper import Hyper
from jaxmarl_lite.learners.replay_settings import ReplaySettings
from jaxmarl_lite.learners.sequences import Batch, batch_at
from jaxmarl_lite.learners.steps import Collected, ReplayState, drawing
from jaxmarl_lite.learners.units import Units, units_of

Restore = Callable[[Tree], Any]


class Task(NamedTuple):
    """By what gradient steps are taken."""

    settings: Any
    """ReplaySettings, or those of a family that extends them"""
    nets: Any
    """the networks, with `carry(num_envs)`, the memory of those that act"""
    spec: Spec
    restore: Restore
    """vectors -> parameters"""
    hyper: Hyper
    units: Units
    """in which it is learnt"""
    pace: Array
    """share of the learning rates"""
    beta: Array
    """how far weights undo that some sequences are likelier to be drawn than others"""
    shard: Shard


class Learnt(NamedTuple):
    """What gradient steps change."""

    flat: Tree
    """parameters as one vector, or a few: one norm, one step of the optimiser and one message between devices"""
    target: Tree
    """those of the target networks"""
    target_units: Units
    """what the networks that targets are made of give values in"""
    opt_state: Tree
    steps: Array
    ratings: Ratings | None
    """of the sequences of a replay, if their errors make some likelier to be drawn"""


Vectors = Callable[[Tree], tuple[Tree, Restore]]
"""parameters -> (vectors, the way back)"""
Part = Callable[[Array], Batch]
"""numbers of sequences, int32 [n] -> these"""
GradientStep = Callable[[Task, Learnt, Part, Array, Key], tuple[Learnt, dict[str, Array], Array]]
"""(task, learnt, part, numbers of this device's sequences, key) -> (learnt, metrics, mean error of each sequence)"""
Learn = Callable[[Task, Learnt, Collected, Key], tuple[Learnt, dict[str, Array]]]


def learn_by(
    learn: Learn,
    settings: ReplaySettings,
    nets: Any,
    vectors: Vectors,
    collected: Collected,
    spec: Spec,
    progress: Array,
    shard: Shard,
) -> tuple[ReplayState, dict[str, Tree]]:
    """Let `learn` change the parameters in a state, as vectors; returns (state, metrics)."""
    state = collected.state
    flat, restore = vectors(state.params)
    pace = 1.0 - progress if settings.anneal_lr else jnp.ones(())
    beta = 1.0 - (1.0 - state.hyper["priority_weights"]) * (1.0 - progress)
    units = units_of(settings, state.told, state.hyper["gamma"])
    task = Task(settings, nets, spec, restore, state.hyper, units, pace, beta, shard)
    target = None if state.target_params is None else vectors(state.target_params)[0]
    key, learning = jax.random.split(state.key)
    is_new = state.steps == 0  # what has not learnt has no units of its own
    target_units = jax.tree.map(functools.partial(jnp.where, is_new), units, state.target_units)
    learnt = Learnt(flat, target, target_units, state.opt_state, state.steps, state.ratings)
    learnt, metrics = learn(task, learnt, collected, learning)
    state = state._replace(
        key=key,
        params=restore(learnt.flat),
        target_params=None if learnt.target is None else restore(learnt.target),
        target_units=learnt.target_units,
        opt_state=learnt.opt_state,
        steps=learnt.steps,
        ratings=learnt.ratings,
    )
    return state, {**collected.metrics, **metrics}


def learn_from_replay(
    gradient_step: GradientStep, task: Task, learnt: Learnt, collected: Collected, key: Key
) -> tuple[Learnt, dict[str, Array]]:
    """Take `gradient_steps` steps, each on a batch of its own, if there is enough to draw from."""
    settings, replay = task.settings, collected.state.replay
    assert replay is not None
    drawn, batch = drawing(settings), task.shard.part(settings.batch)

    def learn() -> tuple[Learnt, dict[str, Array]]:
        def step(learnt: Learnt, key: Key) -> tuple[Learnt, dict[str, Array]]:
            places = draw(drawn, replay, learnt.ratings, key, task.beta, task.shard)

            def part(chosen: Array) -> Batch:
                place: Places = jax.tree.map(lambda x: x[chosen], places)
                memory = task.nets.carry(len(chosen))
                return batch_at(settings, replay, place, memory, settings.sequence, task.spec.horizon)

            learnt, metrics, error = gradient_step(task, learnt, part, jnp.arange(batch), key)
            if learnt.ratings is not None:
                rated = learnt.ratings.rated(drawn, replay, places, error, task.hyper["priority"])
                learnt = learnt._replace(ratings=rated)
            return _follow(task, learnt), metrics

        stepped, metrics = jax.lax.scan(step, learnt, jax.random.split(key, settings.gradient_steps))
        return stepped, jax.tree.map(lambda x: x.mean(0), metrics)

    nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(learn)[1])
    return jax.lax.cond(replay.filled >= settings.warmup, learn, lambda: (learnt, nothing))


def _follow(task: Task, learnt: Learnt) -> Learnt:
    """Let target networks move to those that learn, every `target_period` gradient steps, by `target_rate`.

    Their units go along: read in the units of now, what a network said before rewards changed would mean something
    else, and every copy would add to the error. A period and rate 1 make the hard updates of Mnih et al. 2015,
    doi:10.1038/nature14236, a rate and period 1 the soft ones of Lillicrap et al. 2016, arXiv:1509.02971.
    """
    is_due = learnt.steps % task.settings.target_period == 0
    rate = task.hyper["target_rate"]

    def moved(slow: Array, quick: Array) -> Array:
        return jnp.where(is_due, slow + rate * (quick - slow), slow)

    slow, quick = (learnt.target, learnt.target_units), (learnt.flat, task.units)
    target, target_units = jax.tree.map(moved, slow, quick)
    return learnt._replace(target=target, target_units=target_units)
