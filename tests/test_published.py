"""The published pose networks and CenterNet's DLA-34 as parts: batches, edges, space, checkpoints. Parity with the originals is in tests/parity."""

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import weights
from app.motion import assemble
from app.past import reconstruct_causal
from app.reconstruct import reconstruct
from core import parts
from core.errors import InputError
from core.geometry import project
from core.records import Camera, Observation, Poses, Tracks, VideoInfo
from core.skeletons import COCO19, H36M17, H36M18, MPII16, MUCO21, MUPOTS17, convert
from detectors._ctdet import soft_nms, view
from lifters.none import NoLifter
from poses._crops import everybody, squares
from poses._posenet import k_value
from poses._refine import RefineNet, Refiner
from poses._volumes import soft_argmax, soft_argmax2d
from poses.posenet import PoseNetEstimator, unmirrored
from poses.rootnet import RootedEstimator
from tests import published

CPU = torch.device("cpu")
CAMERA = Camera(320, 240, 400.0, 400.0, 160.0, 120.0)
BOXES = [np.array([[40, 30, 120, 220], [200, 20, 319, 239.0], [-30, 100, 25, 400]]), np.zeros((0, 4)), np.array([[100, 50, 180, 200.0]])]
SPECS = {
    "posenet": "posenet:weights={posenet}", "posenet+root": "posenet:weights={posenet},root={rootnet},batch=3", "posenet+flip":
    "posenet:weights={posenet},flip=true", "rootnet": "rootnet:weights={rootnet},of=posenet:weights={posenet}", "senet": "senet:weights={senet}",
    "senet+all": "senet:weights={senet},root={rootnet},refine={upper},{lower}"}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return published.saved(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="module")
def images():
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (240, 320, 3), dtype=np.uint8) for _ in BOXES]


@pytest.fixture(params=SPECS.values(), ids=SPECS.keys(), scope="module")
def pose(request, files):
    return parts.make("pose", request.param.format(**files), device="cpu")


@pytest.mark.parametrize("network", [
    published.posenet, published.senet, published.upper, published.lower, lambda: RefineNet(48, 8).eval(),
    lambda: Refiner(published.upper(), published.lower()), published.dla], ids=["posenet", "senet", "upper", "lower", "refine", "both", "dla"])
def test_gradients_reach_every_weight(network):
    network = network()
    wants = {"SemGCN": (2, 17, 3), "Refiner": (2, 17, 3), "LinearModel": (2, 48), "RefineNet": (2, 48), "DLA34": (1, 3, 64, 64)}
    answer = network(torch.randn(wants.get(type(network).__name__, (2, 3, 256, 256)), generator=torch.Generator().manual_seed(1)))
    sum(part.square().sum() for part in (answer if isinstance(answer, tuple) else (answer,))).backward()
    still = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
    assert all(".non_local." in name for name in still), still  # these begin at nothing: their last normalisation has weight 0


def test_gradients_of_rootnet():
    network = published.rootnet()
    network(torch.randn(1, 3, 256, 256), torch.tensor([[4.0]])).square().sum().backward()
    still = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
    assert still in ([], ["root.xy_layer.bias"]), "a softmax does not feel a common offset"


def test_soft_argmax_finds_a_peak():
    heat = torch.zeros(1, 2 * 4, 5, 6)
    heat.view(1, 2, 4, 5, 6)[0, 1, 3, 2, 4] = 100
    torch.testing.assert_close(soft_argmax(heat, 2)[0], torch.tensor([[2.5, 2.0, 1.5], [4.0, 2.0, 3.0]]))
    torch.testing.assert_close(soft_argmax2d(heat.view(1, 2, 4, 5, 6)[:, 1, 3:]), torch.tensor([[4.0, 2.0]]))


