import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.environments.matrix.two_step import TwoStep
from jaxmarl_lite.environments.registry import make

KEY = jax.random.key(0)
ACTIONS = list(itertools.product(range(2), repeat=2))


@jax.jit
def play(env, first, second):
    """The steps of a whole game."""
    state, begun = env.reset(KEY)
    state, between = env.step(KEY, state, first)
    return begun, between, env.step(KEY, state, second)[1]


@pytest.mark.parametrize("first", ACTIONS)
@pytest.mark.parametrize("second", ACTIONS)
def test_agent_0_chooses_the_table_and_both_are_paid_for_its_cell(first, second):
    begun, between, last = play(make("matrix/two_step"), jnp.array(first), jnp.array(second))
    paid = 7.0 if first[0] == 0 else {(0, 0): 0.0, (0, 1): 1.0, (1, 0): 1.0, (1, 1): 8.0}[second]
    np.testing.assert_array_equal(between.reward, [0.0, 0.0])
    np.testing.assert_array_equal(last.reward, [paid, paid])
    seen = np.eye(3)[[0, 1 + first[0], 1 + first[0]]]
    for ts, view in zip((begun, between, last), seen, strict=True):
        np.testing.assert_array_equal(ts.obs, [view, view])
        np.testing.assert_array_equal(ts.state, view)
    assert [bool(ts.terminated.all()) for ts in (begun, between, last)] == [False, False, True]
    assert not any(bool(ts.truncated) for ts in (begun, between, last))


def test_a_random_policy_is_paid_what_the_text_says():
    env = make("matrix/two_step")
    games = jnp.array(list(itertools.product(ACTIONS, ACTIONS)))
    returns = jax.vmap(lambda game: play(env, *game)[2].reward[0])(games)
    assert float(returns.mean()) == 4.75
    assert float(returns.max()) == 8.0


def test_payoffs_are_leaves_so_that_other_games_do_not_recompile():
    traces = []

    @jax.jit
    def paid(env):
        traces.append(env)
        return [play(env, jnp.array([first, 0]), jnp.array([1, 0]))[2].reward[0] for first in range(2)]

    assert paid(TwoStep()) == [7.0, 1.0]
    assert paid(TwoStep(safe=2.5, risky=[[0, 0], [-3, 9]])) == [2.5, -3.0]
    assert len(traces) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"safe": float("nan")}, "safe=nan is not allowed: it must be a finite number."),
        ({"safe": "much"}, "safe='much' is not allowed: it must be a finite number."),
        ({"risky": [[0, 1], [1, float("inf")]]}, "it must be two rows of two finite numbers."),
        ({"risky": [0, 1, 1, 8]}, r"risky=\[0, 1, 1, 8\] is not allowed: it must be two rows of two finite numbers."),
        ({"risky": [[0, 1], [1]]}, "it must be two rows of two finite numbers."),
        ({"risky": ()}, "it must be two rows of two finite numbers."),
    ],
)
def test_a_payoff_that_is_none_is_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        make("matrix/two_step", **settings)
