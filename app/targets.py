"""Where output goes: the kinds of files that can be written, folders of pictures, names while something is unfinished."""

import os
import re
from pathlib import Path

from core.errors import InputError
from core.files import partial_of

VIDEOS = (".mp4", ".webm", ".gif")
PICTURES = (".png", ".jpg", ".jpeg")


def check_output(path, source=None):
    """Raise InputError unless `path` can be written: known suffix, folder there or made, not the `source` itself."""
    target = target_of(path)
    if source is not None and os.path.exists(target) and os.path.exists(str(source)) and os.path.samefile(target, str(source)):
        raise InputError(f"{path}: the output would overwrite the input")
    probe = partial_of(target)
    existed = probe.exists()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(probe, "ab"):
            pass
        if not existed:
            probe.unlink()
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
    if target.is_dir():
        raise InputError(f"{path}: cannot be written (it is a folder)")


def target_of(path):
    """The file to write as Path; for a folder of pictures that of the first one. Raises InputError for an unknown suffix."""
    pattern = pattern_of(path)
    target = Path(pattern % 0 if pattern else path)
    if target.suffix.lower() not in VIDEOS + PICTURES:
        known = " ".join(VIDEOS + PICTURES)
        raise InputError(f"{path}: not a kind of output that is known ({known}, or a folder of pictures: {Path(path).stem or 'frames'}/*.png)")
    return target


def pattern_of(path):
    """The pattern with one %d of a folder of pictures, None for a single file."""
    text = str(path)
    if text.endswith(("/", os.sep)) or os.path.isdir(text):
        return os.path.join(text.replace("%", "%%"), "%06d.png")
    folder, name = os.path.split(text)
    name = re.sub(r"\*", "%06d", name, count=1)
    if re.findall(r"%[^%]?", name) and Path(name).suffix.lower() in PICTURES and re.fullmatch(r"[^%]*%0?\d*d[^%]*", name):
        return os.path.join(folder.replace("%", "%%"), name)
    return None
