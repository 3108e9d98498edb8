"""Numbers of environments are leaves, so that instances of one batch may differ in them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.environments.actions import random_legal_action
from jaxmarl_lite.environments.registry import envs, make

BOUND_BY_SIZES_ONLY = {"memory/cue"}
SHIPPED = [name for name in envs() if not name.startswith("probe/") and name not in BOUND_BY_SIZES_ONLY]
PAYOFF = {"matrix/game": {"payoff": [[[1.0, 0.0], [2.0, 3.0]]] * 2}}


@pytest.mark.parametrize("name", SHIPPED)
def test_every_world_has_a_number_to_randomise(name):
    assert jax.tree.leaves(make(name, **PAYOFF.get(name, {})))


RANDOMISED = [
    ("rware/warehouse", {"slip": [0.0, 0.5, 1.0]}),
    ("comm/switch_riddle", {"penalty": [0.0, 1.0, 5.0]}),
    ("memory/team_cue", {"noise": [0.0, 0.5, 1.0]}),
    ("grid/navigation", {"bump_cost": [0.0, 0.5, 2.0]}),
    ("grid/team_navigation", {"distance_cost": [0.0, 0.1, 2.0]}),
]


@pytest.mark.parametrize(("name", "values"), RANDOMISED)
def test_instances_that_differ_in_a_number_play_as_each_would_alone(name, values):
    @jax.jit
    def episode(env):
        state, ts = env.reset(jax.random.key(0))

        def step(world, key):
            state, ts = world
            acting, moving = jax.random.split(key)
            state, ts = env.step(moving, state, random_legal_action(acting, env.spec, ts.legal))
            return (state, ts), (ts.reward, ts.obs)

        return jax.lax.scan(step, (state, ts), jax.random.split(jax.random.key(1), 20))[1]

    many = [make(name, **{key: x}) for key, row in values.items() for x in row]
    together = jax.vmap(episode)(jax.tree.map(lambda *x: jnp.stack([jnp.asarray(each) for each in x]), *many))
    for i, env in enumerate(many):
        alone = episode(env)
        jax.tree.map(lambda x, y, i=i: np.testing.assert_allclose(x[i], y, rtol=1e-5, atol=1e-6), together, alone)
    differ = [not np.array_equal(x[0], x[-1]) for x in together]
    assert any(differ), "the number makes no difference"


def test_who_always_slips_stays_as_it_is_and_who_slips_half_the_time_moves_half_as_often():
    env = make("rware/warehouse", num_agents=1)
    turn = jnp.array([2])

    @jax.jit
    def share_turned(slip):
        env = make("rware/warehouse", num_agents=1, slip=slip)
        keys = jax.random.split(jax.random.key(0), 4000)
        begun = env.reset(jax.random.key(1))[0]
        return jax.vmap(lambda key: env.step(key, begun, turn)[0].agent_dir != begun.agent_dir)(keys).mean()

    assert env.spec.num_agents == 1
    assert float(share_turned(0.0)) == 1.0
    assert float(share_turned(1.0)) == 0.0
    assert abs(float(share_turned(0.5)) - 0.5) < 0.04  # five standard errors


def test_noise_replaces_words_by_uniform_ones():
    env = make("memory/team_cue", noise=1.0)
    begun = env.reset(jax.random.key(0))[0]._replace(time=jnp.asarray(env.delay))
    keys = jax.random.split(jax.random.key(1), 4000)
    words = jax.jit(jax.vmap(lambda key: env.step(key, begun, jnp.array([3, 3]))[0].word))(keys)
    share = np.bincount(np.asarray(words).ravel(), minlength=env.num_cues) / words.size
    np.testing.assert_allclose(share, 1 / env.num_cues, atol=0.03)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("rware/warehouse", {"slip": 1.5}, "slip=1.5 is not allowed: it must be a number from 0 to 1"),
        ("memory/team_cue", {"noise": -0.1}, "noise=-0.1 is not allowed: it must be a number from 0 to 1"),
        ("comm/switch_riddle", {"penalty": -1.0}, "penalty=-1.0 is not allowed"),
        ("grid/navigation", {"step_cost": "much"}, "step_cost='much' is not allowed"),
    ],
)
def test_numbers_that_are_not_allowed_are_named(name, settings, message):
    with pytest.raises(SettingError, match=message):
        make(name, **settings)
