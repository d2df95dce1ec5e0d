"""What a training leaves to look at: `log.csv`, TensorBoard's files where that is asked for, and curves as PNG."""

import csv
import importlib.util
import io
import pathlib

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from core.errors import InputError
from core.files import whole


class Journal:
    """Figures of every epoch in `folder`. With `tensorboard` also as its event files, in the same folder, or in that called `stem` inside.

    `stem` begins the name of the log. Raises InputError where the folder cannot be made or the package tensorboard is not installed.
    """

    def __init__(self, folder, tensorboard=False, stem=""):
        self.folder, self.board, self.stem = pathlib.Path(folder), None, stem
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder}: no such folder can be made ({error.strerror})") from error
        if tensorboard:
            self._need_tensorboard()
        self.tensorboard = tensorboard

    def _need_tensorboard(self):
        if importlib.util.find_spec("tensorboard") is None:
            raise InputError("--tensorboard needs the package tensorboard: `make training` installs it; log.csv is written without it")

    def write(self, history):
        """Log the last of the epochs [{"epoch": n, name: figure}]; log.csv always holds them all, and no others."""
        names = list(dict.fromkeys(name for row in history for name in row))
        text = io.StringIO()
        table = csv.DictWriter(text, names, restval="", lineterminator="\n")
        table.writeheader()
        table.writerows(history)
        with whole(self.folder / f"{self.stem}log.csv") as partial:
            partial.write_text(text.getvalue(), encoding="utf-8")
        if self.tensorboard:
            self._tell(history[-1])

    def _tell(self, row):
        if self.board is None:
            from torch.utils.tensorboard import SummaryWriter

            self.board = SummaryWriter(str(self.folder / self.stem.rstrip("_")), purge_step=row["epoch"])
        for name, value in row.items():
            if name != "epoch":
                self.board.add_scalar(name, value, row["epoch"])
        self.board.flush()


def draw_curves(history, path, names, label, skip=0):
    """A PNG of some figures over the epochs, without the first `skip` ones, whose size would hide the rest; nothing where there are none."""
    rows = [row for row in history if row["epoch"] > skip]
    there = [name for name in names if any(name in row for row in rows)]
    if not there:
        return
    figure = Figure((6.4, 4.2), 120, layout="constrained")
    axes = figure.add_subplot()
    for name in there:
        points = [(row["epoch"], row[name]) for row in rows if name in row]
        axes.plot(*zip(*points, strict=True), marker="." if len(points) < 40 else "", label=name)
    axes.set(xlabel="epoch", ylabel=label)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    FigureCanvasAgg(figure).print_png(str(path))
