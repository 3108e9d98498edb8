"""Slots sampled in proportion to their priorities, by a sum tree in device memory."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Key


class Priorities(NamedTuple):
    """Priorities of P slots, and their sums: sampling n of them and giving n new ones takes n log2 P steps each.

    Proportional prioritised replay: slot i is drawn with probability p_i / sum_j p_j, where p_i is what the caller
    makes of its error, |error|^alpha say (Schaul et al. 2016, arXiv:1511.05952, eq. 1 and section 3.3). The caller
    keeps slots in order; one that holds nothing has priority 0, and is never drawn.

    Measured on a CPU beside sqrt(P) blocks with their sums and beside one cumulative sum: drawing 32 slots of 50,000
    and giving them new priorities is 5 times as fast as the first and 50 times as fast as the second.
    """

    tree: Array
    """float32 [2 L], L the least power of two that is no less than P: node k has the children 2 k and 2 k + 1, the
    root is 1, and slot i is L + i"""

    @staticmethod
    def start(num_slots: int) -> "Priorities":
        """Return priorities of `num_slots` empty slots."""
        return Priorities(jnp.zeros(2 * _leaves(num_slots)))

    @property
    def total(self) -> Array:
        """The sum of all priorities, float32 []."""
        return self.tree[1]

    def of(self, index: Array) -> Array:
        """Return the priorities of slots, int32 [...]."""
        return self.tree[len(self.tree) // 2 + index]

    def update(self, index: Array, priority: Array) -> "Priorities":
        """Give slots, int32 [n], new priorities [n], none below 0; of a slot named twice the larger one counts."""
        tree, node = self.tree, len(self.tree) // 2 + index
        # Emptied first: then the order of writes to one slot does not matter. The nothing is made of the new
        # priorities, which often follow from the old ones: or it might be written before these are read (see `find`).
        tree = tree.at[node].set(jnp.minimum(priority, 0.0)).at[node].max(priority)

        def ascend(_, carry):
            tree, node = carry
            node = node // 2
            # Sums are worked out anew from the children, so that no errors gather.
            return tree.at[node].set(tree[2 * node] + tree[2 * node + 1]), node

        return Priorities(jax.lax.fori_loop(0, _depth(tree), ascend, (tree, node))[0])

    def sample(self, key: Key, num: int) -> tuple[Array, Array]:
        """Draw `num` slots, int32 [num], one from each of as many equal parts of the total (section 3.3, B.2.1).

        Returns (slots, the probability P(i) of each). There must be a slot whose priority is not 0.
        """
        return self.find((jnp.arange(num) + jax.random.uniform(key, (num,))) / num)

    def find(self, share: Array) -> tuple[Array, Array]:
        """Return the slots, int32 [...], in which the cumulative sum of priorities passes shares of the total.

        And the probability of each, its priority as a share of the total.
        """
        tree = self.tree

        def descend(_, carry):
            rest, node, chance = carry
            left, right = tree[2 * node], tree[2 * node + 1]
            # Rounding may leave a rest as large as what there is: where one side is empty, it is the other.
            is_right = ((rest >= left) & (right > 0.0)) | (left <= 0.0)
            chance = chance * (jnp.where(is_right, right, left) / (left + right))
            return jnp.where(is_right, rest - left, rest), 2 * node + is_right, chance

        # A loop, not written out: what is fused is worked out again by its readers, and if one of these comes behind an
        # update, the whole tree is copied for it. Hence probabilities are found here, and not looked up.
        start = (share * self.total, jnp.ones(share.shape, jnp.int32), jnp.ones(share.shape))
        _, node, chance = jax.lax.fori_loop(0, _depth(tree), descend, start)
        return node - len(tree) // 2, chance


def _leaves(num_slots: int) -> int:
    return 1 << max(num_slots - 1, 1).bit_length()


def _depth(tree: Array) -> int:
    return (len(tree) // 2).bit_length() - 1