def test_several_people_in_several_pictures_are_as_each_alone(pose, images):
    together = pose(images, BOXES, [CAMERA] * 3)
    assert [len(people) for people in together] == [3, 0, 1]
    for image, boxes, people in zip(images, BOXES, together, strict=True):
        for i, box in enumerate(boxes):
            alone = pose([image], [box[None]], [CAMERA])[0]
            np.testing.assert_allclose(people.points[i], alone.points[0], atol=5e-3)  # px; other processors add up in another order
            # 0.1 mm for people of human size; random weights place joints tens of metres apart
            np.testing.assert_allclose(people.relative[i], alone.relative[0], atol=1e-4, rtol=1e-5)
            np.testing.assert_array_equal(people.scores[i], alone.scores[0])
            assert (people.root_depth is None) == (alone.root_depth is None)
            if people.root_depth is not None:
                assert people.root_depth[i] == pytest.approx(alone.root_depth[0], abs=1e-4)


def test_nobody_and_people_who_cannot_be_seen(pose, images):
    assert pose([], [], []) == []
    assert len(pose(images[:1], [np.zeros((0, 4))], [CAMERA])[0]) == 0
    outside = np.array([[400, 10, 500, 200], [np.nan] * 4, [50, 50, 50, 90], [-20, -20, -5, -1]], np.float32)
    people = pose(images[:1], [outside], [CAMERA])[0]
    assert len(people) == 4 and np.isnan(people.points).all() and np.isnan(people.relative).all() and not people.scores.any()


def test_a_person_at_the_edge_is_seen_as_far_as_the_picture_goes(pose, images):
    cut, whole = pose(images[:1], [np.array([[250, 100, 320, 240], [250, 100, 900, 700.0]])], [CAMERA])[0].points
    assert np.isfinite(cut).all()
    np.testing.assert_allclose(cut, whole, atol=1e-3)


def test_squares_hold_their_boxes():
    (x, y, side), = squares(np.array([[10, 20, 60, 120.0]]), 320, 240)
    assert (x, y, side) == pytest.approx((34.5, 69.5, 99 * 1.25))
    owner, found = everybody([np.zeros((240, 320, 3), np.uint8)] * 2, [np.array([[0, 0, 320, 240.0]]), np.array([[5, 5, 6, 6.0]])])
    assert owner.tolist() == [0, 1] and np.isfinite(found).all()
    assert k_value(1500, 1500, 300 * 300) == pytest.approx(10.0)


def test_mirrored_crops_give_mirrored_joints_with_flip(files):
    crops = np.random.default_rng(3).integers(0, 256, (2, 256, 256, 3), dtype=np.uint8)
    estimator = parts.make("pose", SPECS["posenet+flip"].format(**files), device="cpu")
    plain, mirrored = (torch.tensor(estimator.read(np.ascontiguousarray(each))[0]) for each in (crops, crops[:, :, ::-1]))
    torch.testing.assert_close(unmirrored(mirrored, H36M18), plain, atol=1e-3, rtol=0)


# ---- space


def body(skeleton):
    """Somebody who stands with the arms out: joints (J, 3) m to the pelvis, camera axes, left and right alike."""
    height = {"hip": 0, "knee": 0.42, "ankle": 0.84, "torso": -0.25, "neck": -0.5, "nose": -0.6, "head": -0.7, "shoulder": -0.48, "elbow": -0.48,
              "wrist": -0.48, "thorax": -0.48, "pelvis": 0}
    across = {"hip": 0.12, "knee": 0.13, "ankle": 0.14, "shoulder": 0.18, "elbow": 0.45, "wrist": 0.7}
    parts_of = [(name.removeprefix("left_").removeprefix("right_"), {"l": 1, "r": -1}.get(name[0]) if "_" in name else 0) for name in skeleton.joints]
    return np.array([[side * across.get(part, 0), height[part], -0.05 * (part == "nose") - 0.1 * (part == "knee")] for part, side in parts_of])


