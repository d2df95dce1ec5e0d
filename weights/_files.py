"""Where weights files are: the manifest, the bundled folder, the cache and the download."""

import functools
import hashlib
import http.client
import os
import pathlib
import shutil
import sys
import tempfile
import tomllib
import urllib.request
import zipfile
import zlib
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from tqdm import tqdm

from core.errors import InputError

FOLDER = pathlib.Path(__file__).resolve().parent
CHUNK = 1 << 20
LARGEST = 4 << 30  # bytes of what is unpacked: more is no weights file but a trap
_KEPT_IN = ContextVar("folder of fetched weights", default=None)


@dataclass(frozen=True)
class Entry:
    """One row of the manifest. `sha256` is the whole hash, the part of it that the publisher states, or "" until somebody has seen the file.

    `member` is the name, without folders, of the file inside the zip archive that `origin` gives; hash and size are then its own.
    """

    name: str
    file: str
    origin: str
    licence: str
    role: str
    sha256: str = ""
    size: int = 0
    skeleton: str = ""
    input: str = ""
    normalisation: str = ""
    note: str = ""
    member: str = ""

    @property
    def bundled(self):
        return self.origin == "bundled"

    @property
    def url(self):
        """The address to download from, None for bundled files and those that a person has to fetch by hand."""
        return self.origin if self.origin.startswith(("https://", "http://")) else None


@functools.cache
def manifest():
    """{name: Entry} of every known file, in the order of manifest.toml."""
    rows = tomllib.loads((FOLDER / "manifest.toml").read_text(encoding="utf-8"))
    return {name: Entry(name=name, **row) for name, row in rows.items()}


@contextmanager
def kept_in(folder):
    """Within, fetched files are in `folder` (None: in the usual place), whichever part asks for them."""
    token = _KEPT_IN.set(folder)
    try:
        yield
    finally:
        _KEPT_IN.reset(token)


def cache_folder(folder=None):
    """The folder of fetched files: the given one, that of `kept_in`, $SKELETONS_WEIGHTS, or the user's cache folder."""
    if chosen := folder or _KEPT_IN.get() or os.environ.get("SKELETONS_WEIGHTS"):
        return pathlib.Path(chosen).expanduser()
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "skeletons" / "weights"


def place(entry, folder=None):
    """Where the file of an entry is or will be."""
    return FOLDER / entry.file if entry.bundled else cache_folder(folder) / entry.file


def lookup(name):
    """The entry of a name or file name. Raises InputError for an unknown one."""
    for entry in manifest().values():
        if name in (entry.name, entry.file):
            return entry
    raise InputError(f"no weights '{name}': neither a file nor a known name; `python -m weights list` shows the names")


def find(name, folder=None):
    """The path of a file, a bundled or a cached entry, downloaded when it has an address. Raises InputError where it cannot be had."""
    given = pathlib.Path(name).expanduser()
    if given.is_file():
        return given
    entry = lookup(name)
    path = place(entry, folder)
    if not path.is_file():
        return fetch(entry, folder)
    if not entry.bundled:
        check(entry, path)
    return path


def fetch(entry, folder=None):
    """Get the file of an entry into the cache, anew where the one there is damaged; returns its path."""
    path = place(entry, folder)
    if path.is_file() and (entry.bundled or fault(entry, path) is None):
        return path
    if entry.url is None:
        raise InputError(help_text(entry, path, "is not there"))
    print(f"{entry.file}: {entry.role}, licence: {entry.licence}", file=sys.stderr)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        download(entry, path)
    except (OSError, http.client.HTTPException) as error:
        raise InputError(help_text(entry, path, f"could not be downloaded ({error})")) from error
    return path


def help_text(entry, path, what):
    """One line for whoever lacks a file: what, where from, under which licence, and what to do."""
    if entry.bundled:
        return f"weights '{entry.name}' ({path}) {what}: it belongs to the repository, restore it with `git checkout -- weights/{entry.file}`"
    source = entry.origin.removeprefix("manual: ")
    do = f"`python -m weights fetch {entry.name}` when online, or put" if entry.url else "put"
    thing = f"{entry.member} of its archive" if entry.member else "the file"
    return f"weights '{entry.name}' ({entry.file}) {what}; source: {source}; licence: {entry.licence}; {do} {thing} at {path}"


