"""The on-policy family: rollouts, advantages, and a few epochs of gradient steps on each."""

import functools
from typing import Any, NamedTuple

import distrax
import jax
import jax.numpy as jnp
import optax

from jaxmarl_lite.core.env import Array, Env, Key, TimeStep, Tree
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.core.tree import when_any
from jaxmarl_lite.data.rollout import Actors, Transition, rollout, start
from jaxmarl_lite.environments.vectorize import vectorize
from jaxmarl_lite.learners.hyper import Hyper, hyper_leaves
from jaxmarl_lite.learners.learner import Learner, Policy
from jaxmarl_lite.learners.on_policy_settings import OnPolicySettings
from jaxmarl_lite.nn.mlp import MLP
from jaxmarl_lite.nn.net import Net, feed_forward
from jaxmarl_lite.ops.policy import mask_logits, ppo_clip, sample_index
from jaxmarl_lite.ops.returns import gae
from jaxmarl_lite.ops.statistics import Moments, masked_mean, masked_standardise
from jaxmarl_lite.ops.value import clipped_value_loss

RETURNS_DECAY = 0.9  # of the statistics of returns, per update
ADAM_EPS = 1e-5  # as in the PPO implementations that the published curves come from


class ActorCritic(NamedTuple):
    """Something for the actor and something for the critic: networks, parameters or memories."""

    actor: Tree
    critic: Tree


class OnPolicyState(NamedTuple):
    """Everything that learning carries on from."""

    key: Key
    params: ActorCritic
    opt_state: Tree
    actors: Actors
    returns: Moments
    """[A], of the critic's targets; the critic works in their units"""
    hyper: Hyper


class Batch(NamedTuple):
    """What a gradient step reads; leaves [T, E, ...]."""

    ts: TimeStep
    restart: Array
    action: Array
    log_prob: Array
    value: Array
    advantage: Array
    target: Array


def on_policy(name: str, settings: OnPolicySettings) -> Learner:
    """Return the member of the on-policy family with these settings."""
    return Learner(
        name=name,
        settings=settings,
        check=functools.partial(_check, name),
        init=functools.partial(_init, settings),
        step=functools.partial(_step, settings),
        policy=functools.partial(_policy, settings),
        params=lambda state: state.params.actor,
    )


def _check(name: str, spec: Spec) -> None:
    if not spec.is_discrete:
        raise SettingError(f"{name} chooses among discrete actions, and this environment's actions are continuous.")


def _networks(settings: OnPolicySettings, spec: Spec) -> ActorCritic:
    def net(input_size: int, outputs: int, output_scale: float) -> Net:
        module = MLP(settings.hidden, outputs, settings.activation, output_scale)
        return feed_forward(module, input_size, spec.num_agents, settings.sharing)

    critic_size = spec.state_size if settings.critic == "joint" else spec.obs_shape[0]
    return ActorCritic(actor=net(spec.obs_shape[0], spec.num_actions, 0.01), critic=net(critic_size, 1, 1.0))


def _optimiser(settings: OnPolicySettings, hyper: Hyper, lr: Array) -> optax.GradientTransformation:
    optimiser = optax.chain(optax.clip_by_global_norm(hyper["max_grad_norm"]), optax.adam(lr, eps=ADAM_EPS))
    if settings.sharing == "shared":
        return optimiser

    # Leaves have a leading axis A: one norm and one step for each agent, so that none throttles another.
    def update(updates: Tree, state: Tree, params: Tree | None = None) -> tuple[Tree, Tree]:
        return jax.vmap(optimiser.update)(updates, state, params)

    return optax.GradientTransformation(jax.vmap(optimiser.init), update)


def _init(settings: OnPolicySettings, key: Key, env: Env) -> OnPolicyState:
    nets = _networks(settings, env.spec)
    key, for_actor, for_critic, for_envs = jax.random.split(key, 4)
    hyper = hyper_leaves(settings)
    params = ActorCritic(nets.actor.init(for_actor), nets.critic.init(for_critic))
    carry = ActorCritic(nets.actor.carry(settings.num_envs), nets.critic.carry(settings.num_envs))
    return OnPolicyState(
        key,
        params,
        opt_state=_optimiser(settings, hyper, hyper["lr"]).init(params),
        actors=start(vectorize(env, settings.num_envs), for_envs, carry),
        returns=Moments.start((env.spec.num_agents,)),
        hyper=hyper,
    )


