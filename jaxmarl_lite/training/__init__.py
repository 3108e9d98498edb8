"""Training runs: the one loop, evaluation, checkpoints and the folder that a run leaves."""
