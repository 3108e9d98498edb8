import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.ops.returns import backward, gae, lambda_returns, n_step, n_step_returns, team_mean, vtrace

SHAPES = [(1,), (7,), (6, 3), (5, 2, 3)]


def naive_backward(x, decay):
    y, later = np.zeros_like(x), np.zeros_like(x[0])
    for t in reversed(range(len(x))):
        later = x[t] + decay[t] * later
        y[t] = later
    return y


def naive_gae(reward, terminated, done, value, successor_value, gamma, lam):
    """The sum of discounted errors, from each step to the end of its episode: no recurrence."""
    out = np.zeros_like(reward)
    for index in np.ndindex(*reward.shape):
        weight = 1.0
        for t in range(index[0], reward.shape[0]):
            at = (t, *index[1:])
            bootstrap = 0.0 if terminated[at] else gamma * successor_value[at]
            out[index] += weight * (reward[at] + bootstrap - value[at])
            if done[at]:
                break
            weight *= gamma * lam
    return out


@pytest.mark.parametrize("shape", SHAPES)
def test_backward_is_the_naive_loop(shape):
    rng = np.random.default_rng(1)
    x, decay = (rng.normal(size=shape).astype(np.float32) for _ in range(2))
    np.testing.assert_allclose(jax.jit(backward)(x, decay), naive_backward(x, decay), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("gamma", "lam"), [(0.9, 0.7), (1.0, 1.0), (0.99, 0.0)])
def test_gae_is_the_sum_of_errors_to_the_end_of_the_episode(shape, gamma, lam):
    rng = np.random.default_rng(2)
    reward, value, successor = (rng.normal(size=shape).astype(np.float32) for _ in range(3))
    terminated = rng.random(shape) < 0.2
    done = terminated | (rng.random(shape) < 0.2)
    got = jax.jit(gae)(reward, gamma * (1.0 - terminated), value, successor, done, lam)
    want = naive_gae(reward, terminated, done, value, successor, gamma, lam)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def one_episode(*, terminated, truncated):
    """Three steps of reward 1, of which the second ends an episode; every value is 10, gamma 0.5, lambda 1."""
    terminated, truncated = jnp.array([False, terminated, False]), jnp.array([False, truncated, False])
    ten = jnp.full(3, 10.0)
    return gae(jnp.ones(3), 0.5 * (1.0 - terminated), ten, ten, terminated | truncated, 1.0)


def test_gae_bootstraps_through_truncation_and_not_through_termination():
    # By hand: an error is 1 + 0.5 * 10 - 10 = -4, or 1 - 10 = -9 where terminated.
    going_on = one_episode(terminated=False, truncated=False)  # -4 + 0.5 * (-4 + 0.5 * -4)
    np.testing.assert_allclose(going_on, [-7.0, -6.0, -4.0])
    truncated = one_episode(terminated=False, truncated=True)  # the sum stops, the value goes on: -4 + 0.5 * -4
    np.testing.assert_allclose(truncated, [-6.0, -4.0, -4.0])
    terminated = one_episode(terminated=True, truncated=False)  # -4 + 0.5 * -9
    np.testing.assert_allclose(terminated, [-8.5, -9.0, -4.0])


def test_who_is_gone_adds_nothing_to_the_mean_of_the_team():
    reward = jnp.array([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0]])
    gone = jnp.array([[False, False, False], [True, False, False]])
    np.testing.assert_allclose(team_mean(reward, gone), [[2.0], [1.0]])


# The vectors of rlax's own tests.
CONSTANT_DISCOUNT = ([0, 0, 1, 0, -0.5], [0.99] * 5, [1, 4, -3, -2, -1, -1])
VARYING_DISCOUNT = ([0, 0, 0, 0, 1], [0.9, 0.9, 0.9, 0, 0.9], [-3, -2, -1, 0, 5, -1])


@pytest.mark.parametrize(
    ("case", "lam", "advantage"),
    [
        (CONSTANT_DISCOUNT, 1.0, [-1.45118, -4.4557, 2.5396, 0.5249, -0.49]),
        (CONSTANT_DISCOUNT, 0.7, [-0.676979, -5.248167, 2.4846, 0.6704, -0.49]),
        (CONSTANT_DISCOUNT, 0.4, [0.56731, -6.042, 2.3431, 0.815, -0.49]),
        (VARYING_DISCOUNT, 1.0, [3, 2, 1, 0, -4.9]),
        (VARYING_DISCOUNT, 0.7, [2.2899, 1.73, 1, 0, -4.9]),
        (VARYING_DISCOUNT, 0.4, [1.725, 1.46, 1, 0, -4.9]),
    ],
)
def test_gae_gives_the_published_vectors_of_rlax(case, lam, advantage):
    reward, discount, values = (jnp.asarray(x, jnp.float32) for x in case)
    got = gae(reward, discount, values[:-1], values[1:], jnp.zeros(5, bool), lam)
    np.testing.assert_allclose(got, advantage, rtol=0.0, atol=1e-3)  # published rounded; the tolerance of rlax


