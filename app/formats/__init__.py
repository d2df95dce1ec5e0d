"""One file per export format, each with a `write(motion, path)`."""
