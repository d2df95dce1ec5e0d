"""Makes the files that `training/datasets` reads: from original archives, from our own pipeline, or written from free motion as a stand-in."""
