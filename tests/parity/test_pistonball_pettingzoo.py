"""butterfly/pistonball follows pistonball_v6 of PettingZoo, whose physics is pymunk's."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.environments.butterfly import picture
from jaxmarl_lite.environments.butterfly.disc import PITCH, RADIUS, disc_at
from jaxmarl_lite.environments.butterfly.pistonball import Pistonball, PistonballState

pytest.importorskip("pymunk")
pytest.importorskip("pygame")
pytest.importorskip("pettingzoo")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    reference = pytest.importorskip("pettingzoo.butterfly.pistonball.pistonball")


EPISODES, STEPS = 12, 30


def draw_actions(num, continuous):
    rng = np.random.default_rng(num)
    shape = (EPISODES, STEPS // 5, num)
    actions = rng.uniform(-1.0, 1.0, shape).astype(np.float32) if continuous else rng.integers(0, 3, shape)
    return np.repeat(actions, 5, axis=1)


def state_of(env, left):
    """Return the reference's state, as ours; `left` is the gap when the episode began."""
    ball = disc_at(jnp.asarray(env.ball.position, jnp.float32), jnp.float32(env.ball.angular_velocity))
    ball = ball._replace(angle=jnp.float32(env.ball.angle), vel=jnp.asarray(env.ball.velocity, jnp.float32))
    pistons = jnp.asarray([piston.position[1] for piston in env.pistonList], jnp.float32)
    gap = jnp.float32(env.ball_prev_pos - env.wall_width)
    return PistonballState(ball, pistons, gap, jnp.float32(left), jnp.int32(env.frames))


def play_reference(actions, continuous, **settings):
    """Return starts and, each [E, T, ...], where ball and pistons are and rewards; of terminated steps NaN."""
    env = reference.raw_env(n_pistons=actions.shape[-1], continuous=continuous, **settings)
    starts, rows = [], []
    for episode, plan in enumerate(actions):
        env.reset(seed=episode)
        starts.append(state_of(env, env.distance_to_wall_at_game_start))
        row = np.full((STEPS, 7 + actions.shape[-1]), np.nan)
        for t, joint in enumerate(plan):
            for action in joint:
                env.step(np.array([action]) if continuous else action)
            reward = env.rewards[env.possible_agents[0]]
            pistons = [piston.position[1] for piston in env.pistonList]
            moving = (*env.ball.position, *env.ball.velocity, env.ball.angle, env.ball.angular_velocity)
            row[t] = (*moving, reward, *pistons)
            if env.terminate:
                break
        rows.append(row)
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *starts), np.array(rows)


def play_ours(env, starts, actions):
    def step(state, action):
        state, ts = env.step(jax.random.key(0), state, action[:, None] if env.continuous else action)
        ball = jnp.concatenate([state.ball.pos, state.ball.vel, jnp.stack([state.ball.angle, state.ball.spin])])
        return state, jnp.concatenate([ball, ts.reward[:1], state.pistons])

    return np.asarray(
        jax.jit(jax.vmap(lambda state, actions: jax.lax.scan(step, state, actions)[1]))(starts, jnp.asarray(actions))
    )


@pytest.mark.parametrize(("num", "continuous"), [(20, True), (7, False)], ids=["continuous", "discrete"])
def test_the_ball_goes_the_same_way(num, continuous):
    actions = draw_actions(num, continuous)
    starts, theirs = play_reference(actions, continuous)
    ours = play_ours(Pistonball(num_pistons=num, continuous=continuous), starts, actions)
    np.testing.assert_allclose(ours[..., 7:][~np.isnan(theirs[..., 7:])], theirs[..., 7:][~np.isnan(theirs[..., 7:])])

    apart = np.linalg.norm(ours[..., :2] - theirs[..., :2], axis=-1)
    assert np.nanmedian(apart) < 0.1  # pixels, of a ball of 80
    assert np.nanmean(apart < 1.0) > 0.6
    assert np.ptp(theirs[:, :, 0][~np.isnan(theirs[:, :, 0])]) > 50.0, "the ball hardly moved"
    # While the paths are the same, so are rewards; but a gap is in whole pixels, and at a border two are one apart.
    same = np.minimum.accumulate(apart < 1e-2, axis=1)
    assert same.mean() > 0.2
    assert np.mean(np.abs(ours[same][:, 6] - theirs[same][:, 6]) < 1e-4) > 0.95


def test_rewards_and_ends_of_any_path_are_the_same():
    num = 9
    front = num - 1 - 0.7 * np.arange(STEPS)
    actions = np.tile(np.where(np.arange(num) > front[:, None], 1.0, -1.0), (EPISODES, 1, 1))
    starts, theirs = play_reference(actions, True)
    env = Pistonball(num_pistons=num)

    @jax.jit
    @jax.vmap
    def outcomes(start, rows):
        def step(state, row):
            ball = state.ball._replace(pos=row[:2], vel=row[2:4])
            gap = jnp.maximum(jnp.floor(ball.pos[0] - RADIUS) - PITCH, 0.0)
            return state._replace(ball=ball, gap=gap), env.outcome(state, ball)

        return jax.lax.scan(step, start, rows)[1]

    reward, arrived = map(np.asarray, outcomes(starts, jnp.asarray(theirs, jnp.float32)))
    played = ~np.isnan(theirs[..., 6])
    np.testing.assert_allclose(reward[played], theirs[..., 6][played], rtol=0.0, atol=1e-4)
    ended = played & ~np.pad(played[:, 1:], ((0, 0), (0, 1)), constant_values=True)
    assert ended.sum() > 3, "too few episodes ended"
    np.testing.assert_array_equal(arrived[played], ended[played])


def test_mass_and_elasticity_change_nothing_in_either():
    settings = {"ball_mass": 3.0, "ball_elasticity": 0.2}
    actions = draw_actions(5, True)[:3]
    starts, theirs = play_reference(actions, True, **settings)
    _, plain = play_reference(actions, True)
    np.testing.assert_allclose(theirs, plain, atol=1e-6)
    ours = play_ours(Pistonball(num_pistons=5, **settings), starts, actions)
    np.testing.assert_array_equal(ours, play_ours(Pistonball(num_pistons=5), starts, actions))


def test_pictures_are_nearly_those_of_the_reference():
    num = 8
    env = reference.raw_env(n_pistons=num, render_mode="rgb_array")
    env.reset(seed=1)
    rng = np.random.default_rng(0)
    for action in rng.uniform(-1.0, 1.0, 3 * num):
        env.step(np.array([action]))
    state = state_of(env, env.distance_to_wall_at_game_start)
    crops = jax.jit(picture.crops, static_argnums=(3, 4))
    ours = np.asarray(crops(state.ball.pos, state.ball.angle, state.pistons, 1, True))
    theirs = np.array([env.observe(f"piston_{i}") for i in range(num)]) / 255.0
    assert ours.shape == theirs.shape == (num, 457, 120, 3)
    apart = np.abs(ours - theirs)
    assert apart.mean() < 0.005
    assert np.mean(apart.max(-1) > 0.1) < 0.02
