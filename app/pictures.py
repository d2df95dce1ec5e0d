"""Reading stills: one picture, or a folder or glob of them as a video of constant rate."""

import re
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from core.errors import BrokenVideo, InputError
from core.records import VideoInfo

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"}
RATE = Fraction(25)


def listed(source):
    """The picture files that `source` names, in natural order (shot9 before shot10): a folder, a glob, a %06d pattern or one picture.

    None when `source` names something else. Raises InputError when it names pictures but there are none.
    """
    path = Path(source)
    if path.is_file():
        return [path] if path.suffix.lower() in SUFFIXES else None
    if path.is_dir():
        found = list(path.iterdir())
    elif re.search(r"[*?\[%]", path.name):
        found = list(path.parent.glob(re.sub(r"%\d*d", "*", path.name)))
    else:
        return None
    found = sorted((p for p in found if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")), key=_natural)
    if not found:
        raise InputError(f"{source}: no pictures there ({', '.join(sorted(SUFFIXES))})")
    return found


def _natural(path):
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", path.name)]


def read(path):
    """A picture (H, W, 3) uint8 RGB: EXIF orientation applied, transparency laid on white, 16 bit cut to 8. Raises OSError."""
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            return np.ascontiguousarray(_rgb(upright))
    except (ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise OSError(str(error)) from error


def _rgb(image):
    if image.mode.startswith("I"):
        values = np.asarray(image)
        image = Image.fromarray((values >> 8 if values.max(initial=0) > 255 else values).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"))


def rate(fps):
    """`fps` (number, text like "30000/1001" or None) as an exact Fraction, 25 when None. Raises InputError unless it is above 0."""
    try:
        value = RATE if fps is None else Fraction(str(fps))
    except (ValueError, ZeroDivisionError):
        value = 0
    if value <= 0:
        raise InputError(f"frame rate {fps}: expected a number above 0, such as 25 or 30000/1001")
    return value


def probe(paths, fps=None):
    """VideoInfo of a list of pictures. Raises InputError when the first cannot be read."""
    try:
        height, width = read(paths[0]).shape[:2]
    except OSError as error:
        raise InputError(f"{paths[0]}: not a picture that can be read ({_short(error)})") from error
    return VideoInfo(width, height, rate(fps), len(paths))


def shots(paths, info):
    """Yield (index, time, load) of each picture; load() gives its pixels and raises BrokenVideo where it is unreadable or of another size."""
    for index, path in enumerate(paths):
        yield index, float(index / info.fps), partial(_load, index, path, info)


def _load(index, path, info):
    try:
        image = read(path)
    except OSError as error:
        raise BrokenVideo(index, f"{path.name}: {_short(error)}") from error
    height, width = image.shape[:2]
    if (width, height) != (info.width, info.height):
        raise BrokenVideo(index, f"{path.name} is {width}x{height}, the pictures before it are {info.width}x{info.height}")
    return image


def _short(error):
    return (getattr(error, "strerror", None) or str(error)).splitlines()[0]
