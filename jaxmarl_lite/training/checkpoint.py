"""Checkpoints: the whole state of a learner on disk, written at once or not at all.

A checkpoint is a folder named by its block. Arrays are written by orbax, then a manifest with the digest of every
file, all in a hidden folder that takes its name when it is complete. Reading one executes nothing from it.
"""

import hashlib
import json
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from jaxmarl_lite.core.env import Key, Tree
from jaxmarl_lite.core.errors import RunError

FORMAT = 1
_MANIFEST = "manifest.json"
_ARRAYS = "arrays"
_UNFINISHED = ".unfinished-"


def save(folder: Path, block: int, state: Tree, *, keep: int = 3) -> None:
    """Write `state` as the checkpoint of `block` and delete all but the last `keep`."""
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(leftover)
    draft = folder / f"{_UNFINISHED}{block:06d}"
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as writer:
        writer.save(draft.absolute() / _ARRAYS, _to_arrays(state))
    manifest = {"format": FORMAT, "block": block, "files": _digests(draft)}
    write_text(draft / _MANIFEST, json.dumps(manifest, indent=1))
    final = folder / f"{block:06d}"
    if final.exists():
        shutil.rmtree(final)
    os.rename(draft, final)
    _sync(folder)
    for old in blocks(folder)[:-keep]:
        shutil.rmtree(folder / f"{old:06d}")


def blocks(folder: Path) -> list[int]:
    """Return the blocks that have a checkpoint in `folder`, in order."""
    return sorted(int(path.name) for path in folder.glob("[0-9]*") if path.name.isdigit())


def load_latest(folder: Path, like: Tree, key: Key) -> tuple[int, Tree] | None:
    """Return (block, state) of the last sound checkpoint, or None where none was written.

    `like` is a state of the same shapes, from `jax.eval_shape`, and `key` any random key of the run's kind. A
    checkpoint that is damaged or of another run is refused with a warning and the one before it is tried. Raises
    RunError when none of those there can be used.
    """
    found = blocks(folder)
    for block in reversed(found):
        path = folder / f"{block:06d}"
        try:
            return block, _load(path, block, like, key)
        except RunError as refusal:
            earlier = "the one before it is used" if block != found[0] else "there is none before it"
            warnings.warn(f"{refusal} Delete that folder; {earlier}.", stacklevel=2)
    if found:
        raise RunError(f"no checkpoint in {folder} can be used: delete that folder and train again.")
    return None


def write_text(path: Path, text: str) -> None:
    """Write a file so that it holds either its old content or the new, whatever interrupts."""
    draft = path.with_name(f"{_UNFINISHED}{path.name}")
    with open(draft, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
    _sync(path.parent)


def _load(path: Path, block: int, like: Tree, key: Key) -> Tree:
    try:
        manifest = json.loads((path / _MANIFEST).read_text())
        stated, expected_block = dict(manifest["files"]), manifest["block"]
    except (OSError, ValueError, KeyError, TypeError):
        raise RunError(f"checkpoint {path} is damaged or only half written: {_MANIFEST} cannot be read.") from None
    if manifest.get("format") != FORMAT or expected_block != block:
        raise RunError(f"checkpoint {path} is foreign: {_MANIFEST} is not of block {block} in format {FORMAT}.")
    present = _digests(path)
    for name in sorted(stated.keys() | present.keys()):
        if stated.get(name) != present.get(name):
            raise RunError(f"checkpoint {path} is damaged: {name} is not as it was written.")
    return _from_arrays(path, _read(path), like, jax.random.key_impl(key))


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader:
            names = reader.metadata(path.absolute() / _ARRAYS).item_metadata.tree
            as_numpy = {name: ocp.RestoreArgs(restore_type=np.ndarray) for name in names}
            return reader.restore(path.absolute() / _ARRAYS, ocp.args.PyTreeRestore(restore_args=as_numpy))
    except Exception as error:  # whatever a foreign folder makes the reader raise
        raise RunError(f"checkpoint {path} cannot be read ({type(error).__name__}).") from error


def _named_leaves(tree: Tree) -> tuple[dict[str, Any], Any]:
    leaves, structure = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}, structure


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _to_arrays(state: Tree) -> dict[str, np.ndarray]:
    named, _ = _named_leaves(state)
    arrays = {name: np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf) for name, leaf in named.items()}
    return {name: array for name, array in arrays.items() if array.size}  # orbax writes no empty ones


def _from_arrays(path: Path, arrays: dict[str, np.ndarray], like: Tree, key_impl: Any) -> Tree:
    named, structure = _named_leaves(like)
    empty = {name: np.zeros(leaf.shape, leaf.dtype) for name, leaf in named.items() if leaf.size == 0}
    arrays = {**empty, **arrays}
    if named.keys() != arrays.keys():
        odd = sorted(named.keys() ^ arrays.keys())[0]
        raise RunError(f"checkpoint {path} is of another learner or environment: {odd} is in one and not in the other.")
    leaves = []
    for name, leaf in named.items():
        data = jax.eval_shape(jax.random.key_data, leaf) if _is_key(leaf) else leaf
        array = arrays[name]
        if array.shape != data.shape or array.dtype != data.dtype:
            raise RunError(
                f"checkpoint {path} is of other settings: {name} is {array.dtype}{list(array.shape)} "
                f"and should be {data.dtype}{list(data.shape)}."
            )
        leaves.append(jax.random.wrap_key_data(jnp.asarray(array), impl=key_impl) if _is_key(leaf) else array)
    return jax.device_put(structure.unflatten(leaves))


def _digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != _MANIFEST)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
