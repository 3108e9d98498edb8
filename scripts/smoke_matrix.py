"""Start every learner in every environment, in both kinds of actions where it has them, and say what fails.

python scripts/smoke_matrix.py                                   # everything, some three hours on one core
python scripts/smoke_matrix.py --learners qmix coma --worlds mpe/simple_tag "butterfly/pistonball discrete"
python scripts/smoke_matrix.py --trace                           # nothing is compiled: half an hour

A pair is started in earnest, if tiny: a first state, a rollout, and gradient steps. It fails if it raises anything, if
a number of its state or its metrics is not finite, or if the state is not of the shapes of the first. With --trace its
program is written down for the compiler, and not run: all but what the numbers are is judged. Pairs that
`Learner.check` refuses are counted, not started.
"""

import argparse
import functools
import inspect
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxmarl_lite.core.env import Env
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.environments.registry import constructor_of, envs, make
from jaxmarl_lite.learners.learner import Learner
from jaxmarl_lite.learners.on_policy_settings import OnPolicySettings
from jaxmarl_lite.learners.presets import algos, make_learner, preset

NEEDED = {"matrix/game": {"payoff": [[[1.0, 0.0], [2.0, 3.0]]] * 2}}
SIZES = {"num_envs": 4, "rollout_length": 4, "hidden": (8,)}
ON_POLICY = {"minibatches": 2, "epochs": 1}
REPLAY = {"capacity": 8, "batch": 4, "warmup": 4, "gradient_steps": 2, "mixer_embed": 4, "mixer_hidden": 4}
FRESH = {"minibatches": 2, "epochs": 1}


class Started(NamedTuple):
    """A learner's first state, what an update makes of it, and the metrics of that."""

    first: Any
    state: Any
    metrics: dict


def small(name: str) -> Learner:
    """Return the learner published as `name` with sizes at which a step takes no time."""
    settings: Any = preset(name)
    if isinstance(settings, OnPolicySettings):
        return make_learner(name, **SIZES, **ON_POLICY)
    return make_learner(name, **SIZES, **(REPLAY if settings.remembers else FRESH))


@functools.cache
def worlds() -> dict[str, Env]:
    """Return every environment as it is shipped, and where it has both kinds of actions also in the other one."""
    found = {}
    for name in envs():
        env = found[name] = make(name, **NEEDED.get(name, {}))
        if "continuous" in inspect.signature(constructor_of(name)).parameters:
            kind = "continuous" if env.spec.is_discrete else "discrete"
            found[f"{name} {kind}"] = make(name, continuous=env.spec.is_discrete, **NEEDED.get(name, {}))
    return found


def refusal(learner: Learner, spec: Spec) -> str | None:
    """Return the sentence with which the learner refuses environments of this spec, or None if it is for them."""
    try:
        learner.check(spec)
    except SettingError as error:
        return str(error)
    return None


def program_of(learner: Learner) -> Callable[[Env], Started]:
    """Return env -> what a learner starts with: one program for all environments that differ in values only."""

    def start(env: Env) -> Started:
        first = learner.init(jax.random.key(0), env)
        return Started(first, *learner.step(first, env, jnp.zeros(())))

    return jax.jit(start)


def not_finite(tree: Any) -> list[str]:
    """Return the paths of leaves that hold a number that is not finite."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    floats = [(path, leaf) for path, leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return [jax.tree_util.keystr(path) for path, leaf in floats if not np.isfinite(np.asarray(leaf)).all()]


def fault(program: Callable[[Env], Started], env: Env) -> str | None:
    """Return what goes wrong in a learner's first update, in a line, or None."""
    try:
        first, state, metrics = program(env)
    except Exception as error:  # whatever it is, the others are to be tried too
        first_line = (str(error).strip() or "no message").splitlines()[0]
        return f"{type(error).__name__}: {first_line}"
    before, after = (jax.tree.map(lambda x: (x.shape, x.dtype), tree) for tree in (first, state))
    if before != after:
        return "the state's shapes or dtypes change"
    if any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(state)):
        return None  # it was traced only: there are no numbers
    wrong = not_finite((state._replace(hyper={}), metrics))  # there, infinite means that there is no limit
    return f"not finite: {', '.join(wrong)}" if wrong else None


def main() -> None:
    """Start the pairs and print what failed as a table; the status says whether anything did."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--learners", nargs="+", choices=algos(), default=algos(), help="by name")
    parser.add_argument("--worlds", nargs="+", choices=worlds(), default=list(worlds()), help="by name, as listed")
    parser.add_argument("--trace", action="store_true", help="write programs down only, without compiling them")
    given = parser.parse_args()
    jax.config.update("jax_disable_most_optimizations", True)  # programs run once: the quicker they compile, the better
    failed, count, done = [], Counter(), "traced" if given.trace else "started"
    for name in given.learners:
        begin, learner = time.perf_counter(), small(name)
        program = program_of(learner)
        if given.trace:
            program = functools.partial(jax.eval_shape, program)
        able = [world for world in given.worlds if refusal(learner, worlds()[world].spec) is None]
        faults = {world: fault(program, worlds()[world]) for world in able}
        failed += [(name, world, sentence) for world, sentence in faults.items() if sentence]
        count.update(tried=len(able), refused=len(given.worlds) - len(able))
        seconds = time.perf_counter() - begin
        print(f"{name}: {len(able)} {done}, {sum(map(bool, faults.values()))} failed, {seconds:.0f} s", flush=True)
        jax.clear_caches()  # a thousand programs would not fit the memory
    print(f"\n{count['tried']} pairs {done}, {count['refused']} refused, {len(failed)} failed")
    if failed:
        print("\n| learner | world | what failed |\n| --- | --- | --- |")
        print("\n".join(f"| {name} | {world} | {sentence} |" for name, world, sentence in failed))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
