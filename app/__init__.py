"""The application: everything that is neither a network nor a tracker. As a library: `from app import analyse, render`."""

import importlib

__all__ = ["analyse", "render"]


def __getattr__(name):
    """`analyse` and `render`, imported when first used: torch takes seconds, and a wrong flag should be told at once."""
    if name in __all__:
        return getattr(importlib.import_module("app.offline"), name)
    raise AttributeError(f"module 'app' has no attribute '{name}'")
