import itertools

import jax
import numpy as np
import pytest

from jaxmarl_lite.environments.grid.world import draw_distinct


@pytest.mark.parametrize(("num", "count"), [(4, 3), (3, 3), (5, 1)])
def test_every_sequence_of_different_numbers_is_equally_likely(num, count):
    keys = jax.random.split(jax.random.key(0), 12000)
    drawn = np.asarray(jax.jit(jax.vmap(lambda key: draw_distinct(key, num, count)))(keys))
    sequences = list(itertools.permutations(range(num), count))
    shares = [(drawn == sequence).all(1).mean() for sequence in sequences]
    assert sum(shares) == pytest.approx(1.0)
    np.testing.assert_allclose(shares, 1 / len(sequences), rtol=0.2)
