"""VideoPose3D's training against the authors' numbers: five steps of it, and the losses with unlabelled poses."""

import numpy as np
import pytest
import torch

from lifters._tcn import TemporalModel
from training import semisupervised
from training.datasets.windows import Batch
from training.prepare import custom_2d

pytestmark = pytest.mark.shared


def test_training_trace(official):
    data = official("vp3d_train_trace.pt")
    network = TemporalModel((3, 3, 3), data["config"]["channels"], dropout=0.0)
    network.load_state_dict(data["init_state_dict"])
    optimizer = torch.optim.Adam(network.parameters(), data["config"]["lr"], amsgrad=True)
    for step, (points, joints) in enumerate(zip(data["inputs"], data["targets"], strict=True)):
        if step == 3:
            network.set_momentum(0.05)
            optimizer.param_groups[0]["lr"] *= 0.95
        loss = semisupervised.supervised(network, True, Batch(points, joints, None, None))["loss"]
        assert float(loss.detach()) == pytest.approx(data["losses"][step], rel=1e-4)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for name, value in data["final_state_dict"].items():
        torch.testing.assert_close(network.state_dict()[name], value, atol=1e-4, rtol=1e-4, msg=name)
    with torch.no_grad():
        torch.testing.assert_close(network.eval()(data["inputs"][0]), data["eval_output_on_first_batch"], atol=1e-4, rtol=1e-3)


class Fixed:
    """A network that gives what it was told."""

    def __init__(self, answer):
        self.answer = answer

    def one_frame(self, points):
        return self.answer[:, 0]


@pytest.mark.parametrize("linear", [False, True])
def test_semi_supervised_losses(official, linear):
    data = official("vp3d_semi_losses.pt")
    joints = data["labeled_3d"].clone()
    joints[:, :, :1] = data["labeled_traj"]
    seen = torch.zeros(4, 27, 17, 2)
    seen[:, 13:14] = data["target_2d_semi"]
    skeleton = type("Skeleton", (), {"parents": data["parents"]})
    semi = semisupervised.SemiSupervised([Fixed(data["pred_pos"]), Fixed(data["pred_traj"])], skeleton, True, 13, 0, linear=linear)
    terms = semi((Batch(torch.zeros(4, 27, 17, 2), joints, None, None), Batch(seen, None, data["cam"], None)))
    expected = {"3d_train": data["loss_3d"], "traj_train": data["loss_traj"], "bones": data["loss_bone"],
                "2d_unlabelled": data["loss_reproj_linear" if linear else "loss_reproj"]}
    for name, value in expected.items():
        assert float(terms[name]) == pytest.approx(value, rel=1e-5), name
    if not linear:
        assert float(terms["loss"]) == pytest.approx(data["total"], rel=1e-5)


def test_custom_detections(official):
    data = official("vp3d_custom_decode.pt")
    frames = [(frame["boxes"].numpy(), frame["keypoints"].numpy()) for frame in data["frames"]]
    np.testing.assert_allclose(custom_2d.best(frames), data["keypoints"].numpy(), atol=1e-4)
