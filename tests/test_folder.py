"""What a folder run finds and how it names things; places on stores; faults of the request as one line."""

import zipfile

import fsspec
import pytest

from app import folder, places
from app.cli import main
from app.settings import Settings
from core.errors import InputError


def tree(path, *names):
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(b"x")
    return path


def found(path, out, **options):
    return folder.jobs(folder.Request(str(path), str(out), **options), Settings())


def test_videos_of_any_kind_are_found_in_folders_below(tmp_path):
    tree(tmp_path / "in", "b.MOV", "a.mp4", "sub/deep/c.webm", "notes.txt", "._a.mp4", ".cache/d.mp4", "e.partial.mp4")
    assert [job.name for job in found(tmp_path / "in", tmp_path / "out")] == ["a.mp4", "b.MOV", "sub/deep/c.webm"]


def test_a_pattern_is_of_names_below_the_folder(tmp_path):
    tree(tmp_path / "in", "a.mp4", "sub/b.mp4", "sub/c.mov", "sub/deep/d.mp4")
    names = {pattern: [job.name for job in found(tmp_path / "in", tmp_path / "out", pattern=pattern)] for pattern in ("**/*.mp4", "*.mp4", "sub/*")}
    assert names == {"**/*.mp4": ["a.mp4", "sub/b.mp4", "sub/deep/d.mp4"], "*.mp4": ["a.mp4"], "sub/*": ["sub/b.mp4", "sub/c.mov"]}


def test_results_in_the_folder_itself_are_no_videos(tmp_path):
    tree(tmp_path, "a.mp4", "out/a.gif", "out/sub/a.mp4")
    assert [job.name for job in found(tmp_path, tmp_path / "out")] == ["a.mp4"]


@pytest.mark.parametrize(("names", "results"), [
    (["a.mp4", "sub/a.mp4"], ["a", "sub/a"]), (["a.mp4", "a.mov", "b.mp4"], ["a.mp4", "a.mov", "b"]), (["v1.2.mp4"], ["v1.2"]),
    (["a.mp4", "a.mov", "a.mp4.mov"], ["a.mp4", "a.mov", "a.mp4.mov"]), (["A.mp4", "a.mov"], ["A.mp4", "a.mov"])])
def test_no_result_overwrites_another(names, results):
    assert list(folder.result_names(names).values()) == results


def refused(capsys, *argv):
    assert main([str(word) for word in argv]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_faults_of_the_request_are_one_line(capsys, tmp_path):
    source, out = tree(tmp_path / "in", "a.mp4", "notes.txt"), tmp_path / "out"
    call = ["--folder", source, "--output-dir", out]
    assert "--output-dir is missing" in refused(capsys, "--folder", source)
    assert "--folder is missing" in refused(capsys, "--output-dir", out)
    assert "no such folder" in refused(capsys, "--folder", tmp_path / "nowhere", "--output-dir", out)
    assert "like *.mkv" in refused(capsys, *call, "--pattern", "*.mkv")
    assert "avi" in refused(capsys, *call, "--format", "npz,avi")
    assert "a folder of their own" in refused(capsys, "--folder", source, "--output-dir", source)
    assert "--output does not go with --folder" in refused(capsys, *call, "--output", "x.gif")
    assert "--engine 'slurm'" in refused(capsys, *call, "--engine", "slurm")
    assert "above 0" in refused(capsys, *call, "--workers", "0")
    assert "one worker a GPU" in refused(capsys, *call, "--workers", "3", "--gpus", "0,1")
    assert "--engine ray" in refused(capsys, *call, "--address", "auto")
    assert "no tracker 'nobody'" in refused(capsys, *call, "--tracker", "nobody")
    assert "nosuchstore" in refused(capsys, "--folder", "nosuchstore://bucket", "--output-dir", out)
    assert not out.exists()


def test_an_input_is_never_overwritten(tmp_path):
    tree(tmp_path, "clips/b.mp4", "clips/clips/b.mov")
    with pytest.raises(InputError, match=r"clips/b\.mp4 would be overwritten"):
        found(tmp_path / "clips", tmp_path, formats=("mp4",))


def test_places_on_a_store():
    place = places.join("memory://clips", "sub/a.mp4")
    places.write(place, b"12345")
    assert place == "memory://clips/sub/a.mp4" and places.listing("memory://clips") == ["sub/a.mp4"]
    assert places.read(place) == b"12345" and places.size(place) == 5
    assert places.read("memory://clips/none") is None and places.version("memory://clips/none") is None
    places.remove("memory://clips")
    with pytest.raises(InputError, match="no such folder"):
        places.listing("memory://clips")


def test_what_is_sent_is_seen_when_it_is_whole(tmp_path, monkeypatch):
    memory, seen = fsspec.get_filesystem_class("memory"), []

    def put(store, path, target, real=memory.put_file):
        real(store, path, target)
        seen.append(store.find("/sent"))

    monkeypatch.setattr(memory, "put_file", put)
    (tmp_path / "a.mp4").write_bytes(b"whole")
    places.publish(tmp_path / "a.mp4", "memory://sent/a.mp4")
    assert seen == [["/sent/a.partial.mp4"]] and places.listing("memory://sent") == ["a.mp4"]
    places.remove("memory://sent")


def test_a_version_changes_with_its_file(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"1")
    first = places.version(tmp_path / "a.mp4")
    assert places.version(tmp_path / "a.mp4") == first
    (tmp_path / "a.mp4").write_bytes(b"12")
    assert places.version(tmp_path / "a.mp4") != first


def test_videos_in_an_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "clips.zip", "w") as archive:
        for name in ("a.mp4", "sub/b.mp4"):
            archive.writestr(name, name)
    jobs = found(f"zip://::file://{tmp_path}/clips.zip", tmp_path / "out")
    assert [job.name for job in jobs] == ["a.mp4", "sub/b.mp4"]
    path = places.fetch(jobs[1].source, tmp_path)
    assert path == str(tmp_path / "b.mp4") and (tmp_path / "b.mp4").read_text() == "sub/b.mp4"
