"""The loss and its parts, beside plain means over the steps of agents that are active, or at least there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.core.shard import WHOLE, Shard
from jaxmarl_lite.learners import gradient_steps
from jaxmarl_lite.learners.actor_critic import ActorCritic, networks
from jaxmarl_lite.learners.gradient_steps import Batch, Task, scales
from jaxmarl_lite.learners.hyper import hyper_leaves
from jaxmarl_lite.learners.optimiser import as_vector
from jaxmarl_lite.learners.presets import make_learner
from jaxmarl_lite.learners.sight import Seen
from jaxmarl_lite.nn.net import owners

E, T, N = 8, 5, 2
ORDER = jnp.array([[0, 3, 5, 6], [1, 2, 4, 7]])  # two minibatches
SHARINGS = ("shared", "independent")
any_sharing = pytest.mark.parametrize("sharing", SHARINGS)


@pytest.fixture
def given(learner_settings, probe):
    """Return a maker of (task, params): random numbers, of which a third are of agents that wait or are gone."""

    def make(sharing="shared", **changes):
        settings = make_learner("ippo", **{**learner_settings, "sharing": sharing, **changes}).settings
        spec, rng = probe(reward=(1.0, 2.0)).spec, np.random.default_rng(0)
        nets = networks(settings, spec)
        params = nets.init(jax.random.key(0), jax.random.key(1))
        num, (size,) = spec.num_agents, spec.obs_shape

        def normal(*shape, mean=0.0, scale=1.0):
            return jnp.asarray(rng.normal(mean, scale, shape), jnp.float32)

        chance = jnp.asarray(rng.random((E, T, num)))
        seen = Seen(
            normal(E, size, T, num),
            None,
            jnp.ones((E, N, T, num), bool),
            chance < 2 / 3,
            chance < 5 / 6,
            jnp.zeros((E, T), bool),
        )
        action = jnp.asarray(rng.integers(0, N, (E, T, num)), jnp.int32)
        log_prob = normal(E, T, num, mean=-0.7, scale=0.2)
        advantage = normal(E, T, num, mean=3.0, scale=2.0) * jnp.array([1.0, 5.0])
        batch = Batch(seen, action, log_prob, normal(E, T, num), advantage, normal(E, T, num))
        sets, hyper, none = owners(spec, sharing), hyper_leaves(settings), ActorCritic((), ())
        return Task(settings, nets, sets, hyper, jnp.zeros(()), WHOLE, none, batch), params

    return make


def standardised(task, order=ORDER):
    """Return the advantages of each minibatch as the loss sees them, [M, n, T, A], and which of them count."""
    scale, batch = scales(task, order), task.batch
    centre, rate = (x[:, None, None] for x in (scale.centre, scale.rate))
    return (np.asarray((batch.advantage[order] - centre) * rate), np.asarray(batch.seen.active[order]))


@any_sharing
def test_advantages_of_each_minibatch_get_mean_zero_and_deviation_one(given, sharing):
    task, _ = given(sharing)
    batch, (got, active) = task.batch, standardised(task)
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
    task, _ = given(sharing)
    straight, active = standardised(task)
    moved, _ = standardised(task._replace(batch=task.batch._replace(advantage=task.batch.advantage + offset)))
    np.testing.assert_allclose(moved[active], straight[active], rtol=1e-2, atol=1e-2)


@any_sharing
@pytest.mark.parametrize("anything", [np.nan, np.inf, 1e6])
def test_the_scale_does_not_depend_on_what_weighs_nothing(given, sharing, anything):
    task, _ = given(sharing)
    batch = task.batch
    other = batch._replace(advantage=jnp.where(batch.seen.active, batch.advantage, anything))
    both = (scales(task._replace(batch=each), ORDER) for each in (batch, other))
    jax.tree.map(np.testing.assert_array_equal, *both)


@any_sharing
@pytest.mark.parametrize("num_active", [0, 1, E])
def test_the_scale_is_finite_where_nothing_varies(given, sharing, num_active):
    task, _ = given(sharing)
    batch = task.batch
    seen = batch.seen._replace(active=jnp.zeros_like(batch.seen.active).at[:num_active].set(True))
    batch = batch._replace(seen=seen, advantage=jnp.full_like(batch.advantage, 3.0))
    got, active = standardised(task._replace(batch=batch))
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got[active], 0.0, atol=1e-6)


def test_advantages_may_stay_as_they_are(given):
    task, _ = given(standardise_advantages=False)
    np.testing.assert_array_equal(standardised(task)[0], task.batch.advantage[ORDER])


@any_sharing
def test_the_scale_is_the_same_if_devices_add_up_their_parts(given, sharing):
    task, _ = given(sharing)
    order = jnp.array([[0, 3, 4, 7], [1, 2, 5, 6]])  # a device has the first or the last two of each
    halves = jax.tree.map(lambda x: x.reshape(2, E // 2, *x.shape[1:]), task.batch)
    parts = jnp.stack([order[:, :2], order[:, 2:] - E // 2])
    by_device = jax.vmap(
        lambda batch, order: scales(task._replace(batch=batch, shard=Shard("devices")), order), axis_name="devices"
    )
    for mine in (0, 1):
        got = jax.tree.map(lambda x, mine=mine: x[mine], by_device(halves, parts))
        whole = scales(task, order)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), got, whole)


def plain_loss(task, batch, params):
    """The loss of a minibatch as Schulman et al. 2017 write it: means over steps of active agents, or of any there."""
    settings, nets = task.settings, task.nets
    active, none = batch.seen.active, jnp.zeros(batch.seen.restart.shape, bool)
    obs = jnp.moveaxis(batch.seen.obs, 1, 0)
    log_probs = jax.nn.log_softmax(nets.actor.apply(params.actor, (), obs, none)[1], axis=0)
    log_prob = jnp.take_along_axis(log_probs, batch.choice[None], axis=0)[0]
    value = nets.critic.apply(params.critic, (), obs, none)[1][0]

    def mean(x, axis=None, counts=active):
        return jnp.sum(jnp.where(counts, x, 0.0), axis, keepdims=True) / jnp.sum(counts, axis, keepdims=True)

    own = (0, 1) if settings.sharing == "independent" else None
    centred = batch.advantage - mean(batch.advantage, own)
    advantage = centred / jnp.sqrt(mean(centred**2, own))
    ratio = jnp.exp(log_prob - batch.log_prob)
    gain = jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - settings.clip, 1 + settings.clip) * advantage)
    near = batch.value + jnp.clip(value - batch.value, -settings.value_clip, settings.value_clip)
    error = jnp.maximum((value - batch.target) ** 2, (near - batch.target) ** 2) / 2
    entropy = -(jnp.exp(log_probs) * log_probs).sum(0)
    value_loss = mean(error, counts=batch.seen.present)
    return (mean(-gain - settings.entropy * entropy) + settings.value_weight * value_loss).sum()


@any_sharing
@pytest.mark.parametrize("parts", [1, 2, 4])
def test_losses_of_parts_add_up_to_the_mean_over_the_minibatch(given, sharing, parts):
    task, params = given(sharing)
    scale = jax.tree.map(lambda x: x[0], scales(task, ORDER))

    def ours(params):
        cut = [task.part(part) for part in ORDER[0].reshape(parts, -1)]
        return sum(gradient_steps._loss(task, scale, *part, params)[0] for part in cut)

    def plain(params):
        return plain_loss(task, task.part(ORDER[0])[1], params)

    got, want = (jax.jit(jax.value_and_grad(loss))(params) for loss in (ours, plain))
    np.testing.assert_allclose(got[0], want[0], rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), got[1], want[1])


@any_sharing
def test_parameters_are_one_vector_of_each_that_learns_apart(given, sharing):
    task, params = given(sharing)
    flat, restore = as_vector(params, task.learns_apart)
    total = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert flat.shape == ((total,) if sharing == "shared" else (2, total // 2))
    jax.tree.map(np.testing.assert_array_equal, restore(flat), params)
    if sharing == "independent":
        changed = restore(flat.at[1].add(1.0))
        for before, after in zip(jax.tree.leaves(params), jax.tree.leaves(changed), strict=True):
            np.testing.assert_array_equal(after[0], before[0])
            assert bool(jnp.all(after[1] != before[1]))
