"""Training speed on random weights: workloads, FLOPs, timing, kernel profile."""
