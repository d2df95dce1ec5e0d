"""Files that get their names when they are whole."""

import numpy as np
import pytest

from core.files import partial_of, save_arrays, whole


def test_a_file_has_its_name_when_it_is_whole(tmp_path):
    with whole(tmp_path / "new" / "a.b.npz") as partial:
        partial.write_text("half")
        assert partial == partial_of(tmp_path / "new" / "a.b.npz") and partial.suffix == ".npz"
        assert not (tmp_path / "new" / "a.b.npz").exists()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.b.npz"]


def test_what_failed_leaves_the_former_file_alone(tmp_path):
    (tmp_path / "a.csv").write_text("former")
    with pytest.raises(OSError, match="full"), whole(tmp_path / "a.csv") as partial:
        partial.write_text("half")
        raise OSError("disk full")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["former"]


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("name", ["people.npz", "people", "people.pack"])
def test_arrays_lie_under_just_the_name_that_was_given(tmp_path, name, compress):
    save_arrays(tmp_path / "new" / name, compress=compress, points=np.arange(6).reshape(2, 3), fps=30.0)
    assert [path.name for path in (tmp_path / "new").iterdir()] == [name]
    kept = np.load(tmp_path / "new" / name)
    assert kept["points"].tolist() == [[0, 1, 2], [3, 4, 5]] and kept["fps"] == 30.0