class Seer:
    """In place of PoseNet and RootNet: says, for crops in the order in which it is asked, where people of known place are."""

    joints = 18

    def __init__(self, people, boxes, camera, rooted):
        _, found = everybody([np.zeros((camera.height, camera.width, 3), np.uint8)], [boxes])
        k = k_value(camera.fx, camera.fy, found[:, 2] ** 2)
        depth = people[:, 0, 2] if rooted else k
        scaled = people if rooted else people * (k / people[:, 0, 2])[:, None, None]
        shares = (project(people, camera) - 0.5 - found[:, None, :2]) / found[:, None, 2:] + 0.5
        self.cells = torch.tensor(np.concatenate([shares * 64, (scaled[..., 2:] - depth[:, None, None] + 1) * 32], 2))
        self.corrections = torch.tensor(depth / k)[:, None]

    def __call__(self, x):
        return self.cells[: len(x)]

    def gamma(self, x):
        return self.corrections[: len(x)]


def walk(camera, rooted):
    """(truth (T, 2, 18, 3) m in camera axes, the Observations of a PoseNet that sees it without error)."""
    standing = body(H36M18)
    places = np.array([[[-0.6 + 0.02 * t, 0.3, 4.0 + 0.03 * t], [0.9, 0.2, 5.5]] for t in range(20)])
    truth, seen = standing + places[:, :, None], []
    for t, people in enumerate(truth):
        pixels = project(people, camera)
        boxes = np.concatenate([pixels.min(1) - 5, pixels.max(1) + 5], 1)
        seer = Seer(people, boxes, camera, rooted)
        estimator = PoseNetEstimator(seer, seer if rooted else None, False, 8, CPU, False)
        found, = estimator([np.zeros((camera.height, camera.width, 3), np.uint8)], [boxes], [camera])
        seen.append(Observation(t, t / 25, Tracks([1, 2], boxes, [1, 1]), found))
    return truth, seen


@pytest.mark.parametrize("causal", [False, True])
def test_absolute_people_straight_from_the_pose_network_reach_the_motion(causal):
    camera, info = Camera(640, 480, 500.0, 520.0, 330.0, 235.0), VideoInfo(640, 480, Fraction(25))
    truth, seen = walk(camera, rooted=True)
    np.testing.assert_allclose(seen[0].poses.root_depth, truth[0, :, 0, 2], atol=1e-4)
    np.testing.assert_allclose(seen[0].poses.relative, truth[0] - truth[0, :, :1], atol=1e-3)
    if causal:
        motion = reconstruct_causal(seen, info, camera, NoLifter(), H36M18, smooth=False)
    else:
        motion = reconstruct(assemble(seen, info), info, camera, NoLifter(), H36M18, smooth=False)
    assert motion.skeleton3d == H36M18
    for i, track in enumerate(motion.tracks.values()):
        np.testing.assert_allclose(track.joints3d + track.root[:, None], truth[:, i], atol=0.01)
    assert motion.world_from_camera[2, :3] @ (0, -1, 0) > 0.95, "up is up"


def test_without_rootnet_the_place_is_that_of_a_body_of_two_metres():
    camera, info = Camera(640, 480, 500.0, 520.0, 330.0, 235.0), VideoInfo(640, 480, Fraction(25))
    truth, seen = walk(camera, rooted=False)
    assert seen[0].poses.root_depth is None
    motion = reconstruct(assemble(seen, info), info, camera, NoLifter(), H36M18, smooth=False)
    for i, track in enumerate(motion.tracks.values()):
        _, found = everybody([np.zeros((480, 640, 3), np.uint8)], [seen[0].tracks.boxes])
        factor = k_value(500.0, 520.0, found[i, 2] ** 2) / truth[0, i, 0, 2]
        np.testing.assert_allclose(track.root[0], truth[0, i, 0] * factor, rtol=0.02, atol=0.02)


def test_rootnet_places_the_joints_of_another_network():
    def flat(images, boxes, cameras):
        return [Poses(H36M17, np.zeros((len(b), 17, 2)), np.ones((len(b), 17))) for b in boxes]

    flat.skeleton = H36M17
    rooted = RootedEstimator(flat, SimpleNamespace(gamma=lambda x: torch.full((len(x), 1), 1.5)), False, 2, CPU, False)
    boxes = np.array([[10, 10, 90, 210], [50, 10, 150, 60], [20, 20, 60, 60.0]])
    found, = rooted([np.zeros((240, 320, 3), np.uint8)], [boxes], [CAMERA])
    np.testing.assert_allclose(found.root_depth, 1.5 * 2 * 400 / (1.25 * np.array([199, 99, 39])), rtol=1e-5)
    rooted.rootnet = SimpleNamespace(gamma=lambda x: torch.full((len(x), 1), -1.0))
    assert np.isnan(rooted([np.zeros((240, 320, 3), np.uint8)], [boxes], [CAMERA])[0].root_depth).all(), "nobody is behind the camera"


