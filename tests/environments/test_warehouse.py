import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.environments.rware.warehouse import Warehouse


def test_episodes_begin_with_all_shelves_at_home_and_as_many_requests_as_asked_for():
    env = Warehouse(num_agents=5, difficulty="hard")
    keys = jax.random.split(jax.random.key(0), 500)
    state = jax.device_get(jax.jit(jax.vmap(lambda key: env.reset(key)[0]))(keys))
    is_home = env.layout.is_home.ravel()
    assert ((state.shelves > 0) == is_home).all()
    assert ((state.shelves == 2).sum(1) == 2).all()
    assert ((state.shelves == 2).any(0) == is_home).all()
    cells = state.agent_pos @ [10, 1]
    assert all(len(set(row)) == 5 for row in cells.tolist())
    assert set(cells.ravel().tolist()) == set(range(110))
    assert set(state.agent_dir.ravel().tolist()) == {0, 1, 2, 3}


def test_a_batch_of_batches_requests_anew_only_where_something_is_delivered():
    env, width = Warehouse(), 10
    resets = jax.jit(jax.vmap(jax.vmap(lambda key: env.reset(key)[0])))
    state = resets(jax.random.split(jax.random.key(0), (2, 3)))
    delivers = jnp.array([[False, True, False], [False, False, False]])
    goal = jnp.array(divmod(env.layout.goals[1], width))
    state = state._replace(
        agent_pos=state.agent_pos.at[..., 0, :].set(jnp.where(delivers[..., None], goal, 0)),
        load=state.load.at[..., 0].set(jnp.where(delivers, 2, 0)),
    )
    numbers = jax.random.uniform(jax.random.key(1), (2, 3, 2))

    def play(state, numbers):
        after, ts = env.play(state, jnp.zeros(2, jnp.int32), numbers)
        return after, ts.obs, ts.reward

    after, obs, reward = together = jax.jit(jax.vmap(jax.vmap(play)))(state, numbers)
    alone = jax.jit(play)
    for i, j in np.ndindex(2, 3):
        one = alone(jax.tree.map(lambda x, i=i, j=j: x[i, j], state), numbers[i, j])
        jax.tree.map(lambda x, y, i=i, j=j: np.testing.assert_array_equal(x[i, j], y), together, one)
    np.testing.assert_array_equal(reward[..., 0], delivers)
    np.testing.assert_array_equal(after.load[..., 0], delivers)
    np.testing.assert_array_equal((after.shelves == 2).sum(-1), (state.shelves == 2).sum(-1) + delivers)
    chosen = np.flatnonzero((after.shelves != state.shelves)[0, 1])
    standing = np.flatnonzero(state.shelves[0, 1] == 1)
    # Of the 32 shelves 2 are requested; a third is on the robot, so that two are left standing and requested.
    assert chosen.tolist() == [standing[int(numbers[0, 1, 1] * 30)]]
    assert (after.shelves == state.shelves)[~np.asarray(delivers)].all()
    assert np.isfinite(obs).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_agents": 1, "difficulty": "hard"}, "num_requests=0 is not allowed"),
        ({"num_requests": 32}, "num_requests=32 is not allowed: it must be an integer from 1 to 31"),
        ({"shelf_columns": 4}, "shelf_columns=4 is not allowed: it must be an odd number"),
        ({"shelf_columns": 1}, "a warehouse with 0 shelves is not allowed"),
        ({"reward": "team"}, "reward='team' is not allowed"),
    ],
)
def test_warehouses_that_cannot_be_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        Warehouse(**settings)
