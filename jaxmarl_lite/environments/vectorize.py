"""Many instances of one environment as one, and the only place where episodes begin anew."""

import functools

import jax
import jax.numpy as jnp
from flax import struct

from jaxmarl_lite.core.env import Array, Env, Key, TimeStep, Tree
from jaxmarl_lite.core.settings import require_int
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.core.tree import batch_first, batch_last, when_any


@struct.dataclass(eq=False)
class VecEnv:
    """E instances of an environment, stepped together and reset each at its own end; see `vectorize`."""

    env: Env
    num_envs: int = struct.field(pytree_node=False)
    first: Array | int = 0
    """number of the first instance, where others are stepped elsewhere"""

    @property
    def spec(self) -> Spec:
        """The description of one instance."""
        return self.env.spec

    def reset(self, key: Key) -> tuple[Tree, TimeStep]:
        """Begin E episodes: `state, ts = venv.reset(key)`, with leading axis E."""
        return jax.vmap(self.env.reset)(self.keys(key))

    def keys(self, key: Key) -> Key:
        """Return a key [E] for each instance; instance e's is the same however many there are, and wherever."""
        return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, self.first + jnp.arange(self.num_envs))

    def step(self, key: Key, state: Tree, action: Array) -> tuple[Tree, TimeStep, TimeStep]:
        """Play E joint actions, [E, A] or [E, A, D]: `state, successor, ts = venv.step(key, state, action)`.

        `successor` is the true outcome of the step, for rewards and bootstrapping. `ts` is the one to act on: the
        same, except where an episode ended, which has begun anew.
        """
        # The instances lie along the last axis while they are computed: then every operation on an agent's numbers
        # is one pass over contiguous memory (measured in benchmarks/: half the time of a leading axis on a CPU).
        move = jax.vmap(self.env.step, in_axes=(0, -1, -1), out_axes=-1)
        state, successor = move(self.keys(jax.random.fold_in(key, 0)), batch_last(state), batch_last(action))
        done = successor.truncated | successor.terminated.all(0)
        select = functools.partial(jax.tree.map, functools.partial(jnp.where, done))

        def restart():
            fresh = jax.vmap(self.env.reset, out_axes=-1)(self.keys(jax.random.fold_in(key, 1)))
            return select(fresh, (state, successor))

        observe = getattr(self.env, "observe", None)
        if observe is not None:
            # What passes through a branch is copied, and observations are most of it: pass states, look again.
            state = when_any(done, lambda: restart()[0], lambda: state)
            seen = jax.vmap(observe, in_axes=-1, out_axes=-1)(state)
            outcome = select(seen[_OUTCOME], successor[_OUTCOME])
            current = TimeStep(*seen[: _OUTCOME.start], *outcome)
        else:
            state, current = when_any(done, restart, lambda: (state, successor))
        return batch_first(state), batch_first(successor), batch_first(current)


# The fields of a TimeStep that speak of the step taken: reward, terminated, truncated.
_OUTCOME = slice(TimeStep._fields.index("reward"), None)


def vectorize(env: Env, num_envs: int, *, first: Array | int = 0) -> VecEnv:
    """Return `num_envs` instances of `env`, of which `first` is the number of the first, as one batched environment.

    Each is reset at its own end. An instance's random numbers follow from the key and its number alone.

    Raises SettingError if `num_envs` is not a positive integer.
    """
    require_int("num_envs", num_envs)
    return VecEnv(env, num_envs, first)
