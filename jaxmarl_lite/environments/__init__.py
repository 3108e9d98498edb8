"""Environments: the registry, the vectoriser, the contract checker, and the worlds by family."""
