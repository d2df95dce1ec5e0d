"""Stacked hourglass detections of Human3.6M to VideoPose3D's files: `python -m training.prepare h36m_2d_sh -pt hourglass.zip -ft tuned.tar.gz`.

Martinez' archives of HDF5 files (needs h5py): -pt of the network as it came (MPII), -ft fine-tuned on Human3.6M.
"""

import argparse
import pathlib
import tarfile
import tempfile
import zipfile

from core.errors import InputError
from training.datasets import keypoints
from training.prepare._detections import files, hourglass
from training.prepare.h36m_2d_generic import gathered

JOINTS = keypoints.LAYOUTS["mpii"]


def convert(archive, pattern, path):
    """Unpack an archive, read its .h5 files and write `path`."""
    with tempfile.TemporaryDirectory() as folder:
        unpack(archive, folder)
        found = gathered(files(folder, pattern), hourglass, r"(.*)\.([0-9]+)\.h5", JOINTS.joints)
    keypoints.write(path, found, JOINTS, named=False)


def unpack(archive, folder):
    """Raises InputError for a file that is missing or no archive."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as file:
                file.extractall(folder)
        else:
            with tarfile.open(archive) as file:
                file.extractall(folder, filter="data")
    except (OSError, tarfile.TarError) as error:
        raise InputError(f"{archive} cannot be unpacked: {error}") from error


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m training.prepare h36m_2d_sh", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-pt", "--pretrained", metavar="ZIP")
    parser.add_argument("-ft", "--fine-tuned", metavar="TAR")
    parser.add_argument("--data", default="data", help="folder of the files (data)")
    options = parser.parse_args(argv)
    if not options.pretrained and not options.fine_tuned:
        raise InputError("give -pt ZIP, -ft TAR or both")
    folder = pathlib.Path(options.data)
    if options.pretrained:
        convert(options.pretrained, "h36m/S*/StackedHourglass/*.h5", folder / "data_2d_h36m_sh_pt_mpii.npz")
    if options.fine_tuned:
        convert(options.fine_tuned, "S*/StackedHourglassFineTuned240/*.h5", folder / "data_2d_h36m_sh_ft_h36m.npz")
