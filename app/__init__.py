"""The application: everything that is neither a network nor a tracker. As a library: `from app import analyse, render`."""

from app.offline import analyse, render

__all__ = ["analyse", "render"]
