"""MOTChallenge text: a line a box, frame from 1, id, left, top, width, height, score, and whatever follows."""

import csv
import pathlib

import numpy as np

from core.errors import InputError


def read(path, program="mot", finite=False):
    """The rows (N, 7) of a file: frame, id, left, top, right, bottom px, score (1 where the line has none).

    Raises InputError, which begins with `program` and names the file and the line, for what is not in that format. Boxes that have no area, or
    (unless `finite`) are not finite, are in the format: whoever reads decides about them.
    """
    path = pathlib.Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{program}: cannot read {path}: {getattr(error, 'strerror', None) or 'not a text file'}") from error
    lines = enumerate(csv.reader(text.splitlines()), 1)
    rows = [_row(f"{program}: {path}, line {number}", fields, finite) for number, fields in lines if any(field.strip() for field in fields)]
    return np.array(rows, np.float64).reshape(-1, 7)


def _row(where, fields, finite):
    try:
        frame, number, box, score = int(float(fields[0])), float(fields[1]), [float(v) for v in fields[2:6]], float((*fields, 1)[6:][0])
    except (ValueError, OverflowError, IndexError):
        frame, number, box, score = 0, 0.0, [], 0.0
    if frame < 1 or len(box) != 4 or not np.isfinite([number, score, *(box if finite else ())]).all():
        raise InputError(f"{where}: expected frame,id,left,top,width,height,score with frames from 1")
    left, top, width, height = box
    return [frame, number, left, top, left + width, top + height, score]


def line(frame, number, box, score=1.0):
    """One line of a result: `frame` from 1, box (4,) xyxy px."""
    left, top, right, bottom = (float(value) for value in box)
    return f"{frame},{number},{left:.2f},{top:.2f},{right - left:.2f},{bottom - top:.2f},{score:.4g},-1,-1,-1\n"
