import json
import pickle
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.core.errors import RunError
from jaxmarl_lite.training import checkpoint

KEY = jax.random.key(0)


def a_state(offset=0.0, width=3):
    return {
        "keys": jax.random.split(jax.random.key(5), 2),
        "odd": jnp.array([jnp.nan, jnp.inf, -0.0, 1e-45, 1 / 3]) + offset,
        "nested": ({"weights": jnp.arange(2.0 * width).reshape(2, width) + offset}, jnp.int32(7)),
        "flags": jnp.array([True, False]),
        "half": jnp.arange(3, dtype=jnp.bfloat16),
        "nothing": (),
    }


def as_bytes(state):
    plain = [
        jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x for x in jax.tree.leaves(state)
    ]
    return [(x.dtype, x.shape, np.asarray(x).tobytes()) for x in plain]


def load(folder, like=None):
    return checkpoint.load_latest(folder, jax.eval_shape(a_state) if like is None else like, KEY)


@pytest.fixture
def folder(tmp_path):
    """Two sound checkpoints, of blocks 1 and 2."""
    for block in (1, 2):
        checkpoint.save(tmp_path, block, a_state(block))
    return tmp_path


def test_a_state_comes_back_bit_for_bit(tmp_path):
    state = a_state()
    checkpoint.save(tmp_path, 4, state)
    block, loaded = load(tmp_path)
    assert block == 4
    assert as_bytes(loaded) == as_bytes(state)
    assert jax.tree.structure(loaded) == jax.tree.structure(state)


def test_a_loaded_key_draws_the_same_numbers(tmp_path):
    checkpoint.save(tmp_path, 1, a_state())
    loaded = load(tmp_path)[1]["keys"]
    assert jax.random.uniform(loaded[1]) == jax.random.uniform(a_state()["keys"][1])


def test_an_empty_array_comes_back(tmp_path):
    state = {"nobody": jnp.zeros((0, 3)), "x": jnp.ones(2)}
    checkpoint.save(tmp_path, 1, state)
    assert load(tmp_path, state)[1]["nobody"].shape == (0, 3)


def test_keys_of_another_kind_come_back_as_that_kind(tmp_path):
    state = {"key": jax.random.key(3, impl="rbg")}
    checkpoint.save(tmp_path, 1, state)
    _, loaded = checkpoint.load_latest(tmp_path, jax.eval_shape(lambda: state), jax.random.key(0, impl="rbg"))
    assert loaded["key"].dtype == state["key"].dtype
    assert as_bytes(loaded) == as_bytes(state)


def test_no_checkpoint_is_none_and_not_an_error(tmp_path):
    assert load(tmp_path / "never") is None
    assert load(tmp_path) is None


def test_the_last_ones_are_kept(tmp_path):
    for block in range(1, 6):
        checkpoint.save(tmp_path, block, {"x": jnp.zeros(1)}, keep=2)
    assert checkpoint.blocks(tmp_path) == [4, 5]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000004", "000005"]


def test_saving_a_block_again_replaces_it(folder):
    checkpoint.save(folder, 2, a_state(9.0))
    block, loaded = load(folder)
    assert block == 2
    assert as_bytes(loaded) == as_bytes(a_state(9.0))


def flip_a_byte(path):
    largest = max(
        (file for file in (path / "arrays").rglob("*") if file.is_file()), key=lambda file: file.stat().st_size
    )
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 1
    largest.write_bytes(data)


def remove_a_file(path):
    next(file for file in (path / "arrays").rglob("d/*") if file.is_file()).unlink()


def add_a_file(path):
    (path / "arrays" / "stranger").write_text("hello")


def remove_the_arrays(path):
    shutil.rmtree(path / "arrays")


def remove_the_manifest(path):
    (path / "manifest.json").unlink()