def _step(
    settings: OnPolicySettings, state: OnPolicyState, env: Env, progress: Array
) -> tuple[OnPolicyState, dict[str, Tree]]:
    nets = _networks(settings, env.spec)
    key, collecting, learning = jax.random.split(state.key, 3)
    memory = state.actors.carry
    actors, transitions, totals = _collect(settings, nets, state, env, collecting)
    batch, returns = _estimate(settings, nets, state, actors, transitions)
    params, opt_state, losses = _learn(settings, nets, state, memory, batch, progress, learning)
    metrics = {
        **totals._asdict(),
        **losses,
        "action_frequency": jnp.mean(transitions.extras["probs"], axis=(0, 1)),
    }
    return OnPolicyState(key, params, opt_state, actors, returns, state.hyper), metrics


def _act(nets: ActorCritic, params: Tree, carry: Tree, ts: TimeStep, restart: Array) -> tuple[Tree, Array]:
    """Return the actor's memory and its masked logits [E, A, N]."""
    carry, logits = nets.actor.apply(params, carry, ts.obs[None], restart[None])
    return carry, mask_logits(logits[0], ts.legal)


def _value(
    settings: OnPolicySettings, nets: ActorCritic, params: Tree, carry: Tree, ts: TimeStep, restart: Array
) -> tuple[Tree, Array]:
    """Return the critic's memory and the values [T, E, A] of a sequence of steps [T, E, ...]."""
    if settings.critic == "joint":
        view = jnp.broadcast_to(ts.state[..., None, :], (*ts.obs.shape[:-1], ts.state.shape[-1]))
    else:
        view = ts.obs
    carry, value = nets.critic.apply(params, carry, view, restart)
    return carry, value[..., 0]


def _choice(logits: Array) -> Any:
    return distrax.Categorical(logits=logits)


def _first(tree: Tree) -> Tree:
    return jax.tree.map(lambda x: x[None], tree)


def _collect(settings: OnPolicySettings, nets: ActorCritic, state: OnPolicyState, env: Env, key: Key):
    params = state.params
    value_of = functools.partial(_value, settings, nets, params.critic)

    def act(carry, ts, restart, key):
        actor_carry, logits = _act(nets, params.actor, carry.actor, ts, restart)
        critic_carry, value = value_of(carry.critic, *_first((ts, restart)))
        choice = _choice(logits)
        action = sample_index(key, choice.probs)
        extras = {"log_prob": choice.log_prob(action), "value": value[0], "probs": choice.probs}
        return action, ActorCritic(actor_carry, critic_carry), extras

    def look(carry, successor):
        # Only where an episode is cut is the successor not the next step of the rollout.
        going_on = jnp.zeros_like(successor.done)
        return when_any(
            successor.done,
            lambda: value_of(carry.critic, *_first((successor, going_on)))[1][0],
            lambda: jnp.zeros_like(successor.reward),
        )

    return rollout(vectorize(env, settings.num_envs), state.actors, key, settings.rollout_length, act, look)


def _estimate(
    settings: OnPolicySettings, nets: ActorCritic, state: OnPolicyState, actors: Actors, steps: Transition
) -> tuple[Batch, Moments]:
    ended = steps.successor.done[..., None]
    _, last_value = _value(
        settings, nets, state.params.critic, actors.carry.critic, *_first((actors.ts, actors.restart))
    )
    following = jnp.concatenate([steps.extras["value"][1:], last_value])
    value = state.returns.restore(steps.extras["value"])
    successor_value = state.returns.restore(jnp.where(ended, steps.outlook, following))
    discount = state.hyper["gamma"] * (1.0 - steps.successor.terminated)
    done = jnp.broadcast_to(ended, value.shape)
    advantage = gae(steps.successor.reward, discount, value, successor_value, done, state.hyper["lam"])
    target, returns = advantage + value, state.returns
    if settings.normalise_values:
        returns = returns.update(target, steps.ts.active, axis=(0, 1), decay=RETURNS_DECAY)
    batch = Batch(
        steps.ts,
        steps.restart,
        steps.action,
        steps.extras["log_prob"],
        returns.normalise(value),
        advantage,
        returns.normalise(target),
    )
    return batch, returns


