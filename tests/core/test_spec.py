import jax.numpy as jnp
import pytest

from jaxmarl_lite.core.env import Env, TimeStep
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.environments.mpe.simple_spread import SimpleSpread


def spec(**changes):
    fields = {"agents": ("a", "b"), "obs_sizes": (4, 7), "action_sizes": (3, 2), "state_size": 5, "horizon": 9}
    return Spec(**fields | changes)


def test_sizes_are_those_of_the_largest_agent():
    s = spec()
    assert (s.num_agents, s.num_actions, s.obs_shape, s.is_discrete) == (2, 3, (7,), True)
    assert not spec(action_kind="continuous").is_discrete


def test_spec_is_hashable_and_compares_by_value():
    assert hash(spec()) == hash(spec())
    assert spec() == spec()
    assert spec(horizon=10) != spec()


@pytest.mark.parametrize(
    ("obs_sizes", "action_sizes", "groups"),
    [
        ((4, 4, 4), (2, 2, 2), ((0, 1, 2),)),
        ((4, 5, 4), (2, 2, 2), ((0, 2), (1,))),
        ((4, 4, 4), (2, 3, 3), ((0,), (1, 2))),
    ],
)
def test_agents_of_equal_sizes_are_one_group_by_default(obs_sizes, action_sizes, groups):
    assert spec(agents=("a", "b", "c"), obs_sizes=obs_sizes, action_sizes=action_sizes).groups == groups


def test_given_groups_are_kept():
    assert spec(obs_sizes=(4, 4), action_sizes=(2, 2), groups=((1,), (0,))).groups == ((1,), (0,))


@pytest.mark.parametrize("groups", [((0,),), ((0, 1), (1,)), ((0, 2),)])
def test_groups_must_hold_each_agent_once(groups):
    with pytest.raises(SettingError, match="must hold each of the 2 agents once"):
        spec(groups=groups)


@pytest.mark.parametrize(
    ("changes", "numbers"),
    [
        ({"agents": ("a",)}, "1, 2 and 2"),
        ({"obs_sizes": (4,)}, "2, 1 and 2"),
        ({"action_sizes": (3, 3, 3)}, "2, 2 and 3"),
        ({"agents": (), "obs_sizes": (), "action_sizes": ()}, "0, 0 and 0"),
    ],
)
def test_fields_that_contradict_one_another_are_refused(changes, numbers):
    with pytest.raises(SettingError, match=f"must have one entry per agent, not {numbers}"):
        spec(**changes)


@pytest.mark.parametrize(
    ("terminated", "truncated", "done"),
    [
        ([False, False], False, False),
        ([True, False], False, False),
        ([True, True], False, True),
        ([False, False], True, True),
        ([True, False], True, True),
    ],
)
def test_episode_is_done_when_truncated_or_when_all_terminated(terminated, truncated, done):
    ts = TimeStep(*[jnp.zeros(())] * 5, terminated=jnp.array(terminated), truncated=jnp.array(truncated))
    assert bool(ts.done) is done


def test_environments_satisfy_the_protocol_and_other_things_do_not():
    assert isinstance(SimpleSpread(), Env)
    assert not isinstance(spec(), Env)
