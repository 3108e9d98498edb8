"""The contract checker must refuse each of these, and say why in one sentence."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from jaxmarl_lite.core.env import TimeStep
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.environments.contract import check_env, check_shapes

HORIZON = 3
SPEC = Spec(("a", "b"), (2, 2), (3, 2), state_size=1, horizon=HORIZON)


class Clock(NamedTuple):
    time: jax.Array


def unspoilt(out):
    return out


@struct.dataclass(eq=False)
class Toy:
    """Shows the time for three steps; `spoil_reset` and `spoil_step` break what reset and step return."""

    spoil_reset: Callable = struct.field(pytree_node=False, default=unspoilt)
    spoil_step: Callable = struct.field(pytree_node=False, default=unspoilt)
    spec: Any = struct.field(pytree_node=False, default=SPEC)

    def reset(self, key):
        return self.spoil_reset(begin(jnp.zeros((), jnp.int32)))

    def step(self, key, state, action):
        state, ts = begin(state.time + 1)
        return self.spoil_step((state, ts._replace(reward=jnp.ones(2), truncated=state.time >= HORIZON)))


def begin(time):
    return Clock(time), TimeStep(
        obs=jnp.full((2, 2), time, jnp.float32),
        state=jnp.full(1, time, jnp.float32),
        legal=jnp.array([[True, True, True], [True, True, False]]),
        active=jnp.ones(2, bool),
        reward=jnp.zeros(2),
        terminated=jnp.zeros(2, bool),
        truncated=jnp.zeros((), bool),
    )


def change(**changes):
    """Replace fields of the TimeStep by values, or by functions of (state, ts)."""

    def spoil(out):
        state, ts = out
        return state, ts._replace(**{k: v(state, ts) if callable(v) else v for k, v in changes.items()})

    return spoil


def roll_dice(state, ts):
    def roll(time):
        return np.random.default_rng().random(time.shape, np.float32)

    return ts.reward + jax.pure_callback(
        roll, jax.ShapeDtypeStruct((), jnp.float32), state.time, vmap_method="expand_dims"
    )


def branch_in_python(out):
    state, ts = out
    return (state, ts) if state.time > 1 else begin(state.time)


BROKEN_STEPS = {
    "integer reward": (
        change(reward=lambda state, ts: ts.reward.astype(jnp.int32)),
        "step returns reward as int32[2] and the spec says float32[2]",
    ),
    "wrong shape": (
        change(obs=lambda state, ts: ts.obs[:, :1]),
        "step returns obs as float32[2, 1] and the spec says float32[2, 2]",
    ),
    "truncation per agent": (
        change(truncated=lambda state, ts: ts.terminated),
        "step returns truncated as bool[2] and the spec says bool[]",
    ),
    "nan obs": (change(obs=lambda state, ts: ts.obs / 0.0 * 0.0), "obs is not finite after step"),
    "infinite reward": (change(reward=lambda state, ts: ts.reward / 0.0), "reward is not finite after step"),
    "infinite global state": (change(state=lambda state, ts: ts.state + jnp.inf), "state is not finite after step"),
    "no end": (
        change(truncated=lambda state, ts: jnp.zeros((), bool)),
        f"an episode goes on after the horizon of {HORIZON} steps",
    ),
    "late end": (
        change(truncated=lambda state, ts: state.time >= HORIZON + 1),
        f"an episode goes on after the horizon of {HORIZON} steps",
    ),
    "not deterministic": (change(reward=roll_dice), "the same key does not give the same episode"),
    "no legal action": (
        change(legal=lambda state, ts: jnp.zeros((2, 3), bool)),
        "an active agent has no legal action after step",
    ),
    "an action beyond the agent's": (
        change(legal=lambda state, ts: jnp.ones((2, 3), bool)),
        "an action beyond an agent's action_sizes is legal after step",
    ),
    "both ends": (
        change(terminated=lambda state, ts: jnp.full(2, ts.truncated)),
        "a step is both truncated and terminated: an episode ends for one reason",
    ),
    "state of another shape": (
        lambda out: (Clock(jnp.zeros(2, jnp.int32)), out[1]),
        "step changes the state's shapes or dtypes from",
    ),
    "no pair": (lambda out: out[1], "step must return (state, TimeStep)"),
    "python branch": (branch_in_python, "step cannot be traced by jit (Attempted boolean conversion"),
    "its own error": (lambda out: {}["wind"], "step cannot be traced by jit ('wind')"),
}
BROKEN_RESETS = {
    "over at once": (change(truncated=lambda state, ts: jnp.ones((), bool)), "an episode is over as soon as it begins"),
    "nan obs": (change(obs=lambda state, ts: ts.obs + jnp.nan), "obs is not finite after reset"),
    "wrong dtype": (
        change(active=lambda state, ts: jnp.ones(2)),
        "reset returns active as float32[2] and the spec says bool[2]",
    ),
    "reward before any step": (
        change(reward=lambda state, ts: jnp.ones(2)),
        "a step that begins an episode has a reward or an end",
    ),
    "no legal action": (
        change(legal=lambda state, ts: jnp.zeros((2, 3), bool)),
        "an active agent has no legal action after reset",
    ),
}


def refusal(env):
    with pytest.raises(SettingError) as caught:
        check_env(env)
    sentence = str(caught.value)
    start = "environment fails its contract: "
    assert sentence.startswith(start)
    assert "\n" not in sentence
    assert sentence.count(start) == 1
    return sentence.removeprefix(start)


def test_the_unspoilt_toy_keeps_the_contract():
    check_env(Toy())


@pytest.mark.parametrize(("spoil", "why"), BROKEN_STEPS.values(), ids=BROKEN_STEPS)
def test_broken_steps_are_refused(spoil, why):
    assert refusal(Toy(spoil_step=spoil)).startswith(why)


@pytest.mark.parametrize(("spoil", "why"), BROKEN_RESETS.values(), ids=BROKEN_RESETS)
def test_broken_resets_are_refused(spoil, why):
    assert refusal(Toy(spoil_reset=spoil)).startswith(why)


@pytest.mark.parametrize("spec", [None, {"agents": 2}])
def test_a_spec_must_be_a_spec(spec):
    assert refusal(Toy(spec=spec)) == f"spec is {spec!r} and should be a Spec."


def never(state):
    return False


def second(active=False, terminated=never, choices=1, reward=0.0):
    """Let the second agent be unlike the first: not active, with one legal action, and not paid."""
    return change(
        legal=lambda state, ts: ts.legal.at[1].set(jnp.arange(3) < choices),
        active=lambda state, ts: ts.active.at[1].set(active),
        reward=lambda state, ts: ts.reward.at[1].set(reward),
        terminated=lambda state, ts: ts.terminated.at[1].set(terminated(state)),
    )


def since_first(state):
    return state.time >= 1


def in_first(state):
    return state.time == 1


def test_an_agent_may_wait_and_be_paid_meanwhile():
    check_env(Toy(spoil_step=second(reward=1.0)))


@pytest.mark.parametrize("choices", [0, 2])
def test_who_waits_has_a_single_thing_to_do(choices):
    why = "an agent that is not active has a choice after step: it must have one legal action"
    assert refusal(Toy(spoil_step=second(choices=choices))).startswith(why)


def test_one_agent_may_terminate_before_the_others_or_never_be_there():
    check_env(Toy(spoil_step=second(terminated=since_first)))
    absent = second(terminated=lambda state: True)
    check_env(Toy(spoil_step=absent, spoil_reset=absent))


@pytest.mark.parametrize(
    ("what", "flags"),
    [
        ("is active", {"terminated": since_first, "active": True}),
        ("is back", {"terminated": in_first}),
        ("is paid", {"terminated": since_first, "reward": 1.0}),
    ],
)
def test_who_has_terminated_is_gone_until_the_episode_ends(what, flags):
    why = f"an agent that has terminated {what}: it must be gone until the episode ends."
    assert refusal(Toy(spoil_step=second(**flags))) == why


@struct.dataclass(eq=False)
class Observed(Toy):
    """Shows a state by `observe`, wrongly by `error` after `error_after` steps."""

    field: str = struct.field(pytree_node=False, default="obs")
    error_after: int = struct.field(pytree_node=False, default=0)

    def observe(self, state):
        ts = begin(state.time)[1]
        wrong = state.time >= self.error_after
        return ts._replace(**{self.field: getattr(ts, self.field) + jnp.where(wrong, 1.0, 0.0)})


@pytest.mark.parametrize("field", ["obs", "state"])
@pytest.mark.parametrize(("error_after", "where"), [(0, "reset"), (1, "step")])
def test_observe_must_show_what_reset_and_step_show(field, error_after, where):
    env = Observed(field=field, error_after=error_after)
    assert refusal(env) == f"observe shows another {field} than {where} does."
    check_env(Observed(field=field, error_after=10 * HORIZON))


def test_shapes_are_checked_without_running_anything():
    def explode(_):
        raise AssertionError("step was run")

    def spoil(out):
        jax.debug.callback(explode, out[0].time)
        return out

    check_shapes(Toy(spoil_step=spoil, spoil_reset=spoil))


class Bare:
    """Keeps the contract in all but one thing: it is no pytree."""

    spec = SPEC

    def reset(self, key):
        return Toy().reset(key)

    def step(self, key, state, action):
        return Toy().step(key, state, action)


def test_an_environment_that_is_no_pytree_is_refused_with_a_sentence():
    with pytest.raises(SettingError, match="fails its contract: stepping many of it"):
        check_env(Bare())
