"""Physical deception: a team hides from an adversary which of the landmarks is the goal."""

from typing import Literal

import jax.numpy as jnp
from flax import struct

from jaxmarl_lite.core.env import Array
from jaxmarl_lite.core.settings import require_choice, require_int
from jaxmarl_lite.environments.mpe import world
from jaxmarl_lite.environments.mpe.scenario import Mark, Role, Scenario, WorldState


@struct.dataclass(eq=False)
class SimpleAdversary(Scenario):
    """Good agents know the goal and want one of them near it; adversaries do not know it and want to be there too.

    The semantics are those of simple_adversary_v3 of mpe2, which has one adversary and as many landmarks as good
    agents. Every good agent gets the sum of the adversaries' distances to the goal less the nearest good agent's;
    an adversary gets minus its own distance. The goal is drawn uniformly among the landmarks. Nobody collides, and
    nobody sees velocities. Actions and episodes: see Scenario.

    With `adversary="heuristic"` the good agents alone are agents, and adversaries follow a rule of ours: they push with
    all their force towards the landmark which the good agents are nearest to, in sum. They can be deceived.

    Returns, means of 4,096 episodes: with uniformly random actions 7.2 of each good agent and -27.9 of the adversary;
    9.2 and -15.8 if each good agent walks to a landmark of its own and the adversary stays between the two. With the
    heuristic adversary each good agent gets -2.8 if they play randomly, 4.8 if both walk to the goal, 8.5 if each walks
    to a landmark of its own, and 10.0 if one does not go all the way to the goal, so that the other seems nearer.

    Observation of an adversary (8 numbers by default):

    | index | meaning | unit | range |
    | --- | --- | --- | --- |
    | 2 L numbers | each landmark's position less the own | length | unbounded |
    | 2 (A - 1) numbers | each other agent's position less the own, by index | length | unbounded |

    A good agent sees the goal's position less its own before that (10 numbers by default).

    The global state is all positions, velocities, landmark positions, and the goal, one-hot: 4 A + 3 L numbers.

    Raises SettingError on a setting out of range.
    """

    num_good: int = struct.field(pytree_node=False, default=2)
    """number of good agents"""
    num_adversaries: int = struct.field(pytree_node=False, default=1)
    """number of adversaries"""
    num_landmarks: int | None = struct.field(pytree_node=False, default=None)
    """number of landmarks, L; None: as many as good agents"""

    adversary: Literal["learnt", "heuristic"] = struct.field(pytree_node=False, default="learnt")
    """learnt: adversaries are agents; heuristic: they follow the team by a fixed rule and only it is agents"""

    num_drawn = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_landmarks is None:
            object.__setattr__(self, "num_landmarks", self.num_good)
        for name in ("num_good", "num_adversaries", "num_landmarks"):
            require_int(name, getattr(self, name))
        require_choice("adversary", self.adversary, ("learnt", "heuristic"))

    @property
    def roles(self) -> tuple[Role, ...]:
        """Adversaries, then good agents."""
        sees = 2 * (self.num_landmarks or 0) + 2 * (self.num_adversaries + self.num_good - 1)
        return (
            Role(
                "adversary", self.num_adversaries, sees,
                radius=0.15, is_scripted=self.adversary == "heuristic", colour="tab:red",
            ),
            Role("agent", self.num_good, sees + 2, radius=0.15),
        )  # fmt: skip

    @property
    def marks(self) -> tuple[Mark, ...]:
        """Landmarks, one of which is the goal."""
        return (Mark("landmark", self.num_landmarks or 0, radius=0.08),)

    def aims(self, drawn: Array) -> dict[str, Array]:
        """One landmark is the goal of all."""
        return {"goal": drawn[0]}

    def views(self, state: WorldState) -> list[Array]:
        """Show where everything is, and the goal to those who may know."""
        pos, num = state.agent_pos, self.num_adversaries
        seen = jnp.concatenate([world.relative(pos, state.landmark_pos), world.relative_to_others(pos)], axis=1)
        to_goal = world.picked(state.landmark_pos, state.goal) - pos[num:]
        good = jnp.concatenate([to_goal, seen[num:]], axis=1)
        return [good] if self.adversary == "heuristic" else [seen[:num], good]

    def rewards(self, state: WorldState) -> Array:
        """Pay for nearness to the goal, and good agents for the adversaries' distance."""
        far, num = world.distance(state.agent_pos, world.picked(state.landmark_pos, state.goal)), self.num_adversaries
        team = world.added(far[:num]) - world.least(far[num:])
        return world.joined([-far[:num], world.to_each(team, self.num_good)])

    def scripted_force(self, state: WorldState) -> Array:
        """Return the force of adversaries that push towards the landmark which the team is nearest to, in sum."""
        num, accel = self.num_adversaries, self.roles[0].accel
        near = [world.added(world.distance(state.agent_pos[num:], mark)) for mark in state.landmark_pos]
        guess = jnp.argmin(jnp.stack(near), axis=0)
        return accel * world.unit(world.picked(state.landmark_pos, guess) - state.agent_pos[:num])
