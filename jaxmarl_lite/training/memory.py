"""The memory that a run will need, known before anything is compiled."""

import dataclasses
import math
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Var

from jaxmarl_lite.core.env import Env, Tree
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.settings import require_int
from jaxmarl_lite.core.shard import WHOLE
from jaxmarl_lite.learners.learner import Learner
from jaxmarl_lite.learners.replicate import replicate
from jaxmarl_lite.training.evaluate import evaluate

MemoryPlan = dict[str, int]
Replan = Callable[[Learner], MemoryPlan]

# What the fields of a learner's state are called in a plan; any other is "state".
_STATE_PARTS = {
    "params": "parameters",
    "target_params": "parameters",
    "opt_state": "optimiser",
    "actors": "environments",
    "replay": "replay",
    "ratings": "replay",
}
# What the arrays that a phase works with are called; those of any other bear the phase's own name.
_WORK_PARTS = {"collect": "acting", "estimate": "values", "update": "minibatch"}
# By which setting a part is made smaller; any other by num_envs.
_REMEDIES = {
    "parameters": "hidden",
    "optimiser": "hidden",
    "evaluation": "eval_episodes",
    "replay": "capacity",
}  # else num_envs
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")

# For one step of one agent: networks of thousands of units, forward and backward, hold no more.
_AMPLE_BYTES = 2**16
_COPIES_OF_SURELY = 4  # of a state, no run holds more at one time

_FUSED = {"broadcast_in_dim", "iota"}  # made where it is read, and never stored
_NEVER_IN_PLACE = {"dot_general", "conv_general_dilated", "transpose", "gather", "sort"}
_LOOPS = {"scan", "while"}
# XLA copies what the loops over updates and over steps carry: beside the environments of the state there is one more
# for each (memory_analysis, with rollouts of one step in 65,536 environments).
_LOOP_COPIES = 2


def memory_plan(learner: Learner, env: Env, *, seeds: int = 1, eval_episodes: int = 0, devices: int = 1) -> MemoryPlan:
    """Return the bytes that a run needs on each device, by part and in "total"; nothing is computed or compiled.

    The state stays: `parameters`, `optimiser`, `environments` (with the step to act on and the compiler's copies),
    `replay`, and the rest as `state`. The other parts take turns, so the total, the most at any one time, is less than
    their sum: `rollout` is what the first phase hands on, `batch` what those between do and `metrics` the last;
    `acting`, `values` and `minibatch` are what the phases "collect", "estimate" and "update" work with on top of what
    they take and hand on; `evaluation` is `eval_episodes` environments for each seed, and the policy acting in them.

    Raises SettingError if a count is not allowed, or if `devices` cannot share the environments equally.
    """
    for name, value, low in (("seeds", seeds, 1), ("eval_episodes", eval_episodes, 0), ("devices", devices, 1)):
        require_int(name, value, low=low)
    equal_parts = math.gcd(learner.settings.equal_parts, eval_episodes)
    if equal_parts % devices:
        raise SettingError(f"devices={devices} is not allowed: it must divide {equal_parts}, the parts of equal work.")
    many = replicate(learner, seeds)
    key = jax.eval_shape(lambda: jax.random.key(0))
    state = _on_one_device(many, jax.eval_shape(lambda key: many.init(key, env), key), devices)
    plan = _state_parts(state)
    if seeds > 1:  # one of them at a time has a copy of its own (learners/replicate.py)
        plan["replay"] += plan["replay"] // seeds
    kept = sum(plan.values())
    at_once, working = many, state
    if jax.default_backend() == "cpu":  # where seeds learn one after another, and the states of the others only wait
        at_once, working = learner, _of_one_seed(state)
    waiting, peaks = kept - _bytes(working), []
    for part, size, peak in _phases(at_once, env, working):
        plan[part] = max(plan.get(part, 0), size)
        peaks.append(waiting + peak)
    plan["evaluation"] = _evaluation(many, env, state, seeds, eval_episodes // devices) if eval_episodes else 0
    return {**plan, "total": max(*peaks, kept + plan["evaluation"])}


def is_surely_small(learner: Learner, env: Env, seeds: int, available: int | None) -> bool:
    """Return whether a run fits by so much that a plan, which takes about a second of tracing, tells nothing new."""
    if available is None:
        return True
    rows = learner.settings.steps_per_update * env.spec.num_agents
    key = jax.eval_shape(lambda: jax.random.key(0))
    kept = _bytes(jax.eval_shape(lambda key: learner.init(key, env), key))
    return seeds * (rows * (_AMPLE_BYTES + 4 * env.spec.obs_shape[0]) + _COPIES_OF_SURELY * kept) < available


def require_memory(plan: MemoryPlan, available: int | None, learner: Learner, replan: Replan | None = None) -> None:
    """Raise SettingError, with what to change, if `plan` needs more bytes than are `available`; None: never.

    With `replan`, such as `partial(memory_plan, env=env, seeds=seeds)`, a number of environments that fits is named.
    """
    if available is None or plan["total"] <= available:
        return
    largest = max((part for part in plan if part != "total"), key=lambda part: plan[part])
    raise SettingError(
        f"this run needs about {_in_words(plan['total'])} on each device ({largest} {_in_words(plan[largest])}), and "
        f"{_in_words(available)} are there: lower {_remedy(largest, plan['total'], available, learner, replan)}."
    )


def available_memory() -> int | None:
    """Return the bytes that are free on each device, as far as it or the operating system says; None: unknown."""
    device = jax.local_devices()[0]
    stats = device.memory_stats()
    if stats and "bytes_limit" in stats:
        return stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    if device.platform != "cpu":
        return None
    known = [size for size in (_free_on_this_machine(), *map(_number_in, _CGROUP_LIMITS)) if size is not None]
    return min(known) // jax.local_device_count() if known else None


def _on_one_device(learner: Learner, state: Tree, devices: int) -> Tree:
    """Return the shapes of the part of a state that one of `devices` holds: all else follows from them."""

    def cut(leaf, axis):
        shape = [size // devices if number == axis else size for number, size in enumerate(leaf.shape)]
        return jax.ShapeDtypeStruct(tuple(shape), leaf.dtype)

    return jax.tree.map(cut, state, learner.env_axes(state))


def _of_one_seed(state: Tree) -> Tree:
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), state)


