import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.figure import Figure

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.environments.butterfly import pistonball
from jaxmarl_lite.environments.butterfly.pistonball import HIGHEST, LOWEST, STRIDE, Pistonball
from jaxmarl_lite.environments.vectorize import vectorize


@pytest.fixture(scope="module")
def small():
    return Pistonball(num_pistons=4)


@pytest.fixture(scope="module")
def step(small):
    return jax.jit(small.step)


@pytest.fixture(scope="module")
def begun(small):
    """The start of an episode of four pistons."""
    return jax.jit(small.reset)(jax.random.key(0))[0]


def put(state, x, y=400.0, vel=(0.0, 0.0)):
    return state._replace(ball=state.ball._replace(pos=jnp.asarray([x, y]), vel=jnp.asarray(vel)))


def wave(env, ts):
    """Return the actions of pistons that go up behind the ball, and down otherwise."""
    behind = (ts.obs[..., 5] > 0) & (ts.obs[..., 6] < -0.1)
    return jnp.where(behind, 1.0, -1.0)[..., None]


def test_a_wave_carries_the_ball_to_the_wall_for_almost_100():
    env, num = Pistonball(num_pistons=12), 32
    venv = vectorize(env, num)

    def play(key):
        def step(world, key):
            state, ts, alive, total, won = world
            state, successor, ts = venv.step(key, state, wave(env, ts))
            total, won = total + alive * successor.reward[:, 0], won + alive * successor.terminated[:, 0]
            return (state, ts, alive & ~successor.done, total, won), None

        begun = (*venv.reset(key), jnp.ones(num, bool), jnp.zeros(num), jnp.zeros(num))
        return jax.lax.scan(step, begun, jax.random.split(key, 60))[0][3:]

    total, won = jax.jit(play)(jax.random.key(0))
    assert won.mean() > 0.9
    np.testing.assert_allclose(total[won > 0], 97.5, atol=4.0)


def test_reward_is_the_share_of_the_way_and_the_penalty(begun, step):
    state = put(begun, 150.7, y=-2000.0)._replace(gap=jnp.asarray(75.0), start=jnp.asarray(80.0))
    state, ts = step(jax.random.key(0), state, jnp.zeros((4, 1)))
    np.testing.assert_allclose(ts.reward, 100.0 * (75.0 - 70.0) / 80.0 - 0.1, rtol=1e-5)
    assert float(state.gap) == 70.0
    assert not ts.done


@pytest.mark.parametrize(("x", "vel", "ends"), [(84.0, 0.0, False), (130.0, -240.0, True), (81.5, 0.0, True)])
def test_the_episode_ends_when_the_ball_is_or_will_be_at_the_wall(begun, step, x, vel, ends):
    # In free fall the ball moves by four times a twentieth of its velocity in a step of four pistons.
    state = put(begun, x, y=-2000.0, vel=(vel, 0.0))._replace(time=jnp.asarray(7))
    after, ts = step(jax.random.key(0), state, jnp.zeros((4, 1)))
    assert bool(ts.terminated.all()) == ends
    assert not ts.truncated
    penalty = 0.0 if ends else -0.1
    np.testing.assert_allclose(ts.reward, 100.0 * (state.gap - after.gap) / state.start + penalty, rtol=1e-5, atol=1e-5)


def test_the_last_step_is_truncated_only_if_the_ball_is_not_at_the_wall(begun, step):
    last = begun._replace(time=jnp.asarray(pistonball.HORIZON - 1))
    assert step(jax.random.key(0), last, jnp.zeros((4, 1)))[1].truncated
    ts = step(jax.random.key(0), put(last, 81.0), jnp.zeros((4, 1)))[1]
    assert ts.terminated.all()
    assert not ts.truncated


def test_pistons_go_up_by_four_pixels_and_stay_on_their_way(begun, step):
    state = begun._replace(pistons=jnp.asarray([LOWEST, HIGHEST, 450.0, 450.0]))
    after, _ = step(jax.random.key(0), state, jnp.asarray([[-1.0], [1.0], [0.5], [9.0]]))
    np.testing.assert_allclose(after.pistons, [LOWEST, HIGHEST, 450.0 - STRIDE / 2, 450.0 - STRIDE])


def test_discrete_actions_are_down_stay_and_up():
    env = Pistonball(num_pistons=3, continuous=False)
    state, _ = env.reset(jax.random.key(0))
    state = state._replace(pistons=jnp.full(3, 460.0))
    after, _ = jax.jit(env.step)(jax.random.key(0), state, jnp.asarray([0, 1, 2]))
    np.testing.assert_allclose(after.pistons, [464.0, 460.0, 456.0])


