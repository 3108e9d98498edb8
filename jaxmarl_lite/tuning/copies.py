"""Many copies of a learner that differ in float settings, the environment's numbers and the seed, as one program.

Every device trains copies of its own, whole: nothing passes between devices. On a CPU each core has one at a time,
which keeps it busy (learners/replicate.py); an accelerator has as many as fit its memory, side by side.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Env, Key, Tree
from jaxmarl_lite.core.shard import COPY
from jaxmarl_lite.learners.hyper import Hyper, with_hyper
from jaxmarl_lite.learners.learner import Learner
from jaxmarl_lite.learners.replicate import on_states, over_seeds
from jaxmarl_lite.training.compilation import Stopwatch
from jaxmarl_lite.training.evaluate import Episodes, evaluate
from jaxmarl_lite.training.memory import available_memory, is_surely_small, memory_plan, require_memory
from jaxmarl_lite.training.placement import Placement

_COPIES = 0  # the axis of copies
_CALL = 2**18  # environment steps of each copy in one call of the program: a second or so, after which a stop is heard


class Copy(NamedTuple):
    """One of the learners that a sweep trains."""

    trial: int
    seed: int
    """its number"""
    hyper: dict[str, float]
    """float settings in which it differs"""
    env: Env


class Outcome(NamedTuple):
    """What became of a copy."""

    copy: Copy
    is_finite: bool
    """whether no number was ever infinite or none"""
    episodes: Episodes
    """of its evaluation, [E, ...]"""
    state: Callable[[], Tree]
    """the copy's whole state, to go on from"""


class Chunk(NamedTuple):
    """Copies that learn together; leaves have a leading axis C."""

    seeds: Array
    hyper: Hyper
    env: Env


class Programs(NamedTuple):
    """What every chunk of C copies is trained by."""

    begin: Callable[..., Tree]
    """(chunk, key) -> states"""
    advance: Callable[..., Any]
    """(states, is_finite [C], env, done, until, total) -> (states, is_finite); `done` and `until` count updates"""
    test: Callable[..., Episodes]
    """(states, chunk, key) -> episodes [C, E, ...]"""


