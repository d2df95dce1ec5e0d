"""PoseNet by its authors' protocols: `python -m training.evaluate posenet --gpu 0-1 --test_epoch 20 [--testset MuPoTS]`.

Human3.6M in 3DMPPE's numbering: protocol 1 is PA-MPJPE (without scaling) on S11, protocol 2 MPJPE on S9 and S11. MuPoTS-3D: 3D-PCK and AUC,
relative and absolute, of all and of matched people, each sequence. MSCOCO: OKS-AP over the joints that the network has (pycocotools). MPII: PCKh.
Written: bbox_root_pose_human36m_output.json, preds_2d_kpt_<set>.mat, preds_3d_kpt_<set>.mat (mm), pictures in output/vis. Moon et al., ICCV 2019.
"""

import json
import pathlib

import numpy as np
from scipy.io import savemat

from core.geometry import procrustes
from core.skeletons import COCO17, MPII16, MUPOTS17
from poses._posenet import JOINT_SETS, posenet_from_state
from poses._volumes import fitted
from training import mppe
from training.datasets import mppe_human36m, mppe_mupots
from training.evaluation import _people, mupots3d
from training.evaluation._draw import people_in_space
from training.evaluation.errors import mpjpe
from training.evaluation.keypoints import head_sizes, oks_ap, pckh

PUBLISHED = {(1, True): 34.0, (1, False): 35.2, (2, True): 53.3, (2, False): 54.4}  # mm by protocol and whether roots are true ones
PUBLISHED_PCK = {(True, False): 81.8, (True, True): 82.5}  # percent: relative, of all and of matched people
METRIC = {1: "PA-MPJPE (rigid alignment without scale)", 2: "MPJPE"}


def main(argv=None):
    parser = _people.parser("python -m training.evaluate posenet", __doc__)
    parser.add_argument("--use_gt_info", type=_people.switch, default=True, help="false: those of bbox_root/bbox_root_<set>_output.json")
    parser.add_argument("--flip_test", type=_people.switch, default=True, help="false: without the mirror image")
    parser.add_argument("--vis", type=int, default=2, help="number of pictures drawn into output/vis")
    options = parser.parse_args(argv)
    path, places = _people.checkpoint(options)
    device = mppe.device_of(options.gpu)
    network = fitted(posenet_from_state, path, device)
    _people.need(network.joints in JOINT_SETS, f"{path}: a network of {network.joints} joints is none of 3DMPPE's sets")
    skeleton = JOINT_SETS[network.joints]
    true = options.testset == "MPII" or options.use_gt_info and options.testset != "MSCOCO"
    persons = _people.persons_of(options, None if true else _people.boxes_file(options, "bbox_root"))
    cells = _people.look(network, persons, options.input_size, options.test_batch_size, device,
                         (lambda found: unmirrored(found, skeleton, options.input_size)) if options.flip_test else None)
    points, joints = _people.poses(cells, persons, options.input_size)
    measure = {"Human36M": _human36m, "MuPoTS": _mupots, "MSCOCO": _coco, "MPII": _mpii}[options.testset]
    print(measure(persons, skeleton, points, joints, places, options))
    draw(persons, skeleton, points, joints, places["vis"], options.vis)


def unmirrored(cells, skeleton, size):
    """Cells (B, J, 3) of mirrored crops as those of the crops: the mirror image of cell 0 is the last one."""
    found = cells[:, list(skeleton.mirror)].clone()
    found[..., 0] = size // 4 - found[..., 0] - 1
    return found


def _human36m(persons, skeleton, points, joints, places, options):
    _people.need(skeleton == persons.skeleton, f"Human36M: the network has the joints {skeleton.name}, expected {persons.skeleton.name}")
    found, truth = joints - joints[:, :1], persons.space - persons.space[:, :1]
    if options.protocol == 1:
        found = procrustes(found, truth, scale=False)
    found, truth = found[:, :17], truth[:, :17]
    saved = [{"image_id": int(number), "joint_cam": (pose * 1000).tolist(), "bbox": box.tolist(), "root_cam": (root * 1000).tolist()}
             for number, pose, box, root in zip(persons.image_ids, found, persons.boxes, persons.roots, strict=True)]
    result = places["result"] / "bbox_root_pose_human36m_output.json"
    result.write_text(json.dumps(saved))
    subjects = ", ".join(f"S{n}" for n in mppe_human36m.SUBJECTS[options.protocol]["test"])
    return "\n".join([f"Human3.6M, 3DMPPE's protocol {options.protocol}: {METRIC[options.protocol]}, 17 joints, subjects {subjects}, "
                      f"{'true' if options.use_gt_info else 'RootNet'} roots, mm",
                      _people.beside([("all", 1000 * mpjpe(found, truth), PUBLISHED[options.protocol, options.use_gt_info])]),
                      _people.beside([(name, value, None) for name, value in _people.by_action(found, truth, persons.actions).items()]), str(result)])


