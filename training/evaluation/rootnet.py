"""RootNet by its authors' protocols: `python -m training.evaluate rootnet --gpu 0 --test_epoch 18 --testset MuPoTS --use_gt_bbox false`.

MRPE on Human3.6M, AP of the root on MuPoTS-3D, and the file of boxes and roots that PoseNet's evaluation reads, bbox_root_<set>_output.json (mm;
COCO's at a focal length of 1500 px). Moon et al., ICCV 2019.
"""

import json

import numpy as np
import torch

from poses._posenet import rootnet_from_state
from poses._volumes import fitted
from training import mppe
from training.datasets import mppe_human36m, mppe_mupots
from training.evaluation import _people
from training.evaluation.roots import ap_root, median_share, mrpe

PUBLISHED = {"MRPE": 120.0, "x": 23.3, "y": 23.0, "z": 108.1}  # mm, protocol 2
PUBLISHED_AP = 31.0  # percent


def main(argv=None):
    parser = _people.parser("python -m training.evaluate rootnet", __doc__, ("Human36M", "MuPoTS", "MSCOCO"))
    parser.add_argument("--use_gt_bbox", type=_people.switch, default=True, help="false: the boxes of bbox/bbox_<set>_output.json")
    options = parser.parse_args(argv)
    path, places = _people.checkpoint(options)
    network = fitted(rootnet_from_state, path, mppe.device_of(options.gpu))
    persons = _people.persons_of(options, None if options.use_gt_bbox else _people.boxes_file(options, "bbox"))

    def answer(x):
        return network(x, torch.ones(len(x), 1, device=x.device))

    found = _people.roots(_people.look(answer, persons, options.input_size, options.test_batch_size, mppe.device_of(options.gpu)), persons,
                          options.input_size)
    result = places["result"] / f"bbox_root_{_people.NAMES[options.testset]}_output.json"
    result.write_text(json.dumps(rows(persons, found)))
    print({"Human36M": _human36m, "MuPoTS": _mupots, "MSCOCO": _coco}[options.testset](persons, found, options))
    print(f"boxes and roots: {result}")


def rows(persons, found):
    """[{image_id, bbox, root_cam mm, score}] of roots (N, 3) m: PoseNet's input."""
    return [{"image_id": int(number), "bbox": box.tolist(), "root_cam": (root * 1000).tolist(), "score": float(score)}
            for number, box, root, score in zip(persons.image_ids, persons.boxes, found, persons.scores, strict=True)]


def _human36m(persons, found, options):
    truth = persons.space[:, persons.skeleton.root]
    subjects = ", ".join(f"S{n}" for n in mppe_human36m.SUBJECTS[options.protocol]["test"])
    figures, published = mrpe(found, truth), PUBLISHED if options.protocol == 2 else {}
    actions = _people.by_action(found, truth, persons.actions)
    return "\n".join([f"Human3.6M, 3DMPPE's protocol {options.protocol}, subjects {subjects}: mean root position error (MRPE), mm",
                      _people.beside([(name, value, published.get(name)) for name, value in figures.items()]),
                      _people.beside([(f"MRPE {name}", value, None) for name, value in actions.items()]),
                      f"median error {100 * median_share(found, truth):.1f}% of the distance"])


def _mupots(persons, found, options):
    _, annotations = mppe_mupots.annotations(options.data)
    value = ap_root(rows(persons, found), annotations)
    text = ["MuPoTS-3D: average precision of the root within 25 cm, percent", _people.beside([("AP_root", value, PUBLISHED_AP)])]
    if np.isfinite(persons.roots).all():
        text.append(f"median error {100 * median_share(found, persons.roots):.1f}% of the distance")
        plain = _people.roots(np.column_stack([_true_cells(persons, options.input_size), np.ones(len(found))]), persons, options.input_size)
        text.append(f"with true places in the picture and gamma = 1: {100 * median_share(plain, persons.roots):.1f}%")
    return "\n".join(text)


def _true_cells(persons, size):
    corner = persons.squares[:, :2] - persons.squares[:, 2:] / 2
    return (persons.points[:, persons.skeleton.root, :2] - corner) / persons.squares[:, 2:] * size / 4


def _coco(persons, found, options):
    return f"MSCOCO: {len(found)} roots at a focal length of 1500 px; other lenses: distance x f / 1500"
