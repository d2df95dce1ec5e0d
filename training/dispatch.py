"""Commands by name: a package is a list of commands, every public module in it with a `main(argv)` is one."""

import importlib
import pathlib
import pkgutil
import sys

from core.errors import InputError


def commands(package, skip=()):
    """{name: module path} of the modules in `package` (dotted) whose text defines `main`; nothing is imported to find them."""
    folder = pathlib.Path(importlib.import_module(package).__path__[0])
    names = [module.name for module in pkgutil.iter_modules([str(folder)]) if not module.name.startswith("_") and module.name not in skip]
    return {name: f"{package}.{name}" for name in names if _has_main(folder / f"{name}.py")}


def _has_main(path):
    return path.exists() and "\ndef main(argv" in path.read_text()


def run(package, program, argv, skip=()):
    """Call the named command with the rest of the arguments; the exit code. A user's fault becomes one line on stderr and code 2."""
    known = commands(package, skip)
    if not argv or argv[0] not in known:
        print(f"usage: python -m {program} {{{','.join(known)}}} ...", file=sys.stderr)
        return 0 if argv[:1] in (["-h"], ["--help"]) else 2
    try:
        importlib.import_module(known[argv[0]]).main(argv[1:])
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0
