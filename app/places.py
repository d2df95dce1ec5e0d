"""Files of this machine and of any store that fsspec knows (s3://, gs://, sftp://, memory://, zip://...::...), by one name each.

What is written to a store becomes visible when it is whole: it is sent as name.partial.ext and then moved to its name.
"""

import os
from contextlib import contextmanager
from pathlib import Path

import fsspec

from core.errors import InputError


def is_url(place):
    return "://" in str(place)


@contextmanager
def _store(place):
    """(file system, path on it) of a place; what goes wrong there becomes an InputError of one line."""
    try:
        yield fsspec.core.url_to_fs(str(place))
    except (OSError, ImportError, ValueError) as error:
        text = (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{place}: {text}") from error


def join(folder, name):
    """The place called `name` (with / between its parts) in a folder; of a chained URL such as zip://clips::file:///a.zip the first part grows."""
    if not is_url(folder):
        return str(Path(folder) / name)
    first, colons, rest = str(folder).partition("::")
    return f"{first if first.endswith('://') else first.rstrip('/') + '/'}{name}{colons}{rest}"


def listing(folder):
    """The names of all files below a folder, relative to it, sorted. Raises InputError where there is no such folder."""
    with _store(folder) as (store, path):
        if not store.isdir(path):
            raise InputError(f"{folder}: no such folder")
        start = len(path.rstrip("/")) + 1 if path.strip("/") else len(path)
        return sorted(found[start:] for found in store.find(path))


def version(place):
    """A text that changes when the file does (its size and, where the store knows one, its tag or time), None where there is no file."""
    info = _info(place)
    if info is None:
        return None
    marks = [info[key] for key in ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified") if info.get(key) is not None]
    return " ".join(str(mark) for mark in [info["size"], *marks[:1]])


def size(place):
    """The bytes of a file, None where there is no file."""
    return (_info(place) or {}).get("size")


def _info(place):
    with _store(place) as (store, path):
        try:
            return store.info(path)
        except FileNotFoundError:
            return None


def read(place):
    """What is in a file, None where there is none."""
    with _store(place) as (store, path):
        try:
            return store.cat_file(path)
        except FileNotFoundError:
            return None


def write(place, data):
    """Write bytes under a name, visible when whole; missing folders are made."""
    with _arriving(place) as (store, path):
        store.pipe_file(path, data)


def fetch(place, folder):
    """A local path to the file: a local one's own, else that of a copy in `folder` with the same ending."""
    if not is_url(place):
        return str(place)
    name = str(place).partition("::")[0].rsplit("/", 1)[-1]
    with _store(place) as (store, path):
        store.get_file(path, os.path.join(folder, name))
    return os.path.join(folder, name)


def publish(path, place):
    """Send the local file `path` to a place, visible when whole."""
    with _arriving(place) as (store, target):
        store.put_file(str(path), target)


def remove(folder):
    """Remove a folder with all that is in it, if there is one."""
    with _store(folder) as (store, path):
        if store.exists(path):
            store.rm(path, recursive=True)


@contextmanager
def _arriving(place):
    """(store, path) to write to; what is there at the end gets the name of the place."""
    with _store(place) as (store, path):
        folder, _, name = path.rpartition("/")
        store.makedirs(folder, exist_ok=True)
        stem, dot, suffix = name.rpartition(".")
        partial = f"{folder}/{stem or suffix}.partial{dot if stem else ''}{suffix if stem else ''}"
        yield store, partial
        if isinstance(store, fsspec.implementations.local.LocalFileSystem):
            os.replace(partial, path)
        else:
            store.mv(partial, path)
