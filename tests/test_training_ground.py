"""What all trainings stand on: pictures on the device, worn looks, graphs of public networks, the appearance network's lessons."""

import pathlib

import cv2
import numpy as np
import pytest
import torch

from core import runtime
from core.errors import InputError
from core.geometry import crop_matrix, warp
from training import appearance, graphs, looks
from training.datasets import people
from training.gallery import Gallery, apply, invert

WEIGHTS = pathlib.Path(__file__).resolve().parents[2] / "shared" / "weights"


def picture(seed, width, height):
    """Soft blotches: what resampling should not change."""
    small = np.random.default_rng(seed).integers(0, 255, (9, 9, 3)).astype(np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize(("scale", "angle"), [(1.25, 0.0), (0.8, 0.6), (3.5, -1.2)])
def test_crops_of_a_gallery_are_those_of_the_application(scale, angle):
    images = [picture(0, 200, 150), picture(1, 120, 160)]
    matrices = [crop_matrix((30, 20, 100, 140), (96, 128), scale, angle) for _ in images]
    crops = Gallery(images).crops(torch.tensor([0, 1]), torch.tensor(np.array(matrices), dtype=torch.float32), (96, 128))
    for crop, image, matrix in zip(crops, images, matrices, strict=True):
        expected = warp(image, matrix, (96, 128)).transpose(2, 0, 1)
        assert np.abs(crop.numpy() - expected).mean() < 2
        assert (np.abs(crop.numpy() - expected) > 12).mean() < 0.03  # along the picture's edges


def test_a_gallery_of_files_gives_the_crops_of_their_pictures():
    images = [picture(0, 200, 150), picture(1, 120, 160)]
    files = [cv2.imencode(".png", image[..., ::-1])[1].ravel() for image in images]
    rows, matrices = torch.tensor([1, 0, 1]), torch.tensor([[[0.9, 0.1, 3], [-0.1, 0.9, 5]]]).repeat(3, 1, 1)
    kept, read = (Gallery(those) for those in (images, files))
    assert torch.equal(kept.crops(rows, matrices, (96, 128)), read.crops(rows, matrices, (96, 128)))
    assert torch.equal(kept.sizes, read.sizes) and read.sizes.tolist() == [[200, 150], [120, 160]]


def test_outside_of_a_picture_is_its_border():
    gallery = Gallery([np.zeros((20, 30, 3), np.uint8), np.full((40, 40, 3), 9, np.uint8)], border=114)
    crop = gallery.crops(torch.tensor([0]), torch.tensor([[[1.0, 0, 0], [0, 1, 0]]]), (64, 64))[0, 0]
    assert (crop[:19, :29] < 1).all() and (crop[22:] == 114).all() and (crop[:, 32:] == 114).all()


def test_crop_and_undo_is_the_identity():
    matrices = torch.tensor(np.array([crop_matrix((3, 4, 90, 70), (64, 64), 1.2, 0.5)]), dtype=torch.float32)
    points = torch.rand(1, 7, 2) * 50
    assert torch.allclose(apply(invert(matrices), apply(matrices, points)), points, atol=1e-3)


@pytest.mark.parametrize("change", [looks.blur, looks.streak, looks.coarse, looks.jpeg, looks.noise, looks.colour, looks.degrade])
def test_worn_pictures_are_still_those_pictures(change):
    x = torch.from_numpy(np.stack([picture(i, 96, 128).transpose(2, 0, 1) for i in range(8)])).float()
    before = x.clone()
    first, again = (change(x, looks.Draw(5, "cpu")) for _ in range(2))
    assert torch.equal(x, before) and torch.equal(first, again) and first.shape == x.shape
    assert (first != x).any() and torch.isfinite(first).all()
    centred = [v.flatten(1) - v.flatten(1).mean(1, keepdim=True) for v in (first, x)]
    assert torch.nn.functional.cosine_similarity(*centred).median() > 0.75


def test_jpeg_is_that_of_a_real_encoder():
    """As far from the original as OpenCV's of the same qualities, within a half."""
    image = np.clip(picture(3, 128, 128).astype(int) + np.random.default_rng(0).normal(0, 12, (128, 128, 1)), 0, 255).astype(np.uint8)
    x = torch.from_numpy(image.transpose(2, 0, 1)).float().repeat(16, 1, 1, 1)
    ours = (looks.jpeg(x, looks.Draw(0, "cpu")) - x).abs().mean()
    theirs = np.mean([np.abs(cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, q])[1], 1).astype(int) - image).mean()
                      for q in range(10, 61, 10)])
    assert 0.5 < float(ours) / theirs < 1.5


def test_hidden_spots_keep_the_rest():
    x, joints = torch.full((40, 3, 64, 48), 50.0), torch.ones(40, 21, 3) * 20
    worn = looks.cut_out(x, joints, looks.Draw(0, "cpu"), share=1.0)
    changed = (worn != x).any(1).float().mean((1, 2))
    assert (changed > 0).all() and changed.max() < 0.6
    assert torch.equal(looks.cut_out(x, joints, looks.Draw(0, "cpu"), share=0.0), x)


