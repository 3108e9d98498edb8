"""Advantages and targets of a rollout."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Env, Tree
from jaxmarl_lite.core.shard import Shard
from jaxmarl_lite.learners.actor_critic import ActorCritic, Nets, compares_actions, critic_of, distribution_of, networks
from jaxmarl_lite.learners.experience import Collected, OnPolicyState, pooled, value_of
from jaxmarl_lite.learners.gradient_steps import Batch
from jaxmarl_lite.learners.on_policy_settings import OnPolicySettings
from jaxmarl_lite.nn.net import owners
from jaxmarl_lite.ops.policy import in_basis
from jaxmarl_lite.ops.returns import gae, n_step, vtrace
from jaxmarl_lite.ops.statistics import Moments, Sums

RETURNS_DECAY = 0.9  # of the statistics of returns and rewards, per update


class Estimated(NamedTuple):
    """A rollout from which can be learnt."""

    state: OnPolicyState
    memory: ActorCritic
    """of the networks when it began"""
    batch: Batch
    rollout: Collected | None
    """if it is to be estimated again"""
    metrics: dict[str, Array]


class Judged(NamedTuple):
    """What the networks make of a rollout; [E, T, A], values in units of reward."""

    memory: Tree
    """the critic's, after it"""
    value: Array
    following: Array
    """the value of the next step of the rollout"""
    chosen: Array
    """the critic's own value, of the action if it compares them"""
    log_ratio: Array | None
    """of the probabilities of the actions now and then, if the estimator asks for it"""


def estimate(settings: OnPolicySettings, rollout: Collected, env: Env, progress: Array, shard: Shard) -> Estimated:
    """Estimate the advantage of every action, and what the critic should have said."""
    del progress
    state = rollout.state
    judged = _judge(settings, networks(settings, env.spec), rollout)
    state, reward = _scaled_reward(settings, rollout, shard)
    ended = rollout.ended[..., None]
    advantage, target = _advantage(settings, state, rollout, judged, reward, ended)
    sums = Sums.of(target, jnp.swapaxes(rollout.seen.present, 0, 1), axis=(0, 1))
    played = _played(env, rollout)
    sums, totals, played = shard.sum((sums, rollout.totals, played))
    state, returns = _in_new_units(settings, env, state, sums)
    old_value, target = (returns.normalise(x) for x in (jnp.swapaxes(judged.chosen, 0, 1), target))
    actors = state.actors._replace(carry=state.actors.carry._replace(critic=judged.memory))
    frequency = {} if played is None else {"action_frequency": played / settings.steps_per_update}
    batch = Batch(
        rollout.seen,
        rollout.choice,
        *(jnp.swapaxes(x, 0, 1) for x in (rollout.log_prob, old_value, advantage, target)),
    )
    again = rollout if settings.passes > 1 else None
    return Estimated(state._replace(actors=actors), rollout.memory, batch, again, {**totals._asdict(), **frequency})


def _judge(settings: OnPolicySettings, nets: Nets, rollout: Collected) -> Judged:
    """Evaluate the networks on all steps at once: large products are many times as fast as small ones."""
    state, seen = rollout.state, rollout.seen
    params, choice = state.params, jnp.moveaxis(rollout.choice, 0, -3)
    basis = nets.head.basis(choice) if compares_actions(settings) else None
    memory, values = critic_of(nets, params.critic, rollout.memory.critic, seen, basis)
    value, chosen, log_ratio = values[0], values[0], None
    if compares_actions(settings) or settings.estimator == "vtrace":
        _, distribution = distribution_of(nets, params.actor, rollout.memory.actor, seen)
        log_prob, _ = nets.head.terms(distribution, choice)
        log_ratio = log_prob - jnp.swapaxes(rollout.log_prob, 0, 1)
        if basis is not None:
            value, chosen = in_basis(nets.head.mean_basis(distribution), values), in_basis(basis, values)
    memories = ActorCritic(state.actors.carry.actor, memory)
    after = value_of(nets, params, memories, rollout.after, rollout.basis_after)
    following = jnp.concatenate([value[:, 1:], after], axis=1)
    value, following, chosen = (state.returns.restore(x) for x in (value, following, chosen))
    return Judged(memory, value, following, chosen, log_ratio)


