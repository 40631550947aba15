"""Training stages: pre-training, hidden-state alignment, end-to-end distillation."""
