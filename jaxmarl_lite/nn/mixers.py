"""How the values of a team's agents become the values that are learnt: the Mixer record and its kinds.

Every value-based algorithm here learns `mixer.apply(params, utilities, choice)`, and they differ in the mixer:

| name | values learnt | algorithm |
| --- | --- | --- |
| "none" | each agent's own, of its own reward | independent Q-learning |
| "sum" | the sum | VDN |
| "monotonic" | a function that grows with each | QMIX |
| "duplex" | values and advantages, weighed by state and actions | QPLEX |
| "transform" | a function of state and actions, to which the sum is fitted | QTRAN-base |
| "alternatives" | the same for each agent, of all that it might have done | QTRAN-alt |

`utilities` is what the agents' networks say of a sequence of steps, `choice`, int32 [E, T, A], an action of each agent.
The result is [E, T, G], where G = A if there is a value for each agent and G = 1 if there is one of the team; `counted`
says which of them count. The value of what was done, of what is best, of what another network thinks best and of a
target network are all calls of the same function. An agent that is gone weighs nothing: no joint value depends on its
utilities or its choice; one that waits for its turn weighs as much as any, by the value of the single thing that it may
do. `is_joint` says whether values are of the team's reward or each of its agent's.

`terms` are losses [E, T, G] beside that of the values, by name; {} but for QTRAN, which has "opt" and "nopt".
"""

import functools
import operator
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen

from jaxmarl_lite.core.env import Array, Key, Tree
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.nn.mlp import Dense, Hidden
from jaxmarl_lite.ops.factorisation import least_gap, lower_gap, optimal_gap
from jaxmarl_lite.ops.policy import mask_logits, of_choice, of_others, of_team

Kind = Literal["none", "sum", "monotonic", "duplex", "transform", "alternatives"]

_LEAST_WEIGHT = 1e-6  # of an advantage: above zero, so that a worse action is never as good as the best
_LOG_KEY = 10.0  # beyond, an exponential is more than a network could mean
_LENGTH = 2.5  # of the global state as networks see it: about that of coordinates of some ten things


class Utilities(NamedTuple):
    """What a team's agents make of their actions in a sequence of steps, and what a mixer knows of these."""

    values: Array
    """[N, E, T, A], of each action"""
    legal: Array
    """bool [N, E, T, A]"""
    present: Array
    """bool [E, T, A], not gone"""
    state: Array
    """[S, E, T], the global state"""

    @property
    def best(self) -> Array:
        """The legal action of greatest value; int32 [E, T, A]."""
        return jnp.argmax(mask_logits(self.values, self.legal), axis=0).astype(jnp.int32)

    @property
    def greatest(self) -> Array:
        """The greatest value of a legal action; 0 where an agent is gone [E, T, A]."""
        return jnp.where(self.present, mask_logits(self.values, self.legal).max(0), 0.0)

    def chosen(self, choice: Array) -> Array:
        """Return the values of actions, int32 [E, T, A]; 0 where an agent is gone."""
        return jnp.where(self.present, of_choice(self.values, choice), 0.0)


class Mixer(NamedTuple):
    """A way to mix; see the module's docstring."""

    init: Callable[[Key], Tree]
    """key -> params"""
    apply: Callable[[Tree, Utilities, Array], Array]
    """(params, utilities, choice) -> values [E, T, G]"""
    is_joint: bool = True
    """whether these are values of the team's reward"""
    terms: Callable[[Tree, Utilities, Array], dict[str, Array]] = lambda params, utilities, choice: {}
    """(params, utilities, choice) -> losses [E, T, G] of their own"""


def mixer_of(kind: Kind, spec: Spec, embed: int = 32, hidden: int = 64) -> Mixer:
    """Return a mixer for a team; networks of the state have one layer of `hidden` units, or none if that is 0.

    `embed` is the width of the mixing network of "monotonic".

    Raises SettingError if the mixer is one of the global state and the environment has none.
    """
    if kind in ("none", "sum"):
        return Mixer(lambda key: {}, _own, is_joint=False) if kind == "none" else Mixer(lambda key: {}, _sum)
    if not spec.state_size:
        raise SettingError(f"mixer={kind!r} is not allowed here: the environment has no global state to mix by.")
    layer = Hidden((hidden,) if hidden else (), "relu")
    if kind == "monotonic":
        return _of_module(Monotonic(layer, embed), spec)
    if kind == "duplex":
        return _of_module(Duplex(layer), spec)
    return _of_transform(Transform(layer, kind == "alternatives"), spec)


def counted(values: Array, present: Array) -> Array:
    """Return which of a mixer's values [E, T, G] count, by `present` [E, T, A]: the team's where anybody is."""
    return present if values.shape[-1] == present.shape[-1] else present.any(-1, keepdims=True)