def test_the_ball_starts_near_the_right_wall_and_the_pistons_low():
    state, _ = jax.jit(jax.vmap(Pistonball().reset))(jax.random.split(jax.random.key(0), 500))
    x, y = state.ball.pos.T
    assert (x.min(), x.max()) == (740.0, 800.0)
    assert (y.min(), y.max()) == (395.0, 425.0)
    np.testing.assert_array_equal(np.unique(state.pistons), np.arange(463.0, 492.0, 4.0))
    assert np.abs(state.ball.spin).max() <= 6 * np.pi < 1.1 * np.abs(state.ball.spin).max()
    np.testing.assert_array_equal(state.gap, x - 80.0)


def test_nothing_is_drawn_if_it_is_not_asked_for():
    state, _ = jax.jit(Pistonball(random_drop=False, random_rotate=False).reset)(jax.random.key(3))
    np.testing.assert_array_equal(state.ball.pos, [770.0, 410.0])
    assert float(state.ball.spin) == 0.0


def test_the_observation_is_that_of_its_table(small, begun):
    state = put(begun, 75.0, y=391.0, vel=(50.0, 200.0))
    turned = state.ball._replace(angle=jnp.asarray(0.5), spin=jnp.asarray(3.0 * np.pi))
    state = state._replace(ball=turned, pistons=jnp.asarray([491.0, 475.0, 459.0, 427.0]))
    obs = np.asarray(small.observe(state).obs)
    motion = [0.5, -2.0, np.cos(0.5), np.sin(0.5), 0.5]
    np.testing.assert_allclose(obs[0], [0.0, 0.0, 0.25, 0.0, 1.0, 1.0, 0.15, 1.0, *motion], atol=1e-5)
    np.testing.assert_allclose(obs[1], [0.25, 0.0, 0.5, 1.0, 1.0, 1.0, -0.25, 0.84, *motion], atol=1e-5)
    np.testing.assert_allclose(obs[3], [1.0, 0.5, 0.0, 1.0, 0.0, *[0.0] * 8], atol=1e-5)
    heights = [0.0, 0.25, 0.5, 1.0]
    np.testing.assert_allclose(small.observe(state).state, [*heights, 0.35, 1.0, *motion], atol=1e-5)


@pytest.mark.parametrize(("rgb", "pixel"), [(False, 4), (True, 20)])
def test_a_piston_sees_the_ball_above_it_and_the_walls(rgb, pixel):
    env = Pistonball(num_pistons=6, image=True, rgb=rgb, pixel=pixel)
    state, _ = jax.jit(env.reset)(jax.random.key(0))
    seen = np.asarray(jax.jit(env.observe)(put(state, 220.0, y=240.0)).obs)
    rows, columns, colours = 457 // pixel, 120 // pixel, 3 if rgb else 1
    assert env.spec.obs_sizes == (rows * columns * colours,) * 6
    seen = seen.reshape(6, rows, columns, colours)
    assert seen.min() >= 0.0
    assert seen.max() == 1.0
    # The ball is above the middle of piston 4, and as wide as two: all but the first two see some of it.
    row = (240 - 40) // pixel
    blue = seen[:, row, :, 0] < 0.7
    np.testing.assert_array_equal(blue[1:5].any(-1), [False, True, True, True])
    assert blue[4, columns // 3 : 2 * columns // 3].all()
    assert (seen[0, :, 0] < 0.4).all()
    assert (seen[-1, :, -1] < 0.4).all()
    assert (seen[1, 0] == 1.0).all()


def test_friction_may_differ_between_environments():
    states, _ = jax.vmap(lambda _: Pistonball(num_pistons=4).reset(jax.random.key(5)))(jnp.arange(2))
    envs = jax.vmap(lambda friction: Pistonball(num_pistons=4, ball_friction=friction))(jnp.asarray([0.0, 0.9]))
    step = jax.jit(jax.vmap(lambda env, state: env.step(jax.random.key(0), state, jnp.zeros((4, 1)))[0]))
    after = step(envs, states)
    np.testing.assert_allclose(after.ball.spin[0], states.ball.spin[0], rtol=1e-6)
    assert abs(float(after.ball.spin[1] - states.ball.spin[1])) > 0.1


def test_a_picture_for_people_holds_every_piston_and_the_ball(small):
    state, ts = small.reset(jax.random.key(0))
    axes = Figure().subplots()
    small.draw(axes, state, ts)
    assert len(axes.patches) == 2 * 4 + 3 + 2
    assert axes.get_title() == "step 0   reward +0.00"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"num_pistons": 2}, "num_pistons=2 is not allowed: it must be an integer of at least 3."),
        ({"pixel": 3}, "pixel=3 is not allowed: it must divide 40."),
        ({"ball_mass": 0.0}, "ball_mass=0.0 is not allowed: it must be a finite number above 0."),
        ({"ball_friction": -1.0}, "ball_friction=-1.0 is not allowed: it must be a finite number of at least 0."),
        ({"image": 1}, "image=1 is not allowed: it must be True or False."),
    ],
)
def test_bad_settings_are_refused_in_one_sentence(settings, sentence):
    with pytest.raises(SettingError) as caught:
        Pistonball(**settings)
    assert str(caught.value) == sentence