class Copies:
    """Trains copies of `learner`, `together` on each device at a time, and evaluates them."""

    def __init__(self, learner: Learner, key: Key, *, play: dict[str, Any], together: int, place: Placement) -> None:
        """Take `key` as a run does: copy k begins from the same numbers as seed k of a run with this key.

        `play` is how copies are evaluated, as `evaluate` takes it.
        """
        self.watch = Stopwatch()
        self._learning, self._evaluating = jax.random.split(key)
        self._learner, self._play, self._place = learner, play, place
        self._size = together * place.mesh.size
        self._programs: Programs | None = None

    def train(
        self,
        copies: Sequence[Copy],
        span: tuple[int, int, int],
        block: int,
        states: Sequence[Tree] | None = None,
        told: Callable[[int], None] = lambda env_steps: None,
    ) -> Iterator[Outcome]:
        """Train copies and yield what became of each, in order.

        `span` is (updates done, updates to reach, updates that the schedules count with), `block` numbers the
        evaluation, `states` are those to go on from, or None to begin with. `told` hears of environment steps done.
        """
        for first in range(0, len(copies), self._size):
            part = slice(first, first + self._size)
            yield from self._train_chunk(copies[part], span, block, states and states[part], told)

    def _train_chunk(self, copies, span, block, states, told) -> Iterator[Outcome]:
        done, until, total = span
        idle = self._size - len(copies)  # what remains of the last chunk does something that nobody looks at
        chunk = self._place.lay(_stacked([*copies, *copies[-1:] * idle]), _COPIES)
        programs = self._programs = self._programs or self._compiled(chunk)
        if states is None:
            states = programs.begin(chunk, self._learning)
        else:
            states = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states, *states[-1:] * idle)
        is_finite = jnp.ones(self._size, bool)
        per_update = self._learner.settings.steps_per_update
        stride = max(1, _CALL // per_update)
        for first in range(done, until, stride):
            last = min(first + stride, until)
            given = self._place.lay((states, is_finite), _COPIES)
            states, is_finite = jax.block_until_ready(programs.advance(*given, chunk.env, *_counts(first, last, total)))
            told((last - first) * per_update * len(copies))
        states = self._place.lay(states, _COPIES)
        episodes = jax.device_get(programs.test(states, chunk, jax.random.fold_in(self._evaluating, block)))
        sound = jax.device_get(is_finite).tolist()
        for number, copy in enumerate(copies):
            own = Episodes(*(leaf[number] for leaf in episodes))
            yield Outcome(copy, sound[number], own, partial(_picked, states, number))

    def _compiled(self, chunk: Chunk) -> Programs:
        spread, key = self._place.spread, self._learning
        begin = spread(partial(_begin, self._learner), (_COPIES, COPY), _COPIES)
        begin = self.watch.compiled(begin, chunk, key, once=True)
        given = self._place.lay((begin(chunk, key), jnp.ones(self._size, bool)), _COPIES)
        advance = spread(partial(_advance, self._learner), (_COPIES, _COPIES, _COPIES, COPY, COPY, COPY), _COPIES)
        advance = self.watch.compiled(advance, *given, chunk.env, *_counts(0, 0, 1), donate=(0, 1))
        test = spread(partial(_test, self._learner, self._play), (_COPIES, _COPIES, COPY), _COPIES)
        return Programs(begin, advance, self.watch.compiled(test, given[0], chunk, key))


def copies_together(learner: Learner, env: Env, eval_episodes: int, wanted: int) -> int:
    """Return how many of `wanted` copies each device should train at a time.

    Raises SettingError, with what to change, if the memory of a device does not hold even one.
    """
    available = available_memory()

    def fits(count: int) -> bool:
        if is_surely_small(learner, env, count, available):
            return True
        return memory_plan(learner, env, seeds=count, eval_episodes=eval_episodes)["total"] <= (available or 0)

    if not fits(1):
        size = partial(memory_plan, env=env, eval_episodes=eval_episodes)
        require_memory(size(learner), available, learner, size)
    if jax.default_backend() == "cpu":
        return 1
    while wanted > 1 and not fits(wanted):
        wanted = (wanted + 1) // 2
    return wanted


def _begin(learner: Learner, chunk: Chunk, key: Key) -> Tree:
    def of_one(one: Chunk) -> Tree:
        return with_hyper(learner.init(jax.random.fold_in(key, one.seeds), one.env), one.hyper)

    return jax.vmap(of_one)(chunk)


def _advance(learner: Learner, states: Tree, is_finite: Array, env: Env, done: Array, until: Array, total: Array):
    def of_one(given):
        def update(number, passed):
            state, is_finite = passed
            state, metrics = learner.step(state, env, number / total)
            return state, is_finite & _all_finite(metrics)

        state, is_finite, env = given
        state, is_finite = jax.lax.fori_loop(done, until, update, (state, is_finite))
        return (state, is_finite, env), ()

    (states, is_finite, _), _ = on_states(of_one)((states, is_finite, env))
    return states, is_finite


def _all_finite(metrics: Tree) -> Array:
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(metrics)]).all()


def _test(learner: Learner, play: dict[str, Any], states: Tree, chunk: Chunk, key: Key) -> Episodes:
    def of_one(given) -> Episodes:
        params, one = given
        return evaluate(learner.policy(one.env.spec), params, one.env, jax.random.fold_in(key, one.seeds), **play)

    return over_seeds(of_one)((jax.vmap(learner.params)(states), chunk))


def _counts(done: int, until: int, total: int) -> tuple[Array, Array, Array]:
    return jnp.asarray(done, jnp.int32), jnp.asarray(until, jnp.int32), jnp.asarray(total, jnp.float32)


def _stacked(copies: Sequence[Copy]) -> Chunk:
    seeds = jnp.asarray([copy.seed for copy in copies], jnp.int32)
    hyper = {name: jnp.asarray([copy.hyper[name] for copy in copies], jnp.float32) for name in copies[0].hyper}
    return Chunk(seeds, hyper, jax.tree.map(lambda *leaves: jnp.stack(leaves), *(copy.env for copy in copies)))


def _picked(states: Tree, number: int) -> Tree:
    return jax.tree.map(lambda leaf: leaf[number], states)