def _own(params: Tree, utilities: Utilities, choice: Array) -> Array:
    """Leave each agent its own value (Tan 1993, "Multi-agent reinforcement learning: independent vs. cooperative")."""
    del params
    return utilities.chosen(choice)


def _sum(params: Tree, utilities: Utilities, choice: Array) -> Array:
    """Add up, Q = sum_i Q_i (Sunehag et al. 2017, arXiv:1706.05296, eq. 3)."""
    del params
    return utilities.chosen(choice).sum(-1, keepdims=True)


class Monotonic(linen.Module):
    """A joint value that grows with each agent's (QMIX).

    Q = |W_2|^T elu(|W_1|^T q + b_1) + b_2, all four networks of the state, so that dQ / dq_i >= 0 and the agents' best
    actions are the team's (Rashid et al. 2018, arXiv:1803.11485, eqs. 4-5 and figure 2). It begins near the sum of q:
    what each of an agent's actions is worth is told before the state's part in it is.
    """

    hidden: Hidden
    embed: int

    @linen.compact
    def __call__(self, utilities: Utilities, choice: Array) -> Array:
        """Return the joint values [E, T, 1]."""
        state, values = _columns(_state(utilities)), _columns_of_agents(utilities.chosen(choice))

        def weights(outputs: int) -> Array:
            of_sum = self.embed**-0.5
            return jnp.abs(of_sum + Dense(outputs, 0.2)(self.hidden.copy()(state)))

        num_agents = len(values)
        # As a product: what is only broadcast would be worked out anew for each row that reads it.
        values = jnp.matmul(jnp.eye(num_agents), values, precision="highest")
        first = weights(num_agents * self.embed).reshape(num_agents, self.embed, -1)
        inputs = [value * weight for value, weight in zip(values, first, strict=True)]
        mixed = jax.nn.elu(_added([*inputs, Dense(self.embed, 0.5)(state)]))
        offset = Dense(1, 0.5)(Hidden((self.embed,), "relu")(state))[0]
        joint = (weights(self.embed) * mixed).sum(0) + offset
        return joint.reshape(*choice.shape[:-1], 1)


class Duplex(linen.Module):
    """A joint value with two duels, of which nothing is asked but that its best action is the agents' best (QPLEX).

    With V_i = w_i max q_i + b_i and A_i = w_i (q_i - max q_i), where w_i > 0 and b_i are networks of the state,
    Q = sum_i (V_i + A_i) + sum_i (l_i - 1) A_i. The weights l_i = sum over heads of key(s) f_i(s) g_i(s, a) > 0 are
    networks of the state and all choices; no gradient is taken of the advantages that they weigh (Wang et al. 2021,
    arXiv:2008.01062, eqs. 8-11). Keys are positive as exponentials: weights that grow as fast as errors ask fit the
    joint value before the advantages vanish, after which nothing could. On the game [[8, -12, -12], [-12, 0, 0],
    [-12, 0, 0]], all cells tried alike, two to three of four starts find 8 so, and one of four with absolute values.
    """

    hidden: Hidden
    heads: int = 4

    @linen.compact
    def __call__(self, utilities: Utilities, choice: Array) -> Array:
        """Return the joint values [E, T, 1]."""
        state, told = _columns(_state(utilities)), _columns(of_team(_played(utilities, choice)))
        chosen, greatest, present = map(
            _columns_of_agents, (utilities.chosen(choice), utilities.greatest, utilities.present)
        )

        def network(outputs: int, x: Array = state) -> Array:
            return Dense(outputs, 1.0)(self.hidden.copy()(x))

        num_agents = len(chosen)
        each = (self.heads, num_agents, -1)
        of_state = jax.nn.sigmoid(network(self.heads * num_agents)).reshape(each)
        of_actions = jax.nn.sigmoid(network(self.heads * num_agents, jnp.concatenate([state, told]))).reshape(each)
        key = jnp.exp(jnp.clip(network(self.heads), -_LOG_KEY, _LOG_KEY))[:, None]
        weight = _added(key * of_state * of_actions) + _LEAST_WEIGHT
        scale, offset = jnp.split(network(2 * num_agents), 2)
        scale = jnp.abs(1.0 + scale) + _LEAST_WEIGHT
        advantage = jax.lax.stop_gradient(scale * (chosen - greatest))
        parts = jnp.where(present, scale * chosen + offset + (weight - 1.0) * advantage, 0.0)
        return _added(parts).reshape(*choice.shape[:-1], 1)