def test_senet_looks_at_two_metres_around_the_root_where_it_knows_it(files, images):
    estimator = parts.make("pose", SPECS["senet+all"].format(**files), device="cpu")
    estimator.rootnet = lambda x, k: torch.tensor([[32.0, 16.0, 0.8]]).expand(len(x), 3) * torch.cat([torch.ones(len(x), 2), k], 1)
    box = np.array([[40, 30, 120, 220.0]])
    square = estimator._around_roots(images[:1], [box])[0]
    depth = 0.8 * 2 * 400 / (189 * 1.25)
    assert square == pytest.approx((79.5, 124.5 - 0.25 * 189 * 1.25, 2 * 400 / depth))


def test_the_refiner_gives_the_3d_and_leaves_the_picture_alone(files, images):
    plain, refined = (parts.make("pose", f"senet:weights={files['senet']}{more}", device="cpu")
                      for more in ("", f",refine={files['upper']},{files['lower']}"))
    shares, mended = refined.read(np.zeros((2, 256, 256, 3), np.uint8))
    patch = (torch.tensor(shares) + torch.tensor([0.5, 0.5, 0])) * 256
    upper = refined.refiner.upper(patch)
    np.testing.assert_allclose(mended[:, 1:, :2] * 1000, (upper[:, 1:, :2] - upper[:, :1, :2]).detach(), rtol=1e-4, atol=1e-2)
    lower = refined.refiner.lower((upper[:, 1:] - upper[:, :1]).flatten(1)).reshape(2, 16, 3)
    np.testing.assert_allclose(mended[:, 1:, 2] * 1000, lower[..., 2].detach(), rtol=1e-4, atol=1e-2)
    assert not mended[:, 0].any()
    a, b = (estimator(images[:1], BOXES[:1], [CAMERA])[0] for estimator in (plain, refined))
    np.testing.assert_allclose(a.points, b.points, atol=1e-3)
    assert np.abs(a.relative - b.relative).max() > 1e-3


# ---- checkpoints


@pytest.mark.parametrize(("joints", "skeleton"), [(18, H36M18), (21, MUCO21), (17, MUPOTS17), (19, COCO19), (16, MPII16)])
def test_posenet_has_the_joints_of_its_snapshot(tmp_path, joints, skeleton):
    path = published.save(tmp_path / "snapshot_24.pth.tar", published.posenet(joints), "network")
    assert parts.make("pose", f"posenet:weights={path}", device="cpu").skeleton == skeleton


def test_the_joint_sets_convert():
    points = np.random.default_rng(0).normal(size=(4, 18, 3))
    moved, _ = convert(points, np.ones((4, 18)), H36M18, H36M17)
    np.testing.assert_allclose(moved, points[:, :17], rtol=1e-5)
    assert [H36M18.mirror[i] for i in (1, 2, 3, 14, 15, 16)] == [4, 5, 6, 11, 12, 13]
    assert [MUCO21.mirror[i] for i in (2, 3, 4, 8, 9, 10, 17, 19)] == [5, 6, 7, 11, 12, 13, 18, 20]


@pytest.mark.parametrize("spec", ["posenet:weights={senet}", "senet:weights={posenet}", "posenet:weights={posenet},root={posenet}",
                                  "rootnet:weights={upper}", "senet:weights={senet},refine={lower},{upper}"])
def test_a_file_of_another_network_is_one_line_that_names_the_odd_keys(files, spec):
    with pytest.raises(InputError, match=r"do not fit: \d+ \(.*missing; \d+ \(.* unknown") as caught:
        parts.make("pose", spec.format(**files), device="cpu")
    assert "\n" not in str(caught.value)


