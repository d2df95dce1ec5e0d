"""Parts by name: "sort:max_age=30" -> the object. A folder is a registry, every public module in it with a `build(**options)` is a part.

A value with commas continues until the next `name=`: "tcn:arc=3,3,3,weights=F" has the options arc = "3,3,3" and weights = "F".
"""

import ast
import importlib
import inspect
import pathlib
import pkgutil

from core.errors import InputError

ROOT = pathlib.Path(__file__).resolve().parent.parent
KINDS = {"detector": "detectors", "tracker": "trackers", "pose": "poses", "lifter": "lifters"}
COMMON = ("device", "half", "height")  # options of builds that are said once, for all parts


def names(kind):
    """The parts of a kind ("detector", "tracker", "pose", "lifter"), sorted: the modules of its folder without a leading underscore."""
    folder = ROOT / KINDS[kind]
    return sorted(module.name for module in pkgutil.iter_modules([str(folder)]) if not module.name.startswith("_"))


def parse(spec):
    """("sort", {"max_age": 30}) from "sort:max_age=30". Raises InputError where an option has no value."""
    name, _, text = spec.partition(":")
    options, last = {}, None
    for piece in text.split(",") if text else []:
        key, equals, value = piece.partition("=")
        if equals:
            last = key.strip().replace("-", "_")
            options[last] = value
        elif last:
            options[last] += "," + piece
        else:
            raise InputError(f"'{spec}': '{piece}' is not name=value")
    return name.strip(), {key: _literal(value) for key, value in options.items()}


def _literal(text):
    """The Python value of an option: numbers, true/false, none and tuples of numbers; everything else stays text."""
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return value if isinstance(value, (int, float, tuple)) else text


def check(kind, spec):
    """The build function of a part and its options, without building it. Raises InputError for a name or an option that does not exist."""
    name, options = parse(spec)
    if name not in names(kind):
        raise InputError(f"no {kind} '{name}'; there are: {', '.join(names(kind))}")
    build = importlib.import_module(f"{KINDS[kind]}.{name}").build
    allowed = inspect.signature(build).parameters
    if any(p.kind is p.VAR_KEYWORD for p in allowed.values()):
        return build, options
    unknown = sorted(set(options) - set(allowed))
    if unknown:
        public = ", ".join(f"{p.name}={p.default}" for p in allowed.values()) or "none"
        raise InputError(f"{kind} '{name}' has no option '{unknown[0]}'; it has: {public}")
    return build, options


def takes(kind, spec, option):
    """Whether the build function of a part has this option. Raises InputError as `check` does."""
    return option in inspect.signature(check(kind, spec)[0]).parameters


def make(kind, spec, **common):
    """Build a part from its spec. `common` (those of COMMON and others) reaches it only where its build function takes such an option."""
    build, options = check(kind, spec)
    taken = inspect.signature(build).parameters
    merged = {key: value for key, value in common.items() if key in taken} | options
    try:
        return build(**merged)
    except TypeError as error:
        raise InputError(f"{kind} '{spec}': {error}") from error


def describe(kind):
    """One line a part for --help: name, options with their defaults, first line of the module's text."""
    lines = []
    for name in names(kind):
        module = importlib.import_module(f"{KINDS[kind]}.{name}")
        options = ",".join(f"{p.name}={p.default}" for p in inspect.signature(module.build).parameters.values() if p.name not in COMMON)
        lines.append(f"{name}{':' + options if options else ''}\n    {(module.__doc__ or '').strip().splitlines()[0]}")
    return "\n".join(lines)
