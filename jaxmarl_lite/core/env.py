"""The contract between environments and everything that acts in them."""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax

from jaxmarl_lite.core.spec import Spec

Array = jax.Array
Key = jax.Array
Tree = Any


class TimeStep(NamedTuple):
    """What the world shows after a transition; a vectorised one has a leading axis E, a rollout [T, E]."""

    obs: Array
    """float32 [A, *O], padded with zeros where agents differ"""
    state: Array
    """float32 [S], the global view, for centralised training only"""
    legal: Array
    """bool [A, N], the actions that may be chosen, or the components that are there; of an agent that is not active one
    action, which does nothing, or no component"""
    active: Array
    """bool [A], to move"""
    reward: Array
    """float32 [A]"""
    terminated: Array
    """bool [A], gone, or not there from the first: no value from here on, until the episode ends. Who is neither gone
    nor active waits: for its turn, or only to be paid"""
    truncated: Array
    """bool [], the clock ran out: the episode ends, and its value goes on"""

    @property
    def done(self) -> Array:
        """Whether the episode is over; bool []."""
        return self.truncated | self.terminated.all(-1)


@runtime_checkable
class Env(Protocol):
    """One instance of a world: pure functions on unbatched arrays.

    An environment is a frozen pytree dataclass (`flax.struct.dataclass(eq=False)`). Sizes are static fields;
    physical constants and payoffs are leaves, so that changing one never recompiles and `vmap` over them is domain
    randomisation.

    Two methods are optional. `observe(state)` shows a state as the TimeStep with which an episode would begin there;
    with it, stepping many instances is about twice as fast, because a reset need not hand on whole observations.
    `draw(axes, state, step)` draws a state on matplotlib axes and makes the environment renderable; a patch of which
    the `gid` is "agent 0" shows where agent 0 is, so that one can point at it on a page.
    """

    @property
    def spec(self) -> Spec:
        """The static description."""
        ...

    def reset(self, key: Key) -> tuple[Tree, TimeStep]:
        """Begin an episode: `state, ts = env.reset(key)`."""
        ...

    def step(self, key: Key, state: Tree, action: Array) -> tuple[Tree, TimeStep]:
        """Play one joint action, int32 [A] or float32 [A, D]: `state, ts = env.step(key, state, action)`."""
        ...
