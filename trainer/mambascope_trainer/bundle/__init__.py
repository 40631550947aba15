"""The weight bundle: manifest, safetensors shards and block codecs. Needs numpy alone."""