def _state_parts(state: Tree) -> MemoryPlan:
    plan = dict.fromkeys((*_STATE_PARTS.values(), "state"), 0)
    for path, leaf in jax.tree.leaves_with_path(state):
        field = getattr(path[0], "name", "") if path else ""
        plan[_STATE_PARTS.get(field, "state")] += _size(leaf)
    return {**plan, "environments": plan["environments"] * (1 + _LOOP_COPIES)}


def _phases(learner: Learner, env: Env, state: Tree) -> Iterator[tuple[str, int, int]]:
    """Yield (part, its bytes, the most bytes that the phase ever holds) for all that phases hand on or work with."""
    kept, names, passed = _bytes(state), list(learner.phases), state
    for name, phase in learner.phases.items():
        program, returned = _traced(lambda passed, phase=phase: phase(passed, env, jnp.zeros(()), WHOLE), passed)
        held, handed = _bytes(passed), _bytes(returned)
        peak = held + _most_alive(program, set(program.invars))
        part = "metrics" if name == names[-1] else "rollout" if name == names[0] else "batch"
        yield part, handed - kept, peak
        yield _WORK_PARTS.get(name, name), max(0, peak - max(held, handed)), peak
        passed = returned


def _evaluation(learner: Learner, env: Env, state: Tree, seeds: int, episodes: int) -> int:
    play = partial(evaluate, learner.policy(env.spec), episodes=episodes)
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), seeds))
    params = jax.eval_shape(learner.params, state)
    program, _ = _traced(jax.vmap(lambda params, key: play(params, env, key)), params, keys)
    return _most_alive(program, set())


def _traced(function: Callable[..., Tree], *args: Tree) -> tuple[Jaxpr, Tree]:
    """Return the program of a function for arguments of these shapes, and the shapes that it returns."""
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
    return closed.jaxpr, shapes


def _most_alive(program: Jaxpr, mortal: set[Var]) -> int:
    """Return the most bytes that are alive at one time in a program, above those at its start.

    Every array lives from the operation that makes it to the last one that reads it, as do the arguments in `mortal`.
    An operation that keeps the size overwrites what it is the last to read: that is how XLA shares its buffers.
    """
    sizes = {var: _size(var.aval) for var in mortal}
    alive = most = 0
    for eqn, made, dying in _needed(program):
        freed = {var: sizes[var] for var in dying if var in sizes}
        stored = {var: 0 if eqn.primitive.name in _FUSED else _size(var.aval) for var in made}
        most = max(most, alive + _most_during(eqn, freed, sum(stored.values())))
        alive += sum(stored.values()) - sum(freed.values())
        sizes.update(stored)
    return most


