"""Lewis's signalling game: a speaker names what it sees in words that mean nothing yet."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jaxmarl_lite.core.env import Array, Key, TimeStep
from jaxmarl_lite.core.settings import require_int, require_number
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.environments.comm.channel import heard

SPEAKER, LISTENER = range(2)


class SignalState(NamedTuple):
    """A round of the game."""

    meaning: Array
    """int32 [], what the speaker is to say"""
    word: Array
    """int32 [], what the listener heard; -1 while the speaker is to move"""
    time: Array
    """int32 [], moves played, two a round"""


@struct.dataclass(eq=False)
class Signalling:
    """A speaker sees a meaning and says a word, a listener hears the word and answers with a meaning.

    A round is two steps, and who is not to move in one of them waits: its only legal action, 0, does nothing. In the
    first the speaker says one of `num_words` words. With probability `noise` the listener hears a word drawn uniformly
    from all of them instead. In the second the listener answers with one of `num_meanings` meanings, and both are paid
    1 if it is the speaker's, else 0. Then a new meaning is drawn, uniformly; the episode terminates behind `rounds`
    rounds. Lewis 1969, "Convention"; Skyrms 2010, "Signals", chapter 1.

    The best return of each agent is `rounds ((1 - noise) min(K, M) / M + noise / M)` for M meanings and K words: 1
    without noise and with words enough. A uniformly random policy gets `rounds / M`, and so does a speaker who always
    says the same. All are exact.

    | index | meaning | unit | range |
    | --- | --- | --- | --- |
    | speaker: num_meanings numbers | the meaning, one-hot; zeros while the listener is to move | - | 0 or 1 |
    | listener: num_words numbers | what it heard, one-hot; zeros while the speaker is to move | - | 0 or 1 |

    The shorter of these observations is padded with zeros. The global state is the meaning, one-hot, then what the
    listener heard, one-hot or zeros: M + K numbers.
    """

    num_meanings: int = struct.field(pytree_node=False, default=4)
    """number of meanings, M, and of the listener's actions"""
    num_words: int = struct.field(pytree_node=False, default=4)
    """number of words, K, and of the speaker's actions"""
    rounds: int = struct.field(pytree_node=False, default=1)
    """rounds of an episode"""
    noise: float = 0.0
    """probability that a word is replaced by a random one (a leaf)"""

    def __post_init__(self) -> None:
        require_int("num_meanings", self.num_meanings, low=2)
        require_int("num_words", self.num_words)
        require_int("rounds", self.rounds)
        require_number("noise", self.noise, low=0.0, high=1.0)

    @property
    def spec(self) -> Spec:
        """The static description; speaker and listener are groups of their own whatever their sizes."""
        sizes = (self.num_meanings, self.num_words)
        return Spec(
            agents=("speaker", "listener"),
            obs_sizes=sizes,
            action_sizes=sizes[::-1],
            state_size=sum(sizes),
            horizon=2 * self.rounds,
            groups=((SPEAKER,), (LISTENER,)),
        )

    def reset(self, key: Key) -> tuple[SignalState, TimeStep]:
        """Draw a meaning."""
        meaning = jax.random.randint(key, (), 0, self.num_meanings)
        state = SignalState(meaning, jnp.full((), -1, jnp.int32), jnp.zeros((), jnp.int32))
        return state, self.observe(state)

    def step(self, key: Key, state: SignalState, action: Array) -> tuple[SignalState, TimeStep]:
        """Let the one who is to move speak or answer."""
        chance = jax.random.uniform(key)
        speaks = state.word < 0
        word = heard(action[SPEAKER], self.num_words, self.noise, chance)
        paid = jnp.where(~speaks & (action[LISTENER] == state.meaning), 1.0, 0.0)
        time = state.time + 1
        is_over = time >= self.spec.horizon
        meaning = jnp.floor(chance * self.num_meanings).astype(jnp.int32)
        state = SignalState(
            meaning=jnp.where(speaks | is_over, state.meaning, meaning),
            word=jnp.where(speaks, word, jnp.where(is_over, state.word, -1)),
            time=time,
        )
        return state, self.observe(state)._replace(reward=jnp.full(2, paid), terminated=jnp.full(2, is_over))

    def observe(self, state: SignalState) -> TimeStep:
        """Show a state as it is when an episode begins there."""
        meanings, words = self.num_meanings, self.num_words
        speaks = state.word < 0
        moves = jnp.stack([speaks, ~speaks])
        meaning = jax.nn.one_hot(state.meaning, meanings)
        word = jax.nn.one_hot(state.word, words)
        width = max(meanings, words)
        seen = jnp.pad(jnp.where(speaks, meaning, 0.0), (0, width - meanings))
        return TimeStep(
            obs=jnp.stack([seen, jnp.pad(word, (0, width - words))]),
            state=jnp.concatenate([meaning, word]),
            legal=jnp.arange(width) < jnp.where(moves, jnp.asarray(self.spec.action_sizes), 1)[:, None],
            active=moves,
            reward=jnp.zeros(2),
            terminated=jnp.zeros(2, bool),
            truncated=jnp.zeros((), bool),
        )

    def draw(self, axes: Any, state: SignalState, step: TimeStep) -> None:
        """Draw meanings and words as columns of dots, those of this round filled and joined by an arrow."""
        meaning, word = int(state.meaning), int(state.word)
        rows = max(self.num_meanings, self.num_words)
        axes.set(xlim=(-0.5, 1.5), ylim=(rows - 0.4, -1.2), xticks=[], yticks=[])
        columns = (("meaning", self.num_meanings, meaning, "o"), ("word", self.num_words, word, "s"))
        for x, (name, num, chosen, marker) in enumerate(columns):
            start = (rows - num) / 2
            axes.annotate(name, (x, -0.8), ha="center", weight="bold")
            for i in range(num):
                colour = f"C{x}" if i == chosen else "white"
                axes.plot(x, start + i, marker=marker, ms=24, mfc=colour, mec="0.3")
                axes.annotate(str(i), (x, start + i), ha="center", va="center")
        if word >= 0:
            ends = [(x, (rows - num) / 2 + chosen) for x, (_, num, chosen, _) in enumerate(columns)]
            style = {"arrowstyle": "->", "lw": 2, "shrinkA": 16, "shrinkB": 16, "color": "0.3"}
            axes.annotate("", ends[1], ends[0], arrowprops=style)
        answered = int(state.time) > 0 and (word < 0 or int(state.time) == self.spec.horizon)
        result = "" if not answered else "   right" if float(step.reward[0]) > 0 else "   wrong"
        axes.set_title(f"round {min(int(state.time) // 2 + 1, self.rounds)} of {self.rounds}{result}")
