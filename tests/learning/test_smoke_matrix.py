"""Every learner starts where it can: each family in every world, each preset in each kind of world.

`scripts/smoke_matrix.py` starts all pairs. Here presets take turns among the worlds, and each program, of a learner and
a world, is compiled once: of worlds that differ in values alone, such as matrix games, all are started in it. Compiling
takes most of the time, so pairs whose learner and whose world both started in other pairs are traced only.
"""

import functools
import math
from collections import Counter

import jax
import numpy as np
import pytest
from smoke_matrix import fault, program_of, refusal, small, worlds

from jaxmarl_lite.environments.registry import envs
from jaxmarl_lite.learners.as_one import MOST_ACTIONS
from jaxmarl_lite.learners.off_policy_settings import OffPolicySettings
from jaxmarl_lite.learners.on_policy_settings import OnPolicySettings
from jaxmarl_lite.learners.presets import PRESETS
from jaxmarl_lite.learners.value_settings import ValueSettings
from jaxmarl_lite.nn.table import MOST_ROWS

FAMILIES = {
    family: {name: small(name) for name, settings in PRESETS.items() if isinstance(settings, family)}
    for family in (OnPolicySettings, ValueSettings, OffPolicySettings)
}
WORLDS = worlds()
# As they are shipped, and discrete for those that need it. Where other tests of learning put every family is left out.
SHIPPED = [name for name in envs() if not name.startswith(("probe/", "memory/cue"))]
SHIPPED += ["probe/chosen_reward continuous"]  # small, and so for presets whose turn did not come
CHOSEN = dict.fromkeys(FAMILIES, SHIPPED)
CHOSEN[ValueSettings] = [f"{name} discrete" if f"{name} discrete" in WORLDS else name for name in SHIPPED]


def kind_of(spec):
    return "continuous" if not spec.is_discrete else "unlike" if len(spec.groups) > 1 else "alike"


def program_key(env):
    """What of an environment a program is compiled for; all else are values."""
    leaves, structure = jax.tree.flatten(env)
    return structure, env.spec, *((np.shape(leaf), np.result_type(leaf)) for leaf in leaves)


def groups(names, kind):
    """Return the worlds of a kind, [[name, ...], ...], together if one program is theirs; few joint actions first."""
    found = {}
    for name in names:
        if kind_of(WORLDS[name].spec) == kind:
            found.setdefault(program_key(WORLDS[name]), []).append(name)
    return sorted(found.values(), key=lambda group: math.prod(WORLDS[group[0]].spec.action_sizes))


def arranged(family, kind):
    """Return [(learner, worlds)] such that all worlds have a learner and all learners a world, if any is for it.

    Who has had the least turns comes next, so the presets of a family go round among its worlds.
    """
    learners, there = FAMILIES[family], groups(CHOSEN[family], kind)
    fits = {
        name: [group for group in there if refusal(learners[name], WORLDS[group[0]].spec) is None] for name in learners
    }
    turns, pairs = Counter(), []
    for group in there:
        able = [name for name in learners if group in fits[name]]
        if able:
            pairs.append((min(able, key=turns.__getitem__), group))
            turns[pairs[-1][0]] += 1
    if (family, kind) == (OnPolicySettings, "continuous"):  # test_probes.py has them all learn by continuous actions
        return pairs
    return pairs + [(name, fits[name][0][:1]) for name in learners if fits[name] and not turns[name]]


KINDS = ("alike", "unlike", "continuous")
PAIRS = [pair for family in FAMILIES for kind in KINDS for pair in arranged(family, kind)]


def novel(pairs):
    """Return those pairs whose learner or whose worlds are in no pair before."""
    found, known = [], set()
    for name, group in pairs:
        if not known >= {name, *group}:
            found.append((name, group))
        known |= {name, *group}
    return found


STARTED = novel(PAIRS)
TRACED = [pair for pair in PAIRS if pair not in STARTED]


def name_of(part):
    return part if isinstance(part, str) else ",".join(part)


@pytest.mark.parametrize(("name", "group"), STARTED, ids=name_of)
def test_a_first_update_is_finite_and_keeps_the_shapes_of_the_state(name, group):
    program = program_of(small(name))
    assert {world: fault(program, WORLDS[world]) for world in group} == dict.fromkeys(group)
    assert program._cache_size() == 1


@pytest.mark.parametrize(("name", "group"), TRACED, ids=name_of)
def test_a_first_update_can_be_traced_and_keeps_the_shapes_of_the_state(name, group):
    program = functools.partial(jax.eval_shape, program_of(small(name)))
    assert {world: fault(program, WORLDS[world]) for world in group} == dict.fromkeys(group)


def is_for(settings, spec):
    """Whether learners with these settings are for a world, by what they are made of."""
    if not isinstance(settings, ValueSettings):
        return True
    numbers = spec.obs_shape[0] + (spec.num_agents == 1)  # a lone agent is told that it is the first
    is_small = settings.bins**numbers <= MOST_ROWS
    is_few = not settings.central or math.prod(spec.action_sizes) <= MOST_ACTIONS
    return spec.is_discrete and is_small and is_few


def test_exactly_those_pairs_are_refused_that_cannot_be():
    learners = {name: learner for family in FAMILIES.values() for name, learner in family.items()}
    pairs = [(name, world) for name in learners for world in WORLDS]
    refused = {pair for pair in pairs if refusal(learners[pair[0]], WORLDS[pair[1]].spec) is not None}
    assert refused == {(name, world) for name, world in pairs if not is_for(PRESETS[name], WORLDS[world].spec)}
