"""Score VideoPose3D in the published manner: `python -m training.evaluate videopose3d --checkpoint pretrained_h36m_cpn.bin -k cpn_ft_h36m_dbb`.

Prints the errors of every action, then the authors' table with what was found here beside the published figures. Takes all flags of
`python -m training videopose3d`; what is evaluated is --checkpoint FILE, or --evaluate NAME in the folder of the checkpoints.
"""

import numpy as np

from training import lifting_flags, videopose3d
from training.evaluation import panels

# 2D detections, kind of file, boxes, blocks, frames, MPJPE and PA-MPJPE in mm on Human3.6M, S9 and S11
TABLE = (("CPN", "cpn_ft_h36m_dbb", "Mask R-CNN", 4, 243, 46.8, 36.5), ("CPN", "", "ground truth", 4, 243, 47.1, 36.8),
         ("CPN", "", "ground truth", 3, 81, 47.7, 37.2), ("CPN", "", "ground truth", 2, 27, 48.8, 38.0),
         ("Mask R-CNN", "detectron_ft_h36m", "Mask R-CNN", 4, 243, 51.6, 40.3), ("ground truth", "gt", "-", 4, 243, 37.2, 27.2))
HUMANEVA = (("Mask R-CNN", "detectron_pt_coco", "Mask R-CNN", 2, 27, 28.6, None),)  # Walk, Jog, Box of three subjects
COLUMNS = "{:14}{:14}{:>7}{:>8}{:>10}{:>8}{:>10}{:>8}"


def table(data, frames, means):
    """The authors' table as text, `means` {error's name: mm} in the line of this kind of 2D and number of frames; one of its own where none is."""
    human = data.name == "h36m"
    rows = [(*row, "", "") for row in (TABLE if human else HUMANEVA)]
    here = tuple(f"{means[name]:.1f}" for name in ("MPJPE", "PA-MPJPE"))
    at = next((i for i, row in enumerate(rows) if row[1] == data.keypoints and row[4] == frames), None)
    if at is None:
        rows.append((data.keypoints, data.keypoints, "", "", frames, None, None, *here))
    else:
        rows[at] = (*rows[at][:7], *here)
    where = "Human3.6M, S9 and S11" if human else "HumanEva-I, Walk, Jog, Box of Validate/S1-S3"
    lines = [f"published for {where}: mm; its authors call MPJPE protocol 1, PA-MPJPE protocol 2",
             COLUMNS.format("2D", "boxes", "blocks", "frames", "MPJPE", "here", "PA-MPJPE", "here")]
    for name, _, boxes, blocks, count, first, second, mine, aligned in rows:
        lines.append(COLUMNS.format(name[:13], boxes, blocks, count, *(cell if cell is not None else "-" for cell in (first, mine, second, aligned))))
    return "\n".join(lines)


def main(argv=None):
    options = videopose3d.arguments(argv, "training.evaluate videopose3d")
    reader, data = videopose3d.opened(options, lifting_flags.evaluated_file(options))
    if options.render:
        return panels.render(reader, data, options)
    found = [table_.means() for table_ in videopose3d.show(reader, data, options).values()]
    means = {name: float(np.mean([row[name] for row in found])) for name in found[0]}
    print("\n" + table(data, reader.networks[0].receptive_field, means))
    return None
