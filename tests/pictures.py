"""Small picture sets of drawn people in the licensed sets' own files, written once for all tests that read them."""

from training.prepare import drawn

SMALL = ["--actions", "1", "--frames", "1", "--pictures", "3", "--sequences", "2", "--shots", "1", "--width", "120", "--height", "120"]


def write(folder):
    """folder/data and folder/refiner; returns folder/data."""
    drawn.main(["--output", str(folder / "data"), *SMALL])
    return folder / "data"
