"""3D-PCK and AUC on MuPoTS-3D by the rules of its kit: who is who by joints in the picture, bones of true length, 150 mm.

Mehta et al., "Single-Shot Multi-Person 3D Pose Estimation From Monocular RGB", 3DV 2018, section 6.
"""

import numpy as np

from core.skeletons import MUPOTS17

NEAR = 40.0  # px in x and in y, for a joint to speak for a pair
RIGHT = 0.150  # m
THRESHOLDS = np.arange(0, 0.1501, 0.005)
LOST = 100.0  # m, the error of somebody who was not found
# The kit's bones, the order in which they are set: head top and head both hang on the thorax.
BONES = ((14, 15), (15, 1), (1, 0), (1, 16), (1, 2), (2, 3), (3, 4), (1, 5), (5, 6), (6, 7), (14, 8), (8, 9), (9, 10), (14, 11), (11, 12), (12, 13))
COUNTED = slice(1, 14)  # joints that decide who is who: thorax and limbs
GROUPS = {"head": (0,), "neck": (1,), "shoulders": (2, 5), "elbows": (3, 6), "wrists": (4, 7), "hips": (8, 11), "knees": (9, 12), "ankles": (10, 13)}
JUDGED = sorted(joint for group in GROUPS.values() for joint in group)


def match(truth, found):
    """For each true person the row of the found one, -1 for none: points (N, 17, 2) and (M, 17, 2) px. In the order of the annotations, the
    one not yet taken with the most joints near, if any is."""
    near = (np.abs(truth[:, None, COUNTED] - found[None, :, COUNTED]) < NEAR).all(-1).sum(-1)
    rows = np.full(len(truth), -1)
    for i in range(len(truth)):
        if near.shape[1] and near[i].max() > 0:
            rows[i] = near[i].argmax()
            near[:, rows[i]] = 0
    return rows


def scaled(pose, truth):
    """Pose (17, 3) with the bones of truth (17, 3), each in its own direction, from the root outwards."""
    made = np.array(pose, np.float64)
    for parent, child in BONES:
        bone = pose[child] - pose[parent]
        made[child] = made[parent] + bone * np.linalg.norm(truth[child] - truth[parent]) / max(np.linalg.norm(bone), 1e-8)
    return made


def errors(people, points, poses, relative=True, matched=False):
    """Errors (K, 17) m of one picture: `people` annotations, found points (M, 17, 2) px and poses (M, 17, 3) m in camera axes.

    relative: both from their root. matched: only people who were found; else those who were not have the error LOST.
    """
    truth = np.array([each["keypoints_cam"] for each in people], float).reshape(-1, 17, 3) / 1000
    if relative:
        truth, poses = truth - truth[:, [MUPOTS17.root]], poses - poses[:, [MUPOTS17.root]]
    rows, made = match(np.array([each["keypoints_img"] for each in people], float).reshape(-1, 17, 2), points), []
    for i, row in enumerate(rows):
        if row >= 0:
            made.append(np.linalg.norm(scaled(poses[row], truth[i]) - truth[i], axis=1))
        elif not matched:
            made.append(np.full(17, LOST))
    return np.array(made).reshape(-1, 17)


def pck(error, threshold=RIGHT):
    """Percent of the judged joints of errors (K, 17) m that are nearer than a threshold; NaN for nobody."""
    return 100 * float((error[:, JUDGED] < threshold).mean()) if len(error) else float("nan")


def auc(error):
    """The mean of the PCK over thresholds from 0 to 150 mm."""
    return float(np.mean([pck(error, threshold) for threshold in THRESHOLDS]))


def score(images, annotations, found2d, found3d):
    """{(relative, matched): {"TS1": {"PCK", "AUC"}, ..., "all": the mean over the sequences}}.

    images {id: picture}, annotations of MuPoTS-3D.json; found2d, found3d {"TS1_img_000000": (M, 17, 2) px, (M, 17, 3) mm}, as in the .mat files.
    """
    people = {}
    for each in annotations:
        if each["is_valid"] == 1:
            people.setdefault(each["image_id"], []).append(each)
    tables = {}
    for relative in (True, False):
        for matched in (False, True):
            sequences = {}
            for number, rows in people.items():
                sequence, _, file = images[number]["file_name"].rpartition("/")
                name = f"{sequence.rpartition('/')[2]}_{file.split('.')[0]}"
                points, poses = np.reshape(found2d.get(name, ()), (-1, 17, 2)), np.reshape(found3d.get(name, ()), (-1, 17, 3)) / 1000
                sequences.setdefault(sequence.rpartition("/")[2], []).append(errors(rows, points, poses, relative, matched))
            order = sorted(sequences, key=lambda name: int("".join(filter(str.isdigit, name)) or 0))
            table = {name: {"PCK": pck(all_ := np.concatenate(sequences[name])), "AUC": auc(all_)} for name in order}
            tables[relative, matched] = table | {"all": {key: _mean([row[key] for row in table.values()]) for key in ("PCK", "AUC")}}
    return tables


def _mean(values):
    """The mean of the sequences in which anybody counts."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")
