"""The loss and its parts, beside a plain mean over the steps of active agents."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.core.shard import WHOLE, Shard
from jaxmarl_lite.learners import clipped_update
from jaxmarl_lite.learners.actor_critic import ActorCritic, Seen, networks
from jaxmarl_lite.learners.clipped_update import Batch
from jaxmarl_lite.learners.hyper import hyper_leaves
from jaxmarl_lite.learners.presets import make_learner

E, T, N = 8, 5, 2
ORDER = jnp.array([[0, 3, 5, 6], [1, 2, 4, 7]])  # two minibatches
SHARINGS = ("shared", "independent")
any_sharing = pytest.mark.parametrize("sharing", SHARINGS)
pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture
def given(learner_settings, probe):
    """Return a maker of (settings, nets, params, batch): random numbers, of which a third are of inactive agents."""

    def make(sharing="shared", **changes):
        settings = make_learner("ippo", **{**learner_settings, "sharing": sharing, **changes}).settings
        spec, rng = probe(reward=(1.0, 2.0)).spec, np.random.default_rng(0)
        nets = networks(settings, spec)
        params = ActorCritic(nets.actor.init(jax.random.key(0)), nets.critic.init(jax.random.key(1)))
        num, (size,) = spec.num_agents, spec.obs_shape

        def normal(*shape, mean=0.0, scale=1.0):
            return jnp.asarray(rng.normal(mean, scale, shape), jnp.float32)

        seen = Seen(
            normal(E, size, T, num),
            None,
            jnp.ones((E, N, T, num), bool),
            jnp.asarray(rng.random((E, T, num)) < 2 / 3),
            jnp.zeros((E, T), bool),
        )
        action = jnp.asarray(rng.integers(0, N, (E, T, num)), jnp.int32)
        log_prob = normal(E, T, num, mean=-0.7, scale=0.2)
        advantage = normal(E, T, num, mean=3.0, scale=2.0) * jnp.array([1.0, 5.0])
        batch = Batch(seen, action, log_prob, normal(E, T, num), advantage, normal(E, T, num))
        return settings, nets, params, batch

    return make


def standardised(settings, batch, order=ORDER):
    """Return the advantages of each minibatch as the loss sees them, [M, n, T, A], and which of them count."""
    scales = clipped_update._scales(settings, batch, order, WHOLE)
    centre, rate = (x.reshape(len(order), 1, 1, -1) for x in (scales.centre, scales.rate))
    return (np.asarray((batch.advantage[order] - centre) * rate), np.asarray(batch.seen.active[order]))


@any_sharing
def test_advantages_of_each_minibatch_get_mean_zero_and_deviation_one(given, sharing):
    settings, _, _, batch = given(sharing)
    got, active = standardised(settings, batch)
    axes = (1, 2) if sharing == "independent" else (1, 2, 3)
    got = np.ma.masked_array(got, ~active)
    raw = np.ma.masked_array(np.asarray(batch.advantage[ORDER], np.float64), ~active)
    np.testing.assert_allclose(got.mean(axes), 0.0, atol=1e-5)
    np.testing.assert_allclose(got.std(axes), 1.0, rtol=1e-4)
    want = (raw - raw.mean(axes, keepdims=True)) / raw.std(axes, keepdims=True)
    np.testing.assert_allclose(got.compressed(), want.compressed(), rtol=1e-3, atol=1e-4)


@any_sharing
@pytest.mark.parametrize("offset", [1e3, -1e4])
def test_the_scale_is_precise_also_where_the_mean_is_far_larger_than_the_deviation(given, sharing, offset):
    settings, _, _, batch = given(sharing)
    straight, active = standardised(settings, batch)
    moved, _ = standardised(settings, batch._replace(advantage=batch.advantage + offset))
    np.testing.assert_allclose(moved[active], straight[active], rtol=1e-2, atol=1e-2)


@any_sharing
@pytest.mark.parametrize("anything", [np.nan, np.inf, 1e6])
def test_the_scale_does_not_depend_on_what_weighs_nothing(given, sharing, anything):
    settings, _, _, batch = given(sharing)
    other = batch._replace(advantage=jnp.where(batch.seen.active, batch.advantage, anything))
    scales = (clipped_update._scales(settings, each, ORDER, WHOLE) for each in (batch, other))
    jax.tree.map(np.testing.assert_array_equal, *scales)


@any_sharing
@pytest.mark.parametrize("num_active", [0, 1, E])
def test_the_scale_is_finite_where_nothing_varies(given, sharing, num_active):
    settings, _, _, batch = given(sharing)
    seen = batch.seen._replace(active=jnp.zeros_like(batch.seen.active).at[:num_active].set(True))
    got, active = standardised(settings, batch._replace(seen=seen, advantage=jnp.full_like(batch.advantage, 3.0)))
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got[active], 0.0, atol=1e-6)


def test_advantages_may_stay_as_they_are(given):
    settings, _, _, batch = given(standardise_advantages=False)
    np.testing.assert_array_equal(standardised(settings, batch)[0], batch.advantage[ORDER])


@any_sharing
def test_the_scale_is_the_same_if_devices_add_up_their_parts(given, sharing):
    settings, _, _, batch = given(sharing)
    order = jnp.array([[0, 3, 4, 7], [1, 2, 5, 6]])  # a device has the first or the last two of each
    halves = jax.tree.map(lambda x: x.reshape(2, E // 2, *x.shape[1:]), batch)
    parts = jnp.stack([order[:, :2], order[:, 2:] - E // 2])
    by_device = jax.vmap(
        lambda batch, order: clipped_update._scales(settings, batch, order, Shard("devices")), axis_name="devices"
    )
    for mine in (0, 1):
        got = jax.tree.map(lambda x, mine=mine: x[mine], by_device(halves, parts))
        whole = clipped_update._scales(settings, batch, order, WHOLE)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), got, whole)


def plain_loss(settings, nets, batch, params):
    """The loss of a minibatch as Schulman et al. 2017 write it: means over the steps of active agents."""
    active, none = batch.seen.active, jnp.zeros(batch.seen.restart.shape, bool)
    obs = jnp.moveaxis(batch.seen.obs, 1, 0)
    log_probs = jax.nn.log_softmax(nets.actor.apply(params.actor, (), obs, none)[1], axis=0)
    log_prob = jnp.take_along_axis(log_probs, batch.action[None], axis=0)[0]
    value = nets.critic.apply(params.critic, (), obs, none)[1][0]

    def mean(x, axis=None):
        return jnp.sum(jnp.where(active, x, 0.0), axis, keepdims=True) / jnp.sum(active, axis, keepdims=True)

    own = (0, 1) if settings.sharing == "independent" else None
    centred = batch.advantage - mean(batch.advantage, own)
    advantage = centred / jnp.sqrt(mean(centred**2, own))
    ratio = jnp.exp(log_prob - batch.log_prob)
    gain = jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - settings.clip, 1 + settings.clip) * advantage)
    near = batch.value + jnp.clip(value - batch.value, -settings.value_clip, settings.value_clip)
    error = jnp.maximum((value - batch.target) ** 2, (near - batch.target) ** 2) / 2
    entropy = -(jnp.exp(log_probs) * log_probs).sum(0)
    return mean(-gain + settings.value_weight * error - settings.entropy * entropy).sum()


@any_sharing
@pytest.mark.parametrize("parts", [1, 2, 4])
def test_losses_of_parts_add_up_to_the_mean_over_the_minibatch(given, sharing, parts):
    settings, nets, params, batch = given(sharing)
    scale = jax.tree.map(lambda x: x[0], clipped_update._scales(settings, batch, ORDER, WHOLE))
    hyper = hyper_leaves(settings)

    def ours(params):
        cut = [jax.tree.map(lambda x, part=part: x[part], batch) for part in ORDER[0].reshape(parts, -1)]
        return sum(clipped_update._loss(nets, hyper, scale, ActorCritic((), ()), part, params)[0] for part in cut)

    def plain(params):
        return plain_loss(settings, nets, jax.tree.map(lambda x: x[ORDER[0]], batch), params)

    got, want = (jax.jit(jax.value_and_grad(loss))(params) for loss in (ours, plain))
    np.testing.assert_allclose(got[0], want[0], rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), got[1], want[1])


@any_sharing
def test_parameters_are_one_vector_of_each_that_learns_apart(given, sharing):
    settings, _, params, _ = given(sharing)
    flat, restore = clipped_update._flat(settings, params)
    total = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert flat.shape == ((total,) if sharing == "shared" else (2, total // 2))
    jax.tree.map(np.testing.assert_array_equal, restore(flat), params)
    if sharing == "independent":
        changed = restore(flat.at[1].add(1.0))
        for before, after in zip(jax.tree.leaves(params), jax.tree.leaves(changed), strict=True):
            np.testing.assert_array_equal(after[0], before[0])
            assert bool(jnp.all(after[1] != before[1]))