@pytest.mark.parametrize(
    ("lam", "returns"),
    [(0.75, [1.6460547, 0.72281253, 0.7375001, 0.6500001, 3.4]), (1.0, [1.315, 0.63, 0.7, 1.7, 3.4])],
)
def test_backward_gives_the_published_lambda_returns_of_rlax(lam, returns):
    reward, discount, successor = np.array([[1, 0, -1, 0, 1], [0.5, 0.9, 1, 0.5, 0.8], [3, 1, 5, -5, 3]], np.float32)
    # G_t = r_t + discount_t ((1 - lam) v_{t+1} + lam G_{t+1}), and G_T = v_T.
    x = reward + discount * (1.0 - lam) * successor
    x[-1] += discount[-1] * lam * successor[-1]
    np.testing.assert_allclose(backward(jnp.asarray(x), jnp.asarray(discount * lam)), returns, rtol=1e-5)


V_TRACE = [
    {
        "behaviour": [[8.9, 0.7], [5, 1], [0.6, 0.1], [-0.9, -0.1]],
        "target": [[0.4, 0.5], [9.2, 8.8], [0.7, 4.4], [7.9, 1.4]],
        "action": [0, 1, 0, 0],
        "reward": [-1.3, -1.3, 2.3, 42],
        "discount": [0, 0.89, 0.85, 0.99],
        "value": [2.1, 1.1, -3.1, 0, 8.4],
        "errors": [-1.6155143, -3.4973226, 1.8670533, 50.316002],
    },
    {
        "behaviour": [[0.3, -5], [1, -8], [0.3, 1.7], [4.7, 3.3]],
        "target": [[1, 0.9], [1, -1], [-4.3, 8.7], [0.8, 0.3]],
        "action": [1, 0, 0, 1],
        "reward": [1.3, 5.3, -3.3, -5],
        "discount": [0.88, 1, 0.83, 0.95],
        "value": [3.1, 0.1, -1.1, 7.4, -1.2],
        "errors": [1.4662437, 3.6116405, -8.33e-5, -13.54],
    },
]


def test_shapes_must_agree():
    with pytest.raises(AssertionError):
        backward(jnp.ones((3, 2)), jnp.ones(3))
    with pytest.raises(AssertionError):
        gae(*[jnp.ones((3, 2))] * 4, jnp.zeros(3, bool), 0.9)


def naive_n_step(reward, terminated, done, value, successor_value, gamma, n):
    """Rewards of n steps, and the value beyond the last of them that belongs to the episode."""
    out = np.zeros_like(reward)
    for index in np.ndindex(*reward.shape):
        weight = 1.0
        for t in range(index[0], min(index[0] + n, reward.shape[0])):
            at = (t, *index[1:])
            out[index] += weight * reward[at]
            weight *= 0.0 if terminated[at] else gamma
            if done[at]:
                break
        out[index] += weight * successor_value[at] - value[index]
    return out


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_n_step_returns_are_the_naive_loop(shape, n):
    reward, value, successor, terminated, done = random_rollout(shape)
    got = jax.jit(n_step, static_argnums=5)(reward, 0.9 * (1.0 - terminated), value, successor, done, n)
    want = naive_n_step(reward, terminated, done, value, successor, 0.9, n)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def random_rollout(shape):
    rng = np.random.default_rng(3)
    reward, value, successor = (rng.normal(size=shape).astype(np.float32) for _ in range(3))
    # As in a rollout, the next step's value is the successor's but where an episode ended.
    terminated = rng.random(shape) < 0.2
    done = terminated | (rng.random(shape) < 0.2)
    successor[:-1] = np.where(done[:-1], successor[:-1], value[1:])
    return reward, value, successor, terminated, done


