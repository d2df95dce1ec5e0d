"""What is installed: exact versions in the lock, inside the ranges of pyproject.toml, for every Python that is promised."""

import pathlib
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def locked(name):
    lines = (ROOT / name).read_text().splitlines()
    return {canonicalize_name(r.name): r for r in (Requirement(line) for line in lines if line and not line.startswith("#"))}


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-onnx.txt", "requirements-ray.txt", "requirements-training.txt"])
def test_every_version_is_exact(name):
    for requirement in locked(name).values():
        specifiers = list(requirement.specifier)
        assert len(specifiers) == 1 and specifiers[0].operator == "==" and "*" not in specifiers[0].version, requirement


@pytest.mark.parametrize(("ranges", "name"), [
    (PROJECT["dependencies"], "requirements.lock"), (PROJECT["optional-dependencies"]["test"], "requirements.lock"),
    (PROJECT["optional-dependencies"]["onnx"], "requirements-onnx.txt"), (PROJECT["optional-dependencies"]["ray"], "requirements-ray.txt"),
    (PROJECT["optional-dependencies"]["training"], "requirements-training.txt")])
def test_the_lock_fits_the_ranges(ranges, name):
    pins = locked(name)
    for wanted in map(Requirement, ranges):
        pin = pins[canonicalize_name(wanted.name)]
        assert wanted.specifier.contains(next(iter(pin.specifier)).version), f"{pin} is outside {wanted}"


def test_no_build_of_opencv_that_needs_a_display():
    assert "opencv-python" not in locked("requirements.lock") and "opencv-python" not in locked("requirements-training.txt")


def test_nvidias_libraries_are_for_linux_alone():
    pins = locked("requirements.lock")
    nvidia = [pin for name, pin in pins.items() if name.startswith(("nvidia-", "cuda-"))]
    assert nvidia and all(pin.marker and not pin.marker.evaluate({"sys_platform": "darwin"}) for pin in nvidia)