def download(entry, path):
    """Stream an address to a temporary file, unpack it where it is an archive, check it, then give it its name."""
    request = urllib.request.Request(entry.url, headers={"User-Agent": "skeletons"})
    with _temporary(path) as (out, temporary):
        with out, urllib.request.urlopen(request, timeout=30) as answer:
            length = int(answer.headers.get("Content-Length") or 0)
            got = _copy(answer, out, length, entry.file)
        if length and got != length:
            raise OSError(f"cut after {got} of {length} bytes")
        if not entry.member:
            return _keep(entry, temporary, path)
        with _temporary(path) as (out, unpacked):
            with out:
                unpack(temporary, entry.member, out)
            return _keep(entry, unpacked, path)


@contextmanager
def _temporary(path):
    """A new file beside `path`, open for writing, and where it is; whatever still has that name at the end goes."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as out:
            yield out, pathlib.Path(name)
    finally:
        pathlib.Path(name).unlink(missing_ok=True)


def _keep(entry, temporary, path):
    check(entry, temporary, record=path)
    os.chmod(temporary, 0o644)  # temporary files are their maker's alone, a cache may be shared
    os.replace(temporary, path)


def unpack(archive, member, out):
    """Write the one file called `member`, in whatever folder of a zip archive, to an open file; no name of the archive's is ever used as a path.

    Raises OSError for a file that is no archive, is damaged or encrypted, or does not hold exactly one such member of a sensible size.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            found = [info for info in file.infolist() if not info.is_dir() and info.filename.rpartition("/")[2] == member]
            if len(found) != 1:
                raise OSError(f"the archive holds {len(found) or 'no'} {member}, expected one")
            if found[0].file_size > LARGEST:
                raise OSError(f"{member} would be {found[0].file_size / 1e9:.0f} GB")
            with file.open(found[0]) as source:
                shutil.copyfileobj(source, out, CHUNK)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, zlib.error, EOFError) as error:  # RuntimeError: encrypted
        raise OSError(f"not a readable zip archive: {error}") from error


def _copy(source, target, length, label):
    with tqdm(total=length or None, unit="B", unit_scale=True, desc=label, disable=None) as bar:
        while block := source.read(CHUNK):
            target.write(block)
            bar.update(len(block))
    return target.tell()


def digest(path):
    """The sha256 of a file in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _side(path):
    return path.with_name(path.name + ".sha256")


def expected(entry, path):
    """The hash a file must have: the manifest's, and where that is empty or a part the one recorded beside the file; "" when unknown."""
    side = _side(path)
    recorded = side.read_text(encoding="ascii").strip() if side.is_file() else ""
    return recorded if recorded.startswith(entry.sha256) and len(entry.sha256) < 64 else entry.sha256


def fault(entry, path):
    """What is wrong with a file as text, None when it is as expected (or nothing is known to expect)."""
    want, have = expected(entry, path), digest(path)
    return None if have.startswith(want) else f"has sha256 {have[:16]}..., expected {want[:16]}..."


def check(entry, path, record=None):
    """Raise InputError where a file is not the expected one; the first hash ever seen of it is written beside `record` (the file itself)."""
    target = record or path
    want, have = expected(entry, target), digest(path)
    if not have.startswith(want):
        trust = f"; if you trust it, delete {_side(target).name} beside it" if len(entry.sha256) < 64 else ""
        raise InputError(help_text(entry, target, f"is damaged or another file (sha256 {have[:16]}..., expected {want[:16]}...{trust})"))
    if len(want) < 64:
        _side(target).write_text(have + "\n", encoding="ascii")
        print(f"{entry.file}: sha256 {have} recorded, seen for the first time", file=sys.stderr)