class Transform(linen.Module):
    """A joint value of state and choices, free of the agents' values, and the offset of their sum from it (QTRAN).

    With `alternatives` there is one for each agent, which gives the values of all its actions while the others do what
    they did. Son et al. 2019, arXiv:1905.05408, let it see the sum of the agents' encoded memories and actions; here it
    sees the global state and, one-hot, who does what.
    """

    hidden: Hidden
    alternatives: bool

    @linen.compact
    def __call__(self, utilities: Utilities, choice: Array) -> tuple[Array, Array]:
        """Return values of the choice [1, E, T, 1] or of alternatives [N, E, T, A], and offsets [E, T, 1]."""
        num_actions, *_, num_agents = utilities.values.shape
        state, played = _state(utilities)[..., None], _played(utilities, choice)
        view, outputs = of_team(played)[..., None], 1
        if self.alternatives:
            ids = np.eye(num_agents, dtype=np.float32)[:, None, None]
            ids = jnp.broadcast_to(ids, (num_agents, *choice.shape))
            view, outputs = jnp.concatenate([of_others(played), ids]), num_actions
        view = jnp.concatenate([jnp.broadcast_to(state, (len(state), *view.shape[1:])), view])
        values = Dense(outputs, 1.0)(self.hidden.copy()(_columns(view)))
        offset = Dense(1, 1.0)(self.hidden.copy()(_columns(state)))
        return values.reshape(-1, *view.shape[1:]), offset.reshape(*choice.shape[:-1], 1)


def _of_module(module: Monotonic | Duplex, spec: Spec) -> Mixer:
    return Mixer(functools.partial(_first_params, module, spec), module.apply)  # type: ignore[arg-type]


def _of_transform(module: Transform, spec: Spec) -> Mixer:
    def look(params: Tree, utilities: Utilities, choice: Array) -> tuple[Array, Array, Array]:
        """Return values, those of `choice` [E, T, G], and offsets."""
        made: Any = module.apply(params, utilities, choice)
        values, offset = made
        joint = _told_by_present(of_choice(values, choice), utilities.present) if module.alternatives else values[0]
        return values, joint, offset

    def terms(params: Tree, utilities: Utilities, choice: Array) -> dict[str, Array]:
        _, of_best, offset = look(params, utilities, utilities.best)
        values, joint, _ = look(params, utilities, choice)
        chosen, best = utilities.chosen(choice), utilities.greatest.sum(-1, keepdims=True)
        opt = optimal_gap(best, of_best, offset)
        if not module.alternatives:
            return {"opt": opt, "nopt": lower_gap(chosen.sum(-1, keepdims=True), joint, offset)}
        totals = jnp.where(utilities.present, utilities.values, 0.0) + chosen.sum(-1, keepdims=True) - chosen
        return {"opt": opt, "nopt": least_gap(totals, values, offset, utilities.legal)}

    return Mixer(
        functools.partial(_first_params, module, spec),
        lambda params, utilities, choice: look(params, utilities, choice)[1],
        terms=terms,
    )


def _told_by_present(values: Array, present: Array) -> Array:
    """Return the joint value as each agent has it [E, T, A]; for those that are gone, the mean of what the others say.

    The team's value goes on after one of them has gone, and what a network says of the alternatives of the gone is not
    learnt.
    """
    mean = jnp.where(present, values, 0.0).sum(-1, keepdims=True) / jnp.maximum(present.sum(-1, keepdims=True), 1)
    return jnp.where(present, values, mean)


def _first_params(module: linen.Module, spec: Spec, key: Key) -> Tree:
    shape = (spec.num_actions, 1, 1, spec.num_agents)
    present = jnp.ones(shape[1:], bool)
    utilities = Utilities(jnp.zeros(shape), jnp.ones(shape, bool), present, jnp.zeros((spec.state_size, 1, 1)))
    return module.init(key, utilities, jnp.zeros(shape[1:], jnp.int32))


def _played(utilities: Utilities, choice: Array) -> Array:
    """Return choices [E, T, A], one-hot, and zeros where an agent is gone [N, E, T, A]."""
    return jax.nn.one_hot(jnp.where(utilities.present, choice, -1), len(utilities.values), axis=0)


def _state(utilities: Utilities) -> Array:
    """Return the global state as the networks that mix see it [S, E, T]: no longer than `_LENGTH`.

    Their layers keep the length of what they get, and a joint value is a product of two of them: of coordinates in
    cells of a grid it began a hundred times too large and took most of a run to shrink. Numbers beyond 1 grow as
    logarithms, so that one of them does not hide the others, and the whole is then shortened.
    """
    size = jnp.abs(utilities.state)
    state = jnp.where(size > 1.0, jnp.sign(utilities.state) * (1.0 + jnp.log(jnp.maximum(size, 1.0))), utilities.state)
    return state * _LENGTH * jax.lax.rsqrt(_LENGTH**2 + jnp.square(state).sum(0))


def _columns(x: Array) -> Array:
    """Return [F, E, T, ...] -> [F, R]."""
    return x.reshape(x.shape[0], -1)


def _columns_of_agents(x: Array) -> Array:
    """Return [E, T, A] -> [A, R]."""
    return _columns(jnp.moveaxis(x, -1, 0))


# Written out: a sum over an axis as short as that of the agents takes a CPU several times as long.
def _added(terms: Iterable[Array]) -> Array:
    return functools.reduce(operator.add, terms)
