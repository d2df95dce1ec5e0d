"""People made of mesh and moved by formula, in scenes whose every joint, box and camera is known exactly. Stands on core alone."""
