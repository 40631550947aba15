"""Distils Llama-like transformers into hybrid attention–Mamba models, and reads and writes their weight bundles."""
