import jax
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
