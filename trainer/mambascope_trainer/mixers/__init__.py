"""Sequence mixers: causal attention and Mamba-2."""
