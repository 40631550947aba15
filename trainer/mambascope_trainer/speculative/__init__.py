"""Exact speculative decoding for models with recurrent state (arXiv 2408.15237, section 4)."""
