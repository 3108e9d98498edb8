"""Draw the ball's path in butterfly/pistonball beside that in PettingZoo's, for fixed actions, and print how far apart.

Needs `pip install "pettingzoo[butterfly]" matplotlib`, and gives both worlds the same start and the same actions:

python scripts/pistonball_paths.py --out paths.png
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxmarl_lite.environments.butterfly.disc import disc_at
from jaxmarl_lite.environments.butterfly.pistonball import HORIZON, Pistonball, PistonballState

NUM_PISTONS = 20


class Episode(NamedTuple):
    """What happened in an episode until its end, step by step."""

    pos: np.ndarray
    """[T, 2], pixels"""
    reward: np.ndarray
    """[T]"""
    arrived: bool
    """the ball is at the left wall"""


def wave(rng: np.random.Generator) -> np.ndarray:
    """Return the actions of a wave: pistons go up, one after another, from the right; [T, A]."""
    front = NUM_PISTONS - 1 - rng.uniform(0.3, 0.9) * np.arange(HORIZON)
    return np.where(np.arange(NUM_PISTONS) > front[:, None], 1.0, -1.0)


def held(rng: np.random.Generator) -> np.ndarray:
    """Return random actions, each played five times; [T, A]."""
    return np.repeat(rng.uniform(-1.0, 1.0, (HORIZON // 5, NUM_PISTONS)), 5, axis=0)


def fresh(rng: np.random.Generator) -> np.ndarray:
    """Return random actions; [T, A]."""
    return rng.uniform(-1.0, 1.0, (HORIZON, NUM_PISTONS))


def play_reference(actions: np.ndarray, seed: int) -> tuple[Episode, PistonballState]:
    """Return the path in the reference, and its start."""
    from pettingzoo.butterfly.pistonball.pistonball import raw_env

    env = raw_env(n_pistons=NUM_PISTONS, max_cycles=HORIZON)
    env.reset(seed=seed)
    ball = env.ball
    gap = jnp.float32(env.distance_to_wall_at_game_start)
    start = PistonballState(
        ball=disc_at(jnp.asarray(ball.position, jnp.float32), jnp.float32(ball.angular_velocity)),
        pistons=jnp.asarray([piston.position[1] for piston in env.pistonList], jnp.float32),
        gap=gap,
        start=gap,
        time=jnp.int32(0),
    )
    pos, reward = [], []
    for joint in actions:
        for action in joint:
            env.step(np.array([action]))
        pos.append(tuple(ball.position))
        reward.append(env.rewards[env.possible_agents[0]])
        if env.terminate:
            break
    return Episode(np.array(pos), np.array(reward), env.terminate), start


def play_ours(actions: np.ndarray, start: PistonballState) -> Episode:
    """Return our path from the same start."""
    pos, reward, arrived = map(np.asarray, _steps(start, jnp.asarray(actions, jnp.float32)))
    length = int(arrived.argmax()) + 1 if arrived.any() else len(arrived)
    return Episode(pos[:length], reward[:length], bool(arrived.any()))


@jax.jit
def _steps(start, actions):
    env, key = Pistonball(num_pistons=NUM_PISTONS), jax.random.key(0)

    def step(state, action):
        state, ts = env.step(key, state, action[:, None])
        return state, (state.ball.pos, ts.reward[0], ts.terminated[0])

    return jax.lax.scan(step, start, actions)[1]


def compare(kind, seeds: int) -> list[tuple[Episode, Episode]]:
    """Return pairs of paths, ours and the reference's, and print how far they are apart."""
    pairs = []
    for seed in range(seeds):
        actions = kind(np.random.default_rng(seed))
        reference, start = play_reference(actions, seed)
        pairs.append((play_ours(actions, start), reference))
    print(f"\n{kind.__name__}: {seeds} episodes")
    print("steps | median px | 90 % px | greatest px | within 1 px")
    for steps in (5, 10, 20, 40, 80, HORIZON):
        apart = [_apart(ours, theirs, steps).max() for ours, theirs in pairs]
        print(
            f"{steps:5} | {np.median(apart):9.3f} | {np.quantile(apart, 0.9):7.3f} | {max(apart):11.3f} | "
            f"{np.mean(np.array(apart) < 1.0):.0%}"
        )
    returns = np.array([[path.reward.sum() for path in pair] for pair in pairs])
    mean, correlation = returns.mean(0), np.corrcoef(returns.T)[0, 1]
    solved = np.mean([[path.arrived for path in pair] for pair in pairs], axis=0)
    print(f"return of a piston: ours {mean[0]:.2f}, reference {mean[1]:.2f}, correlation {correlation:.3f}")
    print(f"at the wall: ours {solved[0]:.0%}, reference {solved[1]:.0%}")
    return pairs


def _apart(ours: Episode, reference: Episode, steps: int) -> np.ndarray:
    length = min(len(ours.pos), len(reference.pos), steps)
    return np.linalg.norm(ours.pos[:length] - reference.pos[:length], axis=1)


def draw(pairs: dict[str, list[tuple[Episode, Episode]]], out: Path) -> None:
    """Draw the first pairs of each kind: where the ball is at each step, in both."""
    from matplotlib.figure import Figure

    shown = 3
    figure = Figure(figsize=(4 * shown, 2.6 * len(pairs)), layout="constrained")
    grid = figure.subplots(len(pairs), shown, squeeze=False)
    for row, (name, several) in zip(grid, pairs.items(), strict=True):
        for seed, (axes, (ours, reference)) in enumerate(zip(row, several, strict=False)):
            axes.plot(reference.pos[:, 0], color="0.6", lw=4, label="PettingZoo, pymunk")
            axes.plot(ours.pos[:, 0], color="C1", lw=1.5, label="butterfly/pistonball")
            axes.set(title=f"{name} actions, start {seed}", ylim=(70, 820), xlabel="step", ylabel="x of the ball / px")
            axes.spines[["top", "right"]].set_visible(False)
    grid[0][0].legend(frameon=False)
    figure.savefig(out, dpi=100)


def main() -> None:
    """Compare, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("pistonball_paths.png"), help="picture to write")
    parser.add_argument("--seeds", type=int, default=20, help="episodes of each kind of actions")
    given = parser.parse_args()
    draw({kind.__name__: compare(kind, given.seeds) for kind in (wave, held, fresh)}, given.out)
    print(f"\n{given.out}")


if __name__ == "__main__":
    main()
