"""The run directory: config, status, metrics, log, samples, checkpoints."""
