"""Weights by name: bundled, cached, downloaded from a local server, and refused."""

import functools
import hashlib
import http.server
import io
import pathlib
import threading
import zipfile

import pytest
import torch

import weights
from core.errors import InputError
from weights import __main__ as commands
from weights import _files
from weights.__main__ import main

CONTENT = b"weights" * 1000
HASH = hashlib.sha256(CONTENT).hexdigest()


def archive(*names, content=CONTENT):
    """The bytes of a zip with the same content under each name."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in names:
            packed.writestr(name, content)
    return file.getvalue()


def flipped(content, place):
    return content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :]


ZIPPED = archive("2023/folder/end2end.onnx", "2023/folder/detail.json")
FILES = {"/good": CONTENT, "/cut": CONTENT, "/zip": ZIPPED, "/twice": archive("a/end2end.onnx", "b/end2end.onnx"), "/other": archive("a/b.onnx"),
         "/outside": archive("../../end2end.onnx"), "/damaged": flipped(ZIPPED, 70), "/large": archive("end2end.onnx", content=bytes(100_000))}


class Server(http.server.BaseHTTPRequestHandler):
    """FILES by path; /cut promises everything and stops halfway, all else does not exist."""

    requests = 0

    def do_GET(self):  # noqa: N802 (the name that http.server calls)
        type(self).requests += 1
        if self.path not in FILES:
            return self.send_error(404)
        content = FILES[self.path]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content if self.path != "/cut" else content[: len(content) // 2])
        return None

    def log_message(self, *_):
        pass


@pytest.fixture
def address():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    Server.requests = 0
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def entry(origin, sha256=HASH, member=""):
    return _files.Entry(name="thing", file="thing.bin", origin=origin, licence="Public Domain", role="test", sha256=sha256, member=member)


@pytest.fixture
def known(monkeypatch):
    """A manifest of the entries that the test gives."""
    def install(row):
        for module in (_files, commands):
            monkeypatch.setattr(module, "manifest", functools.cache(lambda: {row.name: row}))
    return install


def test_a_download_is_checked_and_kept(address, known, tmp_path):
    known(entry(address + "/good"))
    path = weights.resolve("thing", tmp_path)
    assert path == tmp_path / "thing.bin" and path.read_bytes() == CONTENT
    assert weights.resolve("thing.bin", tmp_path) == path and Server.requests == 1
    assert [p.name for p in tmp_path.iterdir()] == ["thing.bin"]


@pytest.mark.parametrize("start", ["", HASH[:8]])
def test_an_unknown_hash_is_recorded_and_said_then_held_to(address, known, tmp_path, capsys, start):
    known(entry(address + "/good", sha256=start))
    path = weights.resolve("thing", tmp_path)
    assert (tmp_path / "thing.bin.sha256").read_text().strip() == HASH
    error = capsys.readouterr().err
    assert HASH in error and "first time" in error and "Public Domain" in error
    assert weights.resolve("thing", tmp_path) == path
    assert "first time" not in capsys.readouterr().err
    path.write_bytes(b"another")
    with pytest.raises(InputError, match="damaged or another file"):
        weights.resolve("thing", tmp_path)
    assert _files.fetch(_files.lookup("thing"), tmp_path).read_bytes() == CONTENT, "fetch mends what is damaged"


@pytest.mark.parametrize(("path", "sha256", "what"), [
    ("/good", "0" * 64, "damaged or another file"), ("/good", "01234567", "damaged or another file"),
    ("/cut", HASH, "cut after|IncompleteRead"), ("/none", HASH, "404")])
def test_a_bad_download_leaves_nothing_and_says_what_to_do(address, known, tmp_path, path, sha256, what):
    known(entry(address + path, sha256))
    with pytest.raises(InputError, match=what) as caught:
        weights.resolve("thing", tmp_path)
    text = str(caught.value)
    assert all(word in text for word in ("thing.bin", address, "Public Domain", "python -m weights fetch thing", str(tmp_path))) and "\n" not in text
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_taken_out_of_its_archive(address, known, tmp_path):
    known(entry(address + "/zip", member="end2end.onnx"))
    path = weights.resolve("thing", tmp_path)
    assert path.read_bytes() == CONTENT and [p.name for p in tmp_path.iterdir()] == ["thing.bin"]
    assert weights.resolve("thing", tmp_path) == path and Server.requests == 1


def test_the_names_in_an_archive_lead_nowhere(address, known, tmp_path):
    known(entry(address + "/outside", member="end2end.onnx"))
    folder = tmp_path / "a" / "b"
    assert weights.resolve("thing", folder).read_bytes() == CONTENT
    assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()] == ["a/b/thing.bin"]


@pytest.mark.parametrize(("path", "what"), [
    ("/good", "not a readable zip archive"), ("/damaged", "not a readable zip archive"), ("/twice", "holds 2 end2end.onnx"),
    ("/other", "holds no end2end.onnx"), ("/large", "would be"), ("/none", "404")])
def test_an_archive_that_is_not_right_leaves_nothing(address, known, tmp_path, monkeypatch, path, what):
    monkeypatch.setattr(_files, "LARGEST", 50_000)
    known(entry(address + path, member="end2end.onnx"))
    with pytest.raises(InputError, match=what) as caught:
        weights.resolve("thing", tmp_path)
    assert "put end2end.onnx of its archive at" in str(caught.value) and "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_offline_says_where_the_file_is_to_be_had(known, tmp_path):
    known(entry("http://127.0.0.1:9/closed"))
    with pytest.raises(InputError, match="could not be downloaded.*127.0.0.1:9/closed.*Public Domain"):
        weights.resolve("thing", tmp_path)


def test_a_manual_file_is_asked_for_and_taken_once_it_is_there(known, tmp_path):
    known(entry("manual: the author's page", sha256=""))
    with pytest.raises(InputError, match="source: the author's page; licence: Public Domain; put the file at"):
        weights.resolve("thing", tmp_path)
    (tmp_path / "thing.bin").write_bytes(CONTENT)
    assert weights.resolve("thing", tmp_path).read_bytes() == CONTENT


def test_an_unwritable_folder_is_one_line(address, known, tmp_path):
    known(entry(address + "/good"))
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(InputError, match="could not be downloaded"):
        weights.resolve("thing", tmp_path / "file" / "cache")


def test_paths_come_first_and_folders_follow_the_environment(monkeypatch, tmp_path):
    given = tmp_path / "mine.bin"
    given.write_bytes(b"x")
    assert weights.resolve(given) == given
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("SKELETONS_WEIGHTS", raising=False)
    assert _files.cache_folder() == tmp_path / "xdg" / "skeletons" / "weights"
    monkeypatch.setenv("SKELETONS_WEIGHTS", str(tmp_path))
    assert _files.cache_folder() == tmp_path and _files.cache_folder("given") == pathlib.Path("given")


def test_an_unknown_name_and_a_missing_bundled_file(known, tmp_path):
    with pytest.raises(InputError, match="python -m weights list"):
        weights.resolve("no-such-thing")
    known(_files.Entry(name="thing", file="none.safetensors", origin="bundled", licence="x", role="y"))
    with pytest.raises(InputError, match="git checkout"):
        weights.resolve("thing")


def test_the_manifest_is_complete_and_guesses_nothing():
    rows = weights.manifest().values()
    assert len({row.file for row in rows}) == len(rows), "two files of one name would meet in the cache"
    for row in rows:
        assert row.bundled or row.url or row.origin.startswith("manual: "), row.name
        assert row.licence and row.role and len(row.sha256) in (0, 8, 64), row.name
        if row.bundled and (_files.FOLDER / row.file).is_file() and row.sha256:
            assert _files.fault(row, _files.FOLDER / row.file) is None, row.name
    names = " ".join(row.name for row in rows)
    for system in ("videopose3d-", "anatomy3d-", "rie-", "posenet-", "rootnet-", "senet-", "centernet-", "deepsort-", "keypointrcnn", "pose-body21"):
        assert system in names


def test_the_commands(address, known, tmp_path, capsys):
    known(entry(address + "/good", sha256=""))
    folder = ["--weights-dir", str(tmp_path)]
    with pytest.raises(SystemExit):
        main([])
    assert main([*folder, "fetch", "nothing"]) == 2 and "no weights 'nothing'" in capsys.readouterr().err
    assert main([*folder, "verify", "thing"]) == 1
    assert main([*folder, "fetch", "thing"]) == 0
    assert main([*folder, "verify"]) == 0 and f"ok {HASH}" in capsys.readouterr().out
    (tmp_path / "thing.bin").write_bytes(b"damaged")
    assert main([*folder, "verify"]) == 1 and "expected" in capsys.readouterr().out
    with pytest.raises(ValueError, match="not finite in half precision: 1 \\(b\\)"):
        weights.save(tmp_path / "a.safetensors", {"a": torch.ones(2), "b": torch.tensor([1.0, 1e5])}, {})
    assert not list(tmp_path.glob("a.*"))
    weights.save(tmp_path / "a.safetensors", {"a": torch.ones(2)}, {"skeleton": "body21"})
    assert main(["info", str(tmp_path / "a.safetensors")]) == 0
    assert "skeleton = body21" in capsys.readouterr().out


def test_what_is_bundled_is_in_the_box():
    missing = [row.file for row in weights.manifest().values() if row.bundled and not (_files.FOLDER / row.file).is_file()]
    assert not missing


def test_the_list_names_every_licence(capsys):
    assert main(["list"]) == 0
    text = capsys.readouterr().out
    assert all(row.name in text and row.licence in text for row in weights.manifest().values())


def test_kept_in_holds_for_every_part_and_only_within(tmp_path, monkeypatch):
    monkeypatch.setenv("SKELETONS_WEIGHTS", str(tmp_path / "usual"))
    with weights.kept_in(tmp_path / "chosen"):
        assert _files.cache_folder() == tmp_path / "chosen"
    assert _files.cache_folder() == tmp_path / "usual"
