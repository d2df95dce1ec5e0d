"""python -m weights list|fetch|verify|info: the weights files that are known, here, and whole."""

import argparse
import os
import shlex
import sys

from core.errors import InputError
from weights import load
from weights._files import cache_folder, digest, expected, fault, fetch, find, lookup, manifest, place
from weights._recognise import recognise, recognise_onnx

GRAPHS = {".onnx": "ONNX", ".pb": "TensorFlow", ".xml": "OpenVINO"}  # not tensors by name


def main(arguments=None):
    """Run one command; returns the exit code: 0, 1 where `verify` found a fault, 2 for a fault of the user's."""
    parser = argparse.ArgumentParser(prog="python -m weights", description=__doc__)
    parser.add_argument("--weights-dir", help=f"folder of fetched files ({cache_folder()})")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="all known files: where each comes from, under which licence, and whether it is here")
    commands.add_parser("fetch", help="download files, anew where the one here is damaged").add_argument("names", nargs="+", metavar="NAME")
    commands.add_parser("verify", help="compare the files that are here with their hashes").add_argument("names", nargs="*", metavar="NAME")
    commands.add_parser("info", help="what a file is and holds, and how to run it").add_argument("names", nargs="+", metavar="NAME_OR_FILE")
    options = parser.parse_args(arguments)
    try:
        code = {"list": show, "fetch": get, "verify": verify, "info": inform}[options.command](getattr(options, "names", []), options.weights_dir)
        sys.stdout.flush()
        return code
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader has seen enough (`| head`); what is left goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def show(_, folder):
    """One paragraph a file."""
    for entry in manifest().values():
        here = "here" if place(entry, folder).is_file() else "missing" if entry.bundled else "not fetched" if entry.url else "by hand"
        print(f"{entry.name}  [{here}]\n    {'; '.join(filter(None, (entry.role, entry.skeleton)))}")
        wants = "; ".join(filter(None, (entry.input, entry.normalisation)))
        origin = f"{entry.origin} ({entry.member} in it)" if entry.member else entry.origin
        print("\n".join(f"    {line}" for line in (wants and f"input: {wants}", f"licence: {entry.licence}", origin, entry.note) if line))
    return 0


def get(names, folder):
    """Download each named file unless it is here and whole."""
    for entry in [lookup(name) for name in names]:
        print(fetch(entry, folder))
    return 0


def verify(names, folder):
    """Hash the named files, or all that are here; 1 where one differs or a named one is missing."""
    entries = [lookup(name) for name in names] or [entry for entry in manifest().values() if place(entry, folder).is_file()]
    wrong = 0
    for entry in entries:
        path = place(entry, folder)
        found = fault(entry, path) if path.is_file() else "is missing"
        wrong += found is not None
        state = found or (f"ok {digest(path)}" if expected(entry, path) else f"no hash to compare with: {digest(path)}")
        print(f"{entry.name}: {state}")
    return int(bool(wrong))


def inform(names, folder):
    """What each file is, how to run it, its header and shapes."""
    for name in names:
        path = find(name, folder)
        hashed = digest(path)
        state, header = ({}, {}) if path.suffix in GRAPHS else load(path)
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, sha256 {hashed}")
        for line in told(path, hashed, state, header):
            print(f"  {line}")
        for key, value in header.items():
            print(f"  {key} = {value}")
        if not state:
            continue
        print(f"  {len(state)} tensors, {sum(value.numel() for value in state.values()) / 1e6:.2f} million numbers")
        for key, value in state.items():
            print(f"    {key} {tuple(value.shape)}")
    return 0


def told(path, hashed, state, header):
    """What is known of a file, in lines: its row of the manifest, the system that its tensors belong to, the command that runs it."""
    for entry in manifest().values():
        if hashed == entry.sha256 or path.name == entry.file:
            yield f"{'is' if hashed == entry.sha256 else 'has the name of'} {entry.name}: {entry.role}; licence: {entry.licence}"
    if path.suffix in GRAPHS and path.suffix != ".onnx":
        yield f"a graph of {GRAPHS[path.suffix]}, which no part here runs"
        return
    found = recognise_onnx(path) if path.suffix == ".onnx" else recognise(state, header)
    if found is None:
        yield "of none of the systems that are known here"
        return
    yield found.system
    yield from found.facts
    if found.run:
        yield "run: python viz.py --video in.mp4 --output out.mp4 " + found.run.replace("FILE", shlex.quote(str(path)))
    else:
        yield "no part here runs it by itself"


if __name__ == "__main__":
    sys.exit(main())
