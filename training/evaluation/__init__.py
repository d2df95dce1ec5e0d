"""Evaluation protocols, one a file; each prints its table and can write it as JSON."""
