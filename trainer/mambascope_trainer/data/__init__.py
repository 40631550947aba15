"""Teacher-generated data: sampling, tokenising, packing, reading."""