@pytest.mark.shared
@pytest.mark.skipif(not WEIGHTS.is_dir(), reason="needs the public networks of ../shared/weights")
@pytest.mark.parametrize(("name", "shape"), [("rtmdet_nano_person.onnx", (640, 640)), ("yolox_nano_416.onnx", (416, 416))])
def test_graphs_give_what_the_original_runtime_gives(name, shape):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    session = runtime.InferenceSession(str(WEIGHTS / name))
    x = torch.randn(2, 3, *shape)
    for row, found in enumerate(zip(*graphs.load(WEIGHTS / name)(x), strict=True)):
        expected = session.run(None, {session.get_inputs()[0].name: x[row : row + 1].numpy()})
        for mine, theirs in zip(found, expected, strict=True):
            assert np.allclose(mine.numpy(), theirs[0], atol=5e-3, rtol=1e-3)


@pytest.mark.shared
@pytest.mark.skipif(not WEIGHTS.is_dir(), reason="needs the public networks of ../shared/weights")
@pytest.mark.parametrize(("name", "shape"), [("tinypose_256_192_fp16.xml", (3, 256, 192)), ("reid_retail_0277_FP16.xml", (3, 256, 128))])
def test_openvino_graphs_give_what_openvino_gives(name, shape):
    pytest.importorskip("openvino")
    network = runtime.compile_model(str(WEIGHTS / name))
    x = torch.randn(2, *shape)
    mine = graphs.load(WEIGHTS / name, ["conv2d_441.tmp_1"] if "tinypose" in name else None)(x)[0]
    for row in range(2):
        found = network(x[row : row + 1].numpy())
        theirs = found["conv2d_441.tmp_1"] if "tinypose" in name else list(found.values())[0]
        assert np.allclose(mine[row].numpy().ravel(), theirs[0].ravel(), atol=1e-4)


@pytest.mark.parametrize(("made", "says"), [((), "net.xml: no such network"), (("net.xml",), "net.bin: no such network")])
@pytest.mark.parametrize("read", [graphs.load, graphs.fastest, graphs.by_openvino])
def test_a_network_that_is_not_there_is_one_line(tmp_path, read, made, says):
    for name in made:
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=says) as caught:
        read(tmp_path / "net.xml")
    assert "\n" not in str(caught.value)


def crowd(count=12):
    boxes = np.tile([20.0, 10, 70, 110], (count, 1))
    return people.made([picture(i, 90, 120) for i in range(count)], boxes, np.zeros((count, 21, 3)), "lspet")


def test_a_person_is_more_like_another_view_than_like_others():
    group = appearance.Crowd(crowd(), torch.device("cpu"))
    rows = torch.arange(12)
    first, second = (group.view(rows, looks.Draw(seed, "cpu")).flatten(1) for seed in (1, 2))
    first, second = (torch.nn.functional.normalize(v - v.mean(0), dim=1) for v in (first, second))
    assert (first @ second.T).argmax(1).eq(rows).float().mean() > 0.3  # chance: one in twelve; they are mirrored and half hidden


def test_the_appearance_loss_is_least_for_equal_views_and_follows_the_teacher():
    class Echo(torch.nn.Module):
        def forward(self, x):
            return torch.nn.functional.normalize(x.flatten(1), dim=1)

    first, second = torch.randn(2, 8, 3, 4, 2)
    assert appearance.loss(Echo(), [first, first], None) < appearance.loss(Echo(), [first, second], None) - 1
    own = torch.nn.functional.normalize(first.flatten(1), dim=1)
    same, other = (appearance.loss(Echo(), [first, first], known) for known in (own, own.roll(1, 0)))
    assert same < other


@pytest.mark.slow
def test_the_appearance_trainer_writes_weights(tmp_path):
    from torchvision.models import mobilenet_v2

    from core.networks import fuse
    from trackers._embednet import EmbedNet
    from weights import load, load_strict

    torch.save({f"features.{name}": value for name, value in mobilenet_v2().features.state_dict().items()}, tmp_path / "start.pt")
    people.save(crowd(), tmp_path / "pack.npz")
    appearance.main(["--packed", str(tmp_path / "pack.npz"), "--init", str(tmp_path / "start.pt"), "--state", str(tmp_path / "state.pt"),
                     "--epochs", "1", "--steps", "2", "--batch", "8", "--device", "cpu", "--output", str(tmp_path / "a.safetensors")])
    state, header = load(tmp_path / "a.safetensors")
    vectors = load_strict(fuse(EmbedNet()), state, "a")(torch.randn(2, 3, 128, 64))
    assert header["network"] == "EmbedNet" and torch.allclose(vectors.norm(dim=1), torch.ones(2), atol=1e-5)
