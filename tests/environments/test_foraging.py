import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.environments.lbf.foraging import LOAD, Foraging


def resets(env, episodes=1000):
    return jax.device_get(
        jax.jit(jax.vmap(lambda key: env.reset(key)[0]))(jax.random.split(jax.random.key(0), episodes))
    )


@pytest.mark.parametrize("rule", ["v3", "paper"])
def test_levels_and_places_are_all_those_that_the_rule_allows(rule):
    env = Foraging(rows=7, columns=6, num_agents=4, num_foods=3, food_rule=rule)
    state = resets(env)
    assert set(state.agent_level.ravel().tolist()) == {1, 2}
    lowest = np.sort(state.agent_level, axis=1)[:, :3].sum(1)
    for total in (3, 4, 5, 6):
        levels = set(state.food_level[lowest == total].ravel().tolist()) - {0}
        assert levels == set(range(1, total + (rule == "v3")))
    food, there = state.food_pos, state.food_level > 0
    assert there[:, 0].mean() > 0.5
    assert {tuple(cell) for cell in food[there].tolist()} == {(r, c) for r in range(1, 6) for c in range(1, 5)}
    apart = np.abs(food[:, :, None] - food[:, None]).sum(-1)
    assert (apart[there[:, :, None] & there[:, None] & ~np.eye(3, dtype=bool)] > 2).all()
    agents = state.agent_pos @ [6, 1]
    assert all(len(set(row)) == 4 for row in agents.tolist())
    assert set(agents.ravel().tolist()) == set(range(42))
    assert not (agents[:, :, None] == np.where(there, food @ [6, 1], -1)[:, None]).any()
    np.testing.assert_array_equal(state.food_total, state.food_level.sum(1))


def test_cooperative_food_needs_the_three_lowest_levels():
    state = resets(Foraging(num_agents=4, num_foods=2, cooperative=True), 200)
    lowest = np.sort(state.agent_level, axis=1)[:, :3].sum(1)
    assert ((state.food_level == lowest[:, None]) | (state.food_level == 0)).all()


def test_a_batch_of_other_penalties_gives_what_each_of_them_gives():
    env, key, penalty = Foraging(rows=5, num_foods=1), jax.random.key(0), jnp.array([0.0, 0.5, 2.0])
    state, _ = jax.jit(env.reset)(key)
    state = state._replace(
        agent_pos=jnp.array([[2, 1], [0, 0]]),
        agent_level=jnp.array([1, 1]),
        food_pos=jnp.array([[2, 2]]),
        food_level=jnp.array([2]),
        food_total=jnp.array(2),
    )

    def outcome(penalty):
        after, ts = dataclasses.replace(env, penalty=penalty).step(key, state, jnp.array([LOAD, 0]))
        return after.food_level, ts.obs, ts.reward

    alone = [jax.jit(outcome)(x) for x in penalty]
    together = jax.jit(jax.vmap(outcome))(penalty)
    jax.tree.map(lambda x, *y: np.testing.assert_array_equal(x, np.stack(y)), together, *alone)
    np.testing.assert_array_equal(together[2], [[0.0, 0.0], [-0.5, 0.0], [-2.0, 0.0]])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rows": 2}, "rows=2 is not allowed: it must be an integer from 3"),
        ({"food_rule": "v2"}, "food_rule='v2' is not allowed: it must be one of v3, paper"),
        ({"penalty": -1.0}, "penalty=-1.0 is not allowed"),
        ({"rows": 3, "num_agents": 9}, "num_agents=9 is not allowed: a grid of 3x3 must hold them and food"),
    ],
)
def test_worlds_that_cannot_be_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        Foraging(**settings)
