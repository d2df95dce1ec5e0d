"""Human3.6M to VideoPose3D's files: `python -m training.prepare h36m --from-archive h36m.zip | --from-source DIR | --from-source-cdf DIR`.

--from-archive takes Martinez' h36m.zip (HDF5, needs h5py), --from-source the original poses converted to .mat, --from-source-cdf the original .cdf
files (needs cdflib). Writes data_3d_h36m.npz and data_2d_h36m_gt.npz: the exact 2D, projected through the four cameras.
"""

import argparse
import pathlib
import tempfile
import zipfile

import numpy as np
import torch
from scipy.io import loadmat

from core.errors import InputError
from training.datasets import keypoints
from training.datasets.human36m import RECORDED, kept
from training.datasets.rigs import pixels, project, rig, to_camera
from training.prepare._detections import files, h5, need

SUBJECTS = ("S1", "S5", "S6", "S7", "S8", "S9", "S11")
LOST = ("S11", "Directions")  # its video is damaged
RECORDINGS = 30  # of each subject: 15 actions, two takes


def archive_takes(path):
    """{subject: {action: (T, 32, 3) mm}} of Martinez' archive."""
    if not pathlib.Path(path).is_file():
        raise InputError(f"--from-archive: no file {path}")
    try:
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as archive:
            archive.extractall(folder, [name for name in archive.namelist() if name.endswith(".h5") and "3D_positions" in name])
            return takes_in(folder, "h36m/{}/MyPoses/3D_positions/*.h5", _from_h5)
    except zipfile.BadZipFile as error:
        raise InputError(f"--from-archive {path}: not a readable zip archive") from error


def _from_h5(path):
    return h5(path, "3D_positions").reshape(RECORDED, 3, -1).transpose(2, 0, 1)


def _from_mat(path):
    return loadmat(path)["data"][0, 0].reshape(-1, RECORDED, 3)


def _from_cdf(path):
    return np.asarray(need("cdflib").CDF(str(path)).varget("Pose")).reshape(-1, RECORDED, 3)


def takes_in(folder, pattern, read):
    """{subject: {action: (T, 32, 3) mm}} of the files of each subject. Raises InputError where some are missing or cannot be read."""
    found = {}
    for subject in SUBJECTS:
        paths = files(folder, pattern.format(subject))
        if len(paths) != RECORDINGS:
            raise InputError(f"{folder}: {len(paths)} recordings of {subject}, expected {RECORDINGS}")
        named = {canonical(path.name.partition(".")[0]): path for path in paths}
        try:
            found[subject] = {action: read(path) for action, path in named.items() if (subject, action) != LOST}
        except (ValueError, KeyError, IndexError, OSError) as error:
            raise InputError(f"{folder}: a recording of {subject} cannot be read: {error}") from error
    return found


def canonical(action):
    """The action's name as the files have it."""
    return action.replace("_", " ").replace("TakingPhoto", "Photo").replace("WalkingDog", "WalkDog")


def exact(joints):
    """{subject: {action: [(T, 17, 2) float32 px of each camera]}} of joints (T, 32, 3) m."""
    return {subject: {action: [seen(kept(world), camera) for camera in rig("h36m")[subject]] for action, world in takes.items()}
            for subject, takes in joints.items()}


def seen(world, camera):
    """Pixels (T, J, 2) of world points (T, J, 3) m."""
    inside = torch.from_numpy(to_camera(np.ascontiguousarray(world, np.float32), camera))
    return pixels(project(inside, torch.from_numpy(camera.lens).expand(len(inside), 9)).numpy(), camera).astype(np.float32)


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m training.prepare h36m", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--from-archive", metavar="ZIP")
    source.add_argument("--from-source", metavar="DIR")
    source.add_argument("--from-source-cdf", metavar="DIR")
    parser.add_argument("--output", default="data", help="folder of the files (data)")
    options = parser.parse_args(argv)
    if options.from_archive:
        found = archive_takes(options.from_archive)
    elif options.from_source:
        found = takes_in(options.from_source, "{}/MyPoseFeatures/D3_Positions/*.cdf.mat", _from_mat)
    else:
        found = takes_in(options.from_source_cdf, "{}/MyPoseFeatures/D3_Positions/*.cdf", _from_cdf)
    joints = {subject: {action: (world / 1000).astype(np.float32) for action, world in takes.items()} for subject, takes in found.items()}
    folder = pathlib.Path(options.output)
    keypoints.save_npz(folder / "data_3d_h36m.npz", positions_3d=joints)
    keypoints.write(folder / "data_2d_h36m_gt.npz", exact(joints), keypoints.LAYOUTS["h36m"], named=False)
