"""What tests of learning share: a learner's whole run, and what came of it, as one program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.training.evaluate import evaluate

KEY = jax.random.key(0)


def greedy_returns(learner, env, state):
    """Return the mean return of each agent in greedy episodes [A]."""
    return evaluate(learner.policy(env.spec), learner.params(state), env, KEY, episodes=64).episode_return.mean(0)


@pytest.fixture(scope="session")
def learn():
    """Return a function that lets a learner learn, and then shows what greedy play brings, or what `show` says.

    With `also` it shows both, what greedy play brings and what that says.
    """

    def learn(learner, env, updates, show=greedy_returns, also=None):
        @jax.jit
        def run(env):
            def update(state, index):
                return learner.step(state, env, index / updates)[0], None

            state = jax.lax.scan(update, learner.init(KEY, env), jnp.arange(updates))[0]
            shown = show(learner, env, state)
            return shown if also is None else (shown, also(learner, env, state))

        return jax.tree.map(np.asarray, run(env))

    return learn
