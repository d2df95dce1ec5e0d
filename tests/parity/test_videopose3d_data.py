"""The lifters' data layer and errors against numbers of the published programs: cameras, batches, errors, choices by hash."""

import numpy as np
import pytest
import torch

from training.datasets import rigs
from training.datasets.keypoints import LAYOUTS
from training.datasets.lifting import Clip, Layout, drawn
from training.datasets.rigs import RigCamera
from training.datasets.windows import Mirrors, Windows, whole
from training.evaluation import errors

pytestmark = pytest.mark.shared


def exact(got, expected, atol=0.0):
    torch.testing.assert_close(torch.as_tensor(got), expected, atol=atol, rtol=0)


def test_cameras(official):
    data, cameras = official("vp3d_camera.pt"), rigs.rig("h36m")["S1"]
    lenses = torch.from_numpy(np.stack([camera.lens for camera in cameras]))
    exact(lenses, data["intrinsics"])
    for i, lens in enumerate(lenses):
        exact(rigs.project(data["X_cam"], lens.expand(5, 9)), data["project"][i], 1e-6)
        exact(rigs.project_linear(data["X_cam"], lens.expand(5, 9)), data["project_linear"][i], 1e-6)
    exact(rigs.to_camera(data["world"].numpy(), cameras[0]), data["world_to_camera"], 1e-6)
    exact(rigs.to_world(data["world_to_camera"].numpy(), cameras[0]), data["camera_to_world"], 1e-6)
    exact(rigs.turned(data["q"], data["v"]), data["qrot"], 1e-6)
    exact(rigs.inverse(data["q"]), data["qinverse"])
    exact(rigs.pixels(data["normalized"].numpy(), RigCamera("", *data["res"], 0)), data["pixels"], 1e-9)


def test_constants(official):
    facts = official("dataset_constants.json")
    eva = facts["humaneva"]
    assert rigs.FACTS["humaneva15"]["frames"] == eva["frame_ranges_start_incl_end_excl"]
    assert rigs.FACTS["humaneva15"]["skipped"] == {name: rows for name, rows in eva["video_frames_to_skip_C1_C2_C3"].items() if rows}
    assert rigs.FACTS["h36m"]["kept"] == facts["h36m"]["joint_keep_from_32"]
    for name, poses in (("h36m", facts["h36m"]["extrinsics"]), ("humaneva15", eva["extrinsics"])):
        known = {subject: views for subject, views in poses.items() if views[0]}
        assert list(rigs.rig(name)) == list(known)
        for subject, views in known.items():
            for camera, view in zip(rigs.rig(name)[subject], views, strict=True):
                np.testing.assert_allclose(camera.turn, view["orientation"], rtol=1e-6)
                np.testing.assert_allclose(camera.place * 1000, view["translation"], rtol=1e-6)


def test_errors(official):
    data = official("vp3d_metrics.pt")
    predicted, truth = data["pred"].numpy(), data["gt"].numpy()
    for got, key in ((errors.mpjpe(predicted, truth), "mpjpe"), (errors.pa_mpjpe(predicted, truth), "p_mpjpe"),
                     (errors.n_mpjpe(predicted, truth), "n_mpjpe"), (errors.mpjve(predicted, truth), "mean_velocity_error"),
                     (errors.weighted_distance(data["pred"], data["gt"], data["weights"]), "weighted_mpjpe")):
        assert float(got) == pytest.approx(data[key], abs=1e-9)
    each = [errors.pa_mpjpe(a, b) for a, b in zip(predicted, truth, strict=True)]
    assert each == pytest.approx(data["p_mpjpe_per_frame"], abs=1e-9)


def test_batches(official):
    data = official("vp3d_generators.pt")
    clips = [Clip("", "", 0, RigCamera("", 1, 1, 0, lens=lens.numpy()), points.numpy(), joints.numpy())
             for points, joints, lens in zip(data["poses_2d"], data["poses_3d"], data["cameras"], strict=True)]
    mirror = Layout(17, tuple(data["kps_left"]), tuple(data["kps_right"])).mirror
    for name, case in data["cases"].items():
        args = case["args"]
        mirrors = Mirrors(mirror, mirror) if args["augment"] else None
        if name.startswith("unchunked"):
            for i, clip in enumerate(clips):
                points, joints = whole(clip, args["pad"], args["causal_shift"], mirrors)
                exact(points, case["p2"][i])
                exact(joints, case["p3"][i][:1])
            continue
        windows = Windows(clips, case["batch_size"], args["chunk_length"], args["pad"], args["causal_shift"], args["shuffle"], mirrors)
        assert windows.rows.tolist() == case["pairs"] and len(windows) == case["num_batches"]
        for i, batch in enumerate(windows):
            exact(batch.points.double(), case["p2"][i])
            exact(batch.joints.double(), case["p3"][i])
            exact(batch.lens.double(), case["cam"][i])
        if "second_epoch_p2_first_batch" in case:
            exact(next(iter(windows)).points.double(), case["second_epoch_p2_first_batch"])


def test_skeletons_and_drawn_places(official):
    data = official("vp3d_skeleton.json")
    for text, value in data["deterministic_random"].items():
        low, high, key = text.split("|")
        assert drawn(int(low), int(high), key) == value
    for name in ("h36m", "humaneva15"):
        assert (list(LAYOUTS[name].left), list(LAYOUTS[name].right)) == (data[name]["joints_left"], data[name]["joints_right"])
