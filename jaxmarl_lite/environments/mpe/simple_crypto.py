"""Covert communication: two friends share a key, and somebody listens."""

import jax.numpy as jnp
from flax import struct

from jaxmarl_lite.core.env import Array
from jaxmarl_lite.core.settings import require_int
from jaxmarl_lite.environments.mpe import world
from jaxmarl_lite.environments.mpe.scenario import Mark, Role, Scenario, WorldState


@struct.dataclass(eq=False)
class SimpleCrypto(Scenario):
    """Alice says what only Bob should understand: both know a key, and Eve hears Alice too.

    The semantics are those of simple_crypto_v3 of mpe2, which has two messages, as landmarks, and four words. Message
    and key are drawn uniformly and independently; message m is the vector of C numbers with a 1 at m. Bob and Eve each
    say a vector that should be the message. With e(c) the sum of squares of c less the message, and 0 where c is all
    zeros, Eve gets -e(Eve's), and Alice and Bob each e(Eve's) - e(Bob's). Words are one-hot, so that errors are 0 or 2
    (continuous: any numbers in [0, 1]). Nobody moves. Actions and episodes: see Scenario.

    Returns, means of 4,096 episodes: with uniformly random actions 0.2 of Alice and of Bob, and -37.6 of Eve; 24.0 and
    -25.0 if Alice says (message + key) mod 2, Bob undoes that, and Eve draws one of the two messages.

    | agent | observation | unit | range |
    | --- | --- | --- | --- |
    | eve_0 | C numbers: what Alice said | - | [0, 1] |
    | bob_0 | C numbers: the key, one-hot; then C: what Alice said | - | [0, 1] |
    | alice_0 | C numbers: the message, one-hot; then C: the key, one-hot | - | 0, 1 |

    The global state is what all three said, the message and the key, one-hot: 3 C + 2 L numbers.

    Raises SettingError on a setting out of range.
    """

    num_landmarks: int = struct.field(pytree_node=False, default=2)
    """number of messages and of keys, L, at most as many as words"""
    num_words: int = struct.field(pytree_node=False, default=4)
    """number of words, C"""

    num_drawn = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        require_int("num_words", self.num_words)
        require_int("num_landmarks", self.num_landmarks, high=self.num_words)

    @property
    def roles(self) -> tuple[Role, ...]:
        """Eve, Bob and Alice."""
        words = self.num_words
        return (
            Role("eve", 1, words, moves=False, speaks=True, colour="tab:red"),
            Role("bob", 1, 2 * words, moves=False, speaks=True),
            Role("alice", 1, 2 * words, moves=False, speaks=True, colour="tab:green"),
        )

    @property
    def marks(self) -> tuple[Mark, ...]:
        """The messages."""
        return (Mark("landmark", self.num_landmarks),)

    def aims(self, drawn: Array) -> dict[str, Array]:
        """One landmark is the message, one the key."""
        return {"goal": drawn[0], "key": drawn[1]}

    def views(self, state: WorldState) -> list[Array]:
        """Show Alice's last word to both, the key to Bob, message and key to Alice."""
        said = state.comm[2:]
        goal, key = (world.one_hot(drawn[None], self.num_words) for drawn in (state.goal, state.key))
        return [said, jnp.concatenate([key, said], axis=1), jnp.concatenate([goal, key], axis=1)]

    def rewards(self, state: WorldState) -> Array:
        """Pay for guessing right, and the friends for Eve's guessing wrong."""
        message = world.one_hot(state.goal[None], self.num_words)[0]
        eve, bob = (self._error(guess, message) for guess in state.comm[:2])
        return jnp.stack([-eve, eve - bob, eve - bob])

    def _error(self, guess: Array, message: Array) -> Array:
        is_said = world.added((guess != 0.0).astype(jnp.float32)) > 0.0
        return jnp.where(is_said, world.added(jnp.square(guess - message)), 0.0)
