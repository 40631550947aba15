"""Importers of other weight formats. They need numpy alone."""
