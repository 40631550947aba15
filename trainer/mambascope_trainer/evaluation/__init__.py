"""Measures of a hybrid against its teacher."""