def test_one_step_and_endless_steps_are_generalised_advantages_with_lambda_zero_and_one():
    reward, value, successor, terminated, done = random_rollout((9, 4))
    given = (reward, 0.9 * (1.0 - terminated), value, successor, done)
    np.testing.assert_allclose(n_step(*given, 1), gae(*given, 0.0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(n_step(*given, 9), gae(*given, 1.0), rtol=1e-4, atol=1e-5)


def test_v_trace_of_the_policy_itself_is_generalised_advantages():
    reward, value, successor, terminated, done = random_rollout((9, 4))
    given = (reward, 0.9 * (1.0 - terminated), value, successor, done)
    correction, advantage = vtrace(*given, jnp.zeros((9, 4)), 1.0)
    np.testing.assert_allclose(correction, gae(*given, 1.0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(advantage, gae(*given, 1.0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", V_TRACE)
def test_v_trace_gives_the_published_vectors_of_rlax(case):
    """rlax's tests of v-trace: errors and, clipped at 1 as well, advantages of the policy gradient."""
    behaviour, target, reward, discount, value = (
        jnp.asarray(case[name], jnp.float32) for name in ("behaviour", "target", "reward", "discount", "value")
    )
    played = (jnp.arange(4), jnp.asarray(case["action"]))
    log_ratio = jax.nn.log_softmax(target)[played] - jax.nn.log_softmax(behaviour)[played]
    done = jnp.zeros(4, bool)
    correction, advantage = vtrace(reward, discount, value[:-1], value[1:], done, log_ratio, 1.0)
    np.testing.assert_allclose(correction, case["errors"], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(advantage, case["errors"], rtol=1e-4, atol=1e-6)


def test_v_trace_stops_where_an_episode_ended():
    reward, value, successor, terminated, done = random_rollout((9, 4))
    done[4], terminated[4] = True, False
    log_ratio = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    given = (reward, 0.9 * (1.0 - terminated), value, successor, done, log_ratio, 0.8)
    later = [x.copy() if isinstance(x, np.ndarray) else x for x in given]
    later[0][5:] += 100.0
    for straight, changed in zip(vtrace(*given), vtrace(*later), strict=True):
        np.testing.assert_array_equal(straight[:5], changed[:5])
        assert (np.asarray(straight[5:]) != np.asarray(changed[5:])).any()


def naive_lambda_returns(reward, terminated, done, successor_value, gamma, lam):
    """The mixture of the returns of all lengths, each added up by itself."""
    out = np.zeros_like(reward)
    for index in np.ndindex(*reward.shape):
        sums, weight, total = 0.0, 1.0, 0.0
        for t in range(index[0], reward.shape[0]):
            at = (t, *index[1:])
            length = t - index[0]
            sums += gamma**length * reward[at]
            bootstrap = 0.0 if terminated[at] else gamma ** (length + 1) * successor_value[at]
            is_last = done[at] or t == reward.shape[0] - 1
            total += weight * (1.0 if is_last else 1.0 - lam) * (sums + bootstrap)
            weight *= lam
            if is_last:
                break
        out[index] = total
    return out


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("gamma", "lam"), [(0.9, 0.7), (1.0, 1.0), (0.99, 0.0)])
def test_lambda_returns_mix_those_of_all_lengths(shape, gamma, lam):
    rng = np.random.default_rng(4)
    reward, successor = (rng.normal(size=shape).astype(np.float32) for _ in range(2))
    terminated = rng.random(shape) < 0.2
    done = terminated | (rng.random(shape) < 0.2)
    got = jax.jit(lambda_returns)(reward, gamma * (1.0 - terminated), successor, done, lam)
    want = naive_lambda_returns(reward, terminated, done, successor, gamma, lam)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


# The vectors of rlax's own tests: lambda 0.75, then the same rewards after five and three steps.
MIXED = [jnp.array(x, jnp.float32) for x in ([1, 0, -1, 0, 1], [0.5, 0.9, 1, 0.5, 0.8], [3, 1, 5, -5, 3])]
GOING_ON = jnp.zeros(5, bool)


def test_lambda_returns_are_those_of_rlax():
    want = [1.6460547, 0.72281253, 0.7375001, 0.6500001, 3.4]
    np.testing.assert_allclose(lambda_returns(*MIXED, GOING_ON, 0.75), want, rtol=1e-6)


@pytest.mark.parametrize(("n", "want"), [(5, [1.315, 0.63, 0.7, 1.7, 3.4]), (3, [2.8, -3.15, 0.7, 1.7, 3.4])])
def test_n_step_returns_are_those_of_rlax(n, want):
    np.testing.assert_allclose(n_step_returns(*MIXED, GOING_ON, n), want, rtol=1e-5)
