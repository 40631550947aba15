"""Exporters: a run or a bundle's variant to a bundle, a Hugging Face folder, or an ONNX folder."""
