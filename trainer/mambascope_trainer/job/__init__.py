"""The runner: the steps of a job (data, training, evaluation, export) in one run directory, one after another."""