def _loss(
    settings: OnPolicySettings, nets: ActorCritic, hyper: Hyper, params: ActorCritic, memory: ActorCritic, batch: Batch
) -> tuple[Array, dict[str, Array]]:
    weight = batch.ts.active
    _, logits = nets.actor.apply(params.actor, memory.actor, batch.ts.obs, batch.restart)
    choice = _choice(mask_logits(logits, batch.ts.legal))
    log_prob = choice.log_prob(batch.action)
    advantage = batch.advantage
    if settings.standardise_advantages:
        # Agents with parameters of their own have nothing in common, not even a scale of advantages.
        own_scale = settings.sharing == "independent"
        advantage = masked_standardise(advantage, weight, axis=(0, 1) if own_scale else None)
    _, value = _value(settings, nets, params.critic, memory.critic, batch.ts, batch.restart)
    terms = {
        "policy_loss": ppo_clip(log_prob, batch.log_prob, advantage, hyper["clip"]),
        "value_loss": clipped_value_loss(value, batch.value, batch.target, hyper["value_clip"]),
        "entropy": choice.entropy(),
        # Schulman's low-variance estimate, (r - 1) - log r with r = new / old probability.
        "approx_kl": jnp.expm1(log_prob - batch.log_prob) - (log_prob - batch.log_prob),
    }
    means = {name: masked_mean(term, weight) for name, term in terms.items()}
    loss = means["policy_loss"] + hyper["value_weight"] * means["value_loss"] - hyper["entropy"] * means["entropy"]
    return loss, {"loss": loss, **means}


def _learn(
    settings: OnPolicySettings,
    nets: ActorCritic,
    state: OnPolicyState,
    memory: ActorCritic,
    batch: Batch,
    progress: Array,
    key: Key,
) -> tuple[ActorCritic, Tree, dict[str, Array]]:
    lr = state.hyper["lr"] * ((1.0 - progress) if settings.anneal_lr else 1.0)
    optimiser = _optimiser(settings, state.hyper, lr)
    gradient = jax.grad(functools.partial(_loss, settings, nets, state.hyper), has_aux=True)

    def minibatch(learnt, chosen):
        params, opt_state = learnt
        part = jax.tree.map(lambda x: x[:, chosen], batch)
        grads, metrics = gradient(params, jax.tree.map(lambda x: x[chosen], memory), part)
        updates, opt_state = optimiser.update(grads, opt_state, params)
        metrics["grad_norm"] = optax.tree.norm(grads)
        return (optax.apply_updates(params, updates), opt_state), metrics

    def epoch(learnt, key):
        # Whole environments are shuffled, not single steps: sequences stay whole for networks with memory.
        order = jax.random.permutation(key, settings.num_envs).reshape(settings.minibatches, -1)
        return jax.lax.scan(minibatch, learnt, order)

    keys = jax.random.split(key, settings.epochs)
    learnt: tuple[Any, Any]
    learnt, metrics = jax.lax.scan(epoch, (state.params, state.opt_state), keys)
    params, opt_state = learnt
    return params, opt_state, jax.tree.map(jnp.mean, metrics)


def _policy(settings: OnPolicySettings, spec: Spec) -> Policy:
    nets = _networks(settings, spec)

    def act(params, carry, ts, restart, key, greedy):
        carry, logits = _act(nets, params, carry, ts, restart)
        if greedy:
            return jnp.argmax(logits, axis=-1).astype(jnp.int32), carry
        return sample_index(key, jax.nn.softmax(logits)), carry

    return Policy(nets.actor.carry, act)
