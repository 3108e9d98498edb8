import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.nn.attention import Attention

SIZE, ENVS, STEPS, AGENTS = 8, 2, 3, 4
ATTENTION = Attention(heads=2)
ASKING, TELLING = (jax.random.normal(jax.random.key(n), (SIZE, ENVS, STEPS, AGENTS)) for n in (1, 2))
EVERYBODY = jnp.ones((ENVS, STEPS, AGENTS), bool)


@pytest.fixture(scope="module")
def params():
    return jax.jit(ATTENTION.init)(jax.random.key(0), ASKING, TELLING, EVERYBODY)


def naive(params, active):
    """One agent, environment and step after another."""
    query, key, value = (params["params"][f"Dense_{n}"]["kernel"].T for n in range(3))
    heard = np.zeros(ASKING.shape)
    for env, step, agent in np.ndindex(ENVS, STEPS, AGENTS):
        others = [other for other in range(AGENTS) if other != agent and active[env, step, other]]
        for head in range(2):
            part = slice(4 * head, 4 * head + 4)
            asked = (query @ ASKING[:, env, step, agent])[part]
            scores = [float((key @ TELLING[:, env, step, other])[part] @ asked) / 2.0 for other in others]
            shares = np.exp(scores) / np.sum(np.exp(scores))
            for share, other in zip(shares, others, strict=True):
                heard[part, env, step, agent] += share * np.maximum(value @ TELLING[:, env, step, other], 0.0)[part]
    return heard


@pytest.mark.parametrize("num_active", [4, 2, 1])
def test_what_is_heard_is_what_each_asks_for_of_all_others(params, num_active):
    active = jnp.broadcast_to(jnp.arange(AGENTS) < num_active, EVERYBODY.shape)
    heard = jax.jit(ATTENTION.apply)(params, ASKING, TELLING, active)
    np.testing.assert_allclose(heard, naive(params, np.asarray(active)), rtol=1e-4, atol=1e-5)
    if num_active == 1:
        assert not np.asarray(heard)[..., 0].any()  # the only one that is there


def test_gradients_are_finite_where_nobody_is_heard(params):
    nobody = jnp.zeros_like(EVERYBODY)
    slope = jax.jit(jax.grad(lambda params: jnp.square(ATTENTION.apply(params, ASKING, TELLING, nobody)).sum()))(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))