def test_what_else_a_user_can_get_wrong(files, tmp_path):
    for spec, message in ((f"senet:weights={files['senet']},refine={files['upper']}", "expected two files"),
                          (f"posenet:weights={published.save(tmp_path / 'a.pth', published.posenet(5))}", "5 joints is not known"),
                          (f"senet:weights={published.save(tmp_path / 'b.pth', published.senet(5))}", "5 joints is not known"),
                          (f"rootnet:weights={files['rootnet']},of=rootnet", "name another"),
                          ("posenet:weights=nowhere.pth.tar", "no weights 'nowhere.pth.tar'")):
        with pytest.raises(InputError, match=message):
            parts.make("pose", spec, device="cpu")
    truncated = tmp_path / "cut.pth.tar"
    truncated.write_bytes(files["posenet"].read_bytes()[:5000])
    with pytest.raises(InputError, match="cannot be read as a checkpoint"):
        parts.make("pose", f"posenet:weights={truncated}", device="cpu")


def test_an_old_file_format_reads_the_same(files, tmp_path):
    network = published.posenet()
    torch.save({"epoch": 24, "network": {f"module.{key}": value for key, value in network.state_dict().items()}, "perf": np.float64(1.0)},
               tmp_path / "old.pth.tar", _use_new_zipfile_serialization=False, pickle_protocol=2)
    old, new = weights.load(tmp_path / "old.pth.tar")[0], weights.load(files["posenet"])[0]
    assert old.keys() == new.keys() and all(torch.equal(old[key], new[key]) for key in new)


# ---- DLA-34


def test_dla_finds_the_same_alone_and_together_inside_the_picture(files, images):
    detector = parts.make("detector", f"centernet:arch=dla34,weights={files['dla']},size=128,threshold=0.01", device="cpu")
    mixed = [*images[:2], images[2][:100, :90]]
    together = detector(mixed)
    assert detector([]) == [] and sum(map(len, together)) > 0
    for image, people in zip(mixed, together, strict=True):
        alone, = detector([image])
        np.testing.assert_allclose(people.boxes, alone.boxes, atol=1e-2)
        np.testing.assert_allclose(people.scores, alone.scores, atol=1e-4)
        height, width = image.shape[:2]
        assert (people.boxes >= 0).all() and (people.boxes <= (width, height, width, height)).all() and (np.diff(people.scores) <= 0).all()


@pytest.mark.parametrize("option", ["flip=true", "keep_res=true", "scales=0.5,1"])
def test_dla_takes_the_authors_options(files, images, option):
    detector = parts.make("detector", f"centernet:arch=dla34,weights={files['dla']},size=128,threshold=0.01,{option}", device="cpu")
    people, = detector([np.ascontiguousarray(images[0][:128, :128])])
    assert len(people) and np.isfinite(people.boxes).all()


def test_dla_options_that_cannot_be(files):
    for spec, message in (("centernet:arch=dla", "no arch 'dla'"), ("centernet:flip=true", "options of arch=dla34"),
                          (f"centernet:arch=dla34,weights={files['dla']},size=100", "multiple of 32"),
                          (f"centernet:arch=dla34,weights={files['senet']}", "do not fit")):
        with pytest.raises(InputError, match=message):
            parts.make("detector", spec, device="cpu")


def test_views_and_suppression():
    matrix, extent = view(640, 480, 512)
    assert extent == (512, 512) and matrix[:, :2].tolist() == [[0.8, 0], [0, 0.8]] and matrix[:, 2].tolist() == [0, 64]
    assert view(512, 300, 512, keep_res=True)[1] == (544, 320), "an exact multiple of 32 gets 32 more"
    twice = np.array([[0, 0, 10, 20, 0.9], [0, 0, 10, 20, 0.8], [50, 50, 60, 70, 0.7]], np.float32)
    kept = soft_nms(twice)
    assert kept[:, 4].tolist() == pytest.approx([0.9, 0.7, 0.8 * np.exp(-2)]) and len(soft_nms(np.zeros((0, 5)))) == 0
