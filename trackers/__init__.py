"""Trackers: one file per method, each with a `build(**options)` that returns a fresh object for one video."""
