"""Files that are copied verbatim into exported Hugging Face folders: they must import transformers and torch alone."""