def truncate_the_manifest(path):
    text = (path / "manifest.json").read_text()
    (path / "manifest.json").write_text(text[: len(text) // 2])


def empty_the_manifest(path):
    (path / "manifest.json").write_text("")


def replace_the_manifest(text):
    return lambda path: (path / "manifest.json").write_text(text)


def state_another_format(path):
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps({**manifest, "format": 99}))


def be_a_copy_of_block_1(path):
    shutil.rmtree(path)
    shutil.copytree(path.with_name("000001"), path)


def hold_other_shapes(path):
    checkpoint.save(path.parent, 2, a_state(width=4))


def hold_other_leaves(path):
    checkpoint.save(path.parent, 2, {**a_state(), "more": jnp.zeros(1)})


def hold_another_dtype(path):
    checkpoint.save(path.parent, 2, {**a_state(), "flags": jnp.zeros(2)})


def hold_fewer_keys(path):
    checkpoint.save(path.parent, 2, {**a_state(), "keys": jax.random.split(jax.random.key(5), 1)})


DAMAGES = [
    flip_a_byte,
    remove_a_file,
    add_a_file,
    remove_the_arrays,
    remove_the_manifest,
    truncate_the_manifest,
    empty_the_manifest,
    replace_the_manifest("[]"),
    replace_the_manifest('{"files": 3, "block": 2, "format": 1}'),
    replace_the_manifest('{"files": {}, "block": 2, "format": 1}'),
    state_another_format,
    be_a_copy_of_block_1,
    hold_other_shapes,
    hold_other_leaves,
    hold_another_dtype,
    hold_fewer_keys,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_bad_checkpoint_is_refused_by_name_and_the_one_before_is_used(folder, damage):
    damage(folder / "000002")
    with pytest.warns(UserWarning, match="000002") as caught:
        block, loaded = load(folder)
    assert len(caught) == 1
    assert block == 1
    assert as_bytes(loaded) == as_bytes(a_state(1))


def test_a_refusal_names_the_leaf_that_differs(folder):
    hold_other_shapes(folder / "000002")
    with pytest.warns(UserWarning, match=r"nested.0.weights is float32\[2, 4\] and should be float32\[2, 3\]"):
        load(folder)


def test_only_bad_checkpoints_are_an_error(folder):
    flip_a_byte(folder / "000001")
    remove_the_manifest(folder / "000002")
    with pytest.warns(UserWarning, match="00000"), pytest.raises(RunError, match=r"no checkpoint in .* can be used"):
        load(folder)


def test_nothing_is_deleted_by_reading(folder, snapshot):
    flip_a_byte(folder / "000002")
    before = snapshot(folder)
    with pytest.warns(UserWarning, match="000002"):
        load(folder)
    assert snapshot(folder) == before


def test_drafts_are_ignored_and_cleaned_by_the_next_save(folder):
    draft = folder / ".unfinished-000003"
    shutil.copytree(folder / "000002", draft)
    assert load(folder)[0] == 2
    checkpoint.save(folder, 3, a_state(3))
    assert not draft.exists()
    assert load(folder)[0] == 3


class KilledError(BaseException):
    """Stands for the end of the process: nothing below catches it."""


def kill(*args, **kwargs):
    raise KilledError


@pytest.mark.parametrize("stage", ["_digests", "write_text", "os.rename"])
def test_a_save_cut_short_leaves_the_one_before(folder, monkeypatch, stage):
    with monkeypatch.context() as patch:
        patch.setattr(f"jaxmarl_lite.training.checkpoint.{stage}", kill)
        with pytest.raises(KilledError):
            checkpoint.save(folder, 3, a_state(3))
    block, loaded = load(folder)
    assert block == 2
    assert as_bytes(loaded) == as_bytes(a_state(2))
    checkpoint.save(folder, 3, a_state(3))
    assert load(folder)[0] == 3


def test_reading_unpickles_nothing(folder, monkeypatch):
    def refused(*args, **kwargs):
        raise AssertionError("a checkpoint was unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refused)
    assert load(folder)[0] == 2


def test_no_file_is_a_pickle(folder):
    for path in folder.rglob("*"):
        assert not path.is_file() or not path.read_bytes().startswith(b"\x80")


def test_a_text_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "config.json"
    checkpoint.write_text(path, "old")
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", kill)
        with pytest.raises(KilledError):
            checkpoint.write_text(path, "new and longer")
    assert path.read_text() == "old"
    checkpoint.write_text(path, "new")
    assert path.read_text() == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["config.json"]
