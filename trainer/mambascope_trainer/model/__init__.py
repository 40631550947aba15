"""The Llama and hybrid models."""
