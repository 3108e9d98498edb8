"""What a figure was measured on."""

import importlib.metadata
import platform
from typing import Any

import jax

import jaxmarl_lite

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "chex", "numpy")


def machine() -> dict[str, Any]:
    """Return the device and the versions that a result depends on; starts JAX's backend."""
    device = jax.devices()[0]
    return {"device": f"{device.platform} ({device.device_kind}) x {jax.device_count()}", "versions": versions()}


def versions() -> dict[str, str]:
    """Return the versions of Python, of this package and of those that it computes with."""
    installed = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), "jaxmarl-lite": jaxmarl_lite.__version__, **installed}