def _needed(program: Jaxpr) -> list[tuple[JaxprEqn, list[Var], list[Var]]]:
    """Return (operation, what is used of what it makes, what it is the last to read) for all that is of any use."""
    used, needed = _variables(program.outvars), []
    for eqn in reversed(program.eqns):
        made = [var for var in eqn.outvars if var in used]
        if made:
            dying = _variables(eqn.invars) - used
            used |= dying
            needed.append((eqn, made, list(dying)))
    return needed[::-1]


def _most_during(eqn: JaxprEqn, freed: dict[Var, int], stored: int) -> int:
    """Return the most bytes alive during an operation that stores so many, above those alive before it."""
    bodies = _bodies(eqn)
    if eqn.primitive.name in _LOOPS:
        carried = _carried(eqn)
        overwritten = sum(freed.get(var, 0) for var in _variables(eqn.invars[n] for n in carried))
        return stored - overwritten + max(_most_alive(body, _arguments(eqn, body, carried)) for body in bodies)
    if bodies:
        mine = [n for n, var in enumerate(eqn.invars) if isinstance(var, Var) and var in freed]
        inner = [_most_alive(body, _arguments(eqn, body, mine)) for body in bodies]
        return max(*inner, stored - sum(freed.values()))
    is_overwritten = eqn.primitive.name not in _NEVER_IN_PLACE and stored in freed.values()
    return 0 if is_overwritten else stored


def _carried(eqn: JaxprEqn) -> range:
    """Return which arguments of a loop each turn of it overwrites."""
    count = eqn.params.get("num_carry", len(eqn.outvars))
    first = eqn.params.get("num_consts", len(eqn.invars) - count)
    return range(first, first + count)


def _arguments(eqn: JaxprEqn, body: Jaxpr, numbers: Iterable[int]) -> set[Var]:
    """Return what arguments of an operation are called in a body of it, which takes all of them or the last ones."""
    left_out = len(eqn.invars) - len(body.invars)
    return {body.invars[number - left_out] for number in numbers if number >= left_out}


def _variables(atoms: Iterable[Any]) -> set[Var]:
    return {atom for atom in atoms if isinstance(atom, Var)}


def _bodies(eqn: JaxprEqn) -> list[Jaxpr]:
    values = [value if isinstance(value, tuple) else (value,) for value in eqn.params.values()]
    return [body.jaxpr for value in values for body in value if isinstance(body, ClosedJaxpr)]


def _bytes(tree: Tree) -> int:
    return sum(map(_size, jax.tree.leaves(tree)))


def _size(array: Any) -> int:
    return math.prod(array.shape) * array.dtype.itemsize if hasattr(array, "shape") else 0


def _free_on_this_machine() -> int | None:
    """Return the bytes that the operating system could give to this process."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        names = getattr(os, "sysconf_names", {})
        is_known = "SC_PHYS_PAGES" in names and "SC_PAGE_SIZE" in names
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if is_known else None


def _number_in(path: str) -> int | None:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):  # no such limit, or "max"
        return None


def _remedy(largest: str, total: int, available: int, learner: Learner, replan: Replan | None) -> str:
    """Return which settings to lower, and to what."""
    if largest in _REMEDIES:
        return f"{_REMEDIES[largest]} or seeds"
    num_envs = learner.settings.num_envs
    fitting = _fitting_num_envs(total / num_envs, available, learner, replan) if replan else None
    to_what = f" to at most {fitting}" if fitting else ""
    others = "rollout_length or seeds" if hasattr(learner.settings, "rollout_length") else "seeds"
    return f"num_envs (now {num_envs}){to_what}, or {others}"


def _fitting_num_envs(bytes_per_env: float, available: int, learner: Learner, replan: Replan) -> int | None:
    """Return the number of environments, halved until it fits; None if no number does."""
    num_envs = learner.settings.num_envs
    while num_envs > 1:
        num_envs //= 2
        # Fewer environments need at least their share of the whole: what that rules out need not be traced.
        if num_envs * bytes_per_env <= available and _is_enough(num_envs, available, learner, replan):
            return num_envs
    return None


def _is_enough(num_envs: int, available: int, learner: Learner, replan: Replan) -> bool:
    try:
        smaller = dataclasses.replace(learner.settings, num_envs=num_envs).build(learner.name)
        return replan(smaller)["total"] <= available
    except SettingError:  # so many environments cannot be shared among minibatches or devices
        return False


def _in_words(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
