"""A trained policy, from nothing but the folder of its run."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Env, Key, TimeStep, Tree
from jaxmarl_lite.core.errors import RunError
from jaxmarl_lite.core.settings import require_int
from jaxmarl_lite.learners.learner import Policy
from jaxmarl_lite.learners.replicate import replicate
from jaxmarl_lite.training.folder import RunFolder
from jaxmarl_lite.training.plan import from_config


class Loaded(NamedTuple):
    """What a run's folder holds, ready to play."""

    env: Env
    """the environment that it was trained in"""
    policy: Policy
    params: Tree
    """leaves have a leading axis K of seeds"""
    seeds: int
    block: int
    """of the checkpoint"""


class TrainedPolicy:
    """A team's policy: `action, carry = policy(key, ts, carry)`.

    `ts` is a TimeStep of one environment or, with a leading axis E, of many. `carry` is the policy's memory: None at
    the start of an episode, and then what the call before returned. With `greedy` the likeliest action is taken.
    """

    def __init__(self, env: Env, policy: Policy, params: Tree, *, greedy: bool = True) -> None:
        self.env = env
        self.params = params
        self._policy = policy
        self._act = jax.jit(policy.act, static_argnames="greedy")
        self._greedy = greedy

    def __call__(self, key: Key, ts: TimeStep, carry: Tree | None = None) -> tuple[Array, Tree]:
        """Return the joint action, [A] or [E, A] as `ts` is, and the memory to pass in next time."""
        single = ts.reward.ndim == 1
        batch = jax.tree.map(lambda x: jnp.asarray(x)[None], ts) if single else ts
        num_envs = batch.reward.shape[0]
        memory = self._policy.carry(num_envs) if carry is None else carry
        going_on = jnp.zeros(num_envs, bool)
        keys = jax.random.split(key, num_envs)
        action, memory = self._act(self.params, memory, batch, going_on, keys, greedy=self._greedy)
        return (action[0] if single else action), memory


def load_run(out: str | Path) -> Loaded:
    """Return what the run in `out` has learnt so far.

    Raises SettingError if there is no run, RunError if it has no checkpoint that can be used.
    """
    folder = RunFolder.open(out)
    learner, env, key, plan, _ = from_config(folder.config_of_run())
    shapes = jax.eval_shape(replicate(learner, plan.seeds).init, key, env)
    saved = folder.load(shapes, key)
    if saved is None:
        raise RunError(f"the run in {folder.path} has no checkpoint yet: continue it with resume.")
    block, state = saved
    return Loaded(env, learner.policy(env.spec), learner.params(state), plan.seeds, block)


def load(out: str | Path, *, seed: int = 0, greedy: bool = True) -> TrainedPolicy:
    """Return the policy that seed number `seed` of the run in `out` has learnt; nothing else is needed.

    Raises SettingError if there is no such run or seed, RunError if it has no checkpoint that can be used.
    """
    run = load_run(out)
    require_int("seed", seed, low=0, high=run.seeds - 1)
    params: Any = jax.tree.map(lambda x: x[seed], run.params)
    return TrainedPolicy(run.env, run.policy, params, greedy=greedy)
