"""The small clip that shows what the program does when nobody gave one: `python -m app.sample OUT.mp4`. Rendered people, nothing filmed."""

import sys

from app.writer import check_output, open_writer
from core.errors import InputError
from synthetic.stage import crossing_scene

SEED = 15


def write_sample(path, seconds=6.0, seed=SEED):
    """Write some seconds of people who walk, turn and cross, 640 x 360 at 25 frames a second. Raises InputError where `path` cannot be written."""
    write_scene(crossing_scene(seed, seconds=seconds), path)


def write_scene(scene, path):
    """Write a Scene as a video; the Truths of its frames."""
    check_output(path)
    truths = []
    with open_writer(path, scene.info) as writer:
        for index in range(len(scene)):
            image, truth = scene.frame(index)
            writer.write(image, truth.time)
            truths.append(truth)
    return truths


def main(argv):
    """Write the clip to the path given; the exit code."""
    if len(argv) != 1:
        print("usage: python -m app.sample OUT.mp4", file=sys.stderr)
        return 2
    try:
        write_sample(argv[0])
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