def _mupots(persons, skeleton, points, joints, places, options):
    _people.need(skeleton.joints[:17] == MUPOTS17.joints, f"MuPoTS: the network has the joints {skeleton.name}, expected muco21 or mupots17")
    found2d, found3d = save(persons, points[:, :17], joints[:, :17], places["result"], "mupots")
    images, annotations = mppe_mupots.annotations(options.data)
    tables = mupots3d.score(images, annotations, found2d, found3d)
    roots = "true" if options.use_gt_info else "RootNet"
    lines = [f"MuPoTS-3D, bones of true length, {roots} roots: 3D-PCK within 150 mm and AUC 0..150 mm, percent"]
    names = list(tables[True, False])
    lines.append(f"{'':30s}" + "".join(f"{name:>7s}" for name in names) + f"{'published':>11s}")
    for (relative, matched), table in tables.items():
        for key in ("PCK", "AUC"):
            title = f"{'relative' if relative else 'absolute'}, {'matched' if matched else 'all'} people: {key}"
            published = PUBLISHED_PCK.get((relative, matched)) if key == "PCK" else None
            lines.append(f"{title:30s}" + "".join(f"{table[name][key]:7.1f}" for name in names) + f"{'' if published is None else published:>11}")
    return "\n".join(lines)


def _coco(persons, skeleton, points, joints, places, options):
    save(persons, points, joints, places["result"], "coco")
    shared = [name for name in COCO17.joints if name in skeleton.joints]
    placed = np.zeros((len(points), 17, 2))
    placed[:, [COCO17.index(name) for name in shared]] = points[:, [skeleton.joints.index(name) for name in shared]]
    rows = [{"image_id": int(number), "points": each, "score": score}
            for number, each, score in zip(persons.image_ids, placed, persons.scores, strict=True)]
    figures = oks_ap(pathlib.Path(options.data) / "MSCOCO" / "annotations" / "person_keypoints_val2017.json", rows, shared)
    return "\n".join([f"MSCOCO val2017: object keypoint similarity over {len(shared)} of 17 joints, percent",
                      _people.beside([(name, value, None) for name, value in figures.items()])])


def _mpii(persons, skeleton, points, joints, places, options):
    shared = [name for name in MPII16.joints if name in skeleton.joints]
    placed, visible = np.zeros((len(points), 16, 2)), np.zeros((len(points), 16), bool)
    for name in shared:
        row = MPII16.index(name)
        placed[:, row], visible[:, row] = points[:, skeleton.joints.index(name)], persons.visible[:, row]
    share, each = pckh(placed, persons.points, visible, head_sizes(persons.points, persons.visible))
    lines = [("all", share, None)] + [(name, each[MPII16.index(name)], None) for name in shared]
    return f"MPII, annotations/valid.json: PCKh@0.5 over {len(shared)} of 16 joints, head length from neck to top, percent\n" + _people.beside(lines)


def save(persons, points, joints, folder, name):
    """Write preds_2d_kpt_<name>.mat (px) and preds_3d_kpt_<name>.mat (mm, camera axes); both as {picture: (M, J, 2 or 3)}."""
    found = {}, {}
    for path, flat, space in zip(persons.paths, points, joints * 1000, strict=True):
        path = pathlib.Path(path)
        key = f"{path.parent.name if name == 'mupots' else name}_{path.stem}"
        for table, each in zip(found, (flat, space), strict=True):
            table.setdefault(key, []).append(each)
    found = tuple({key: np.array(rows) for key, rows in table.items()} for table in found)
    for kind, table in zip(("2d", "3d"), found, strict=True):
        savemat(folder / f"preds_{kind}_kpt_{name}.mat", table)
    return found


def draw(persons, skeleton, points, joints, folder, count):
    """The first `count` pictures with everybody in them, in the picture and in space."""
    rows = {}
    for row, path in enumerate(persons.paths):
        rows.setdefault(path, []).append(row)
    for path, each in list(rows.items())[:count]:
        name = f"{pathlib.Path(path).parent.name}_{pathlib.Path(path).stem}.png"
        if np.isfinite(joints[each]).all():  # MPII knows no distances
            people_in_space(folder / name, path, skeleton, points[each], joints[each])
