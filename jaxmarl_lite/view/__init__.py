"""Pictures of runs: curves and moving pictures. The only place that needs matplotlib, which is an extra."""
