"""The disc's physics, where what must happen is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.environments.butterfly import disc
from jaxmarl_lite.environments.butterfly.disc import GRAVITY, RADIUS, SLOP, TIME_STEP, disc_at, move

FLAT = jnp.full(8, 480.0)
RESTING = 480.0 - disc.HEAD_RADIUS - RADIUS


@jax.jit
def go_on(ball, pistons, friction, elasticity):
    def step(ball, _):
        ball = move(ball, pistons, friction, elasticity)
        return ball, ball

    return jax.lax.scan(step, ball, None, length=60)[1]


def ball_at(x, y, spin=0.0, vel=(0.0, 0.0)):
    return disc_at(jnp.asarray([x, y]), jnp.asarray(spin))._replace(vel=jnp.asarray(vel))


def test_a_free_ball_falls():
    path = go_on(ball_at(200.0, -3000.0, spin=2.0, vel=(10.0, 0.0)), FLAT, 0.2, 0.0)
    steps = np.arange(1, 61)
    np.testing.assert_allclose(path.vel[:, 1], GRAVITY * TIME_STEP * steps, rtol=1e-5)
    np.testing.assert_allclose(path.pos[:, 0], 200.0 + 10.0 * TIME_STEP * steps, rtol=1e-5)
    np.testing.assert_allclose(path.angle, 2.0 * TIME_STEP * steps, rtol=1e-5)


def test_a_ball_comes_to_rest_on_a_piston_without_elasticity():
    path = go_on(ball_at(180.0, RESTING - 30.0), FLAT, 0.2, 0.0)
    np.testing.assert_allclose(path.vel[-1], 0.0, atol=0.1)
    assert RESTING <= path.pos[-1, 1] <= RESTING + 2 * SLOP
    assert float(path.pos[-1, 0]) == pytest.approx(180.0, abs=0.2)


@pytest.mark.parametrize("elasticity", [0.25, 0.5])
def test_a_ball_bounces_with_its_share_of_the_speed(elasticity):
    path = go_on(ball_at(180.0, RESTING - 30.0), FLAT, 0.2, elasticity)
    hit = int(np.argmax(np.asarray(path.vel[:, 1]) < 0.0))
    assert path.vel[hit, 1] == pytest.approx(-elasticity * float(path.vel[hit - 1, 1]), rel=1e-2)


def test_friction_turns_spin_into_speed_up_to_its_limit_and_then_the_ball_rolls():
    path = go_on(ball_at(180.0, RESTING, spin=2.0), FLAT, 0.5, 0.0)
    # The momentum about the point of contact stays: of the spin a third remains, v = R spin.
    rolling = np.asarray(path.vel[3])
    assert rolling[0] == pytest.approx(RADIUS * 2.0 / 3.0, rel=1e-2)
    assert float(path.spin[3]) == pytest.approx(2.0 / 3.0, rel=1e-2)
    still = go_on(ball_at(180.0, RESTING, spin=2.0), FLAT, 0.0, 0.0)
    np.testing.assert_array_equal(still.spin, 2.0)


def test_a_rising_piston_lifts_the_ball_and_does_not_throw_it():
    risen = FLAT.at[3].add(-4.0)
    path = go_on(ball_at(180.0, RESTING), risen, 0.2, 0.0)
    assert RESTING - 4.0 <= path.pos[-1, 1] <= RESTING - 4.0 + 2 * SLOP
    assert np.abs(path.vel).max() < 1e-3 + GRAVITY * TIME_STEP
    assert np.min(path.vel[:, 1]) > -1e-3


@pytest.mark.parametrize(("x", "vel", "end"), [(90.0, -300.0, 81.0), (350.0, 300.0, 319.0)], ids=["left", "right"])
def test_walls_stop_the_ball(x, vel, end):
    path = go_on(ball_at(min(x, 310.0), RESTING, vel=(vel, 0.0)), FLAT, 0.0, 0.0)
    assert np.abs(np.asarray(path.pos[-1, 0]) - end) < 0.5
    assert np.abs(np.asarray(path.pos[:, 0]) - end).max() < 60.0


def test_instances_along_the_last_axis_do_not_meet():
    balls = [ball_at(150.0 + 13.0 * i, RESTING - 5.0 * i, spin=float(i)) for i in range(4)]
    many = jax.tree.map(lambda *leaves: jnp.stack(leaves, axis=-1), *balls)
    pistons = jnp.stack([FLAT - 4.0 * i * jnp.arange(8) for i in range(4)], axis=-1)
    together = go_on(many, pistons, 0.2, 0.3)
    for i, ball in enumerate(balls):
        alone = go_on(ball, pistons[:, i], 0.2, 0.3)
        np.testing.assert_allclose(together.pos[..., i], alone.pos, atol=0.05)
