"""What the trainings of the published systems give on written data, and how fast they are: one command a system."""