def _advantage(
    settings: OnPolicySettings, state: OnPolicyState, rollout: Collected, judged: Judged, reward: Array, ended: Array
) -> tuple[Array, Array]:
    """Return (advantage, target of the critic), [T, E, A] in units of reward."""
    value, following, chosen = (jnp.swapaxes(x, 0, 1) for x in (judged.value, judged.following, judged.chosen))
    given = {
        "reward": reward,
        "discount": state.hyper["gamma"] * (1.0 - rollout.terminated),
        "value": value,
        "successor_value": jnp.where(ended, rollout.outlook, following),
        "done": jnp.broadcast_to(ended, value.shape),
    }
    lam = state.hyper["lam"]
    if settings.estimator == "vtrace":
        assert judged.log_ratio is not None
        correction, advantage = vtrace(**given, log_ratio=jnp.swapaxes(judged.log_ratio, 0, 1), lam=lam)
        return advantage, value + correction
    advantage = n_step(**given, n=settings.n_step) if settings.estimator == "n_step" else gae(**given, lam=lam)
    target = advantage + value
    return (chosen - value if settings.estimator == "critic" else advantage), target


def _scaled_reward(settings: OnPolicySettings, rollout: Collected, shard: Shard) -> tuple[OnPolicyState, Array]:
    state, reward = rollout.state, rollout.reward
    if state.rewards is None:
        return state, reward
    sums = shard.sum(Sums.of(reward, jnp.swapaxes(rollout.seen.present, 0, 1), axis=(0, 1)))
    rewards = state.rewards.update(sums, RETURNS_DECAY)
    return state._replace(rewards=rewards), reward / rewards.deviation


def _played(env: Env, rollout: Collected) -> Array | None:
    """Return how often each action was taken [A, N], if actions can be counted."""
    if not env.spec.is_discrete:
        return None
    return jax.nn.one_hot(rollout.choice, env.spec.num_actions).sum((0, 1))


def _in_new_units(
    settings: OnPolicySettings, env: Env, state: OnPolicyState, sums: Sums
) -> tuple[OnPolicyState, Moments]:
    """Return the state with the statistics of returns brought up to date, and the statistics."""
    if settings.normalise_values == "off":
        return state, state.returns
    sets = owners(env.spec, settings.sharing)
    if settings.normalise_values == "running":
        returns = state.returns.update(sums, RETURNS_DECAY)
        return state._replace(returns=returns), returns
    returns = state.returns.update(pooled(sums, sets), RETURNS_DECAY)
    critic = _kept_in_place(state.params.critic, state.returns, returns, sets)
    return state._replace(returns=returns, params=state.params._replace(critic=critic)), returns


def _kept_in_place(params: Tree, old: Moments, new: Moments, sets: tuple[int, ...]) -> Tree:
    """Return the critic's parameters for new units: its values in units of reward are what they were.

    van Hasselt et al. 2016, arXiv:1602.07714, eqs. 10 and 11.
    """
    one_of_each = [sets.index(number) for number in range(max(sets) + 1)]
    first = one_of_each[0] if len(one_of_each) == 1 else jnp.asarray(one_of_each)
    (old_centre, old_deviation), (new_centre, new_deviation) = (
        (m.centre[first], m.deviation[first]) for m in (old, new)
    )
    ratio = (old_deviation / new_deviation)[..., None]
    moved = ((old_centre - new_centre) / new_deviation)[..., None]
    last = params["params"]["output"]
    last = {"kernel": last["kernel"] * ratio[..., None], "bias": last["bias"] * ratio + moved}
    return {"params": {**params["params"], "output": last}}
