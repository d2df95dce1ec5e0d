"""Several people in one picture and in one space, side by side."""

import matplotlib
import numpy as np

from training.crops import picture


def people_in_space(path, image, skeleton, points, joints):
    """Write a PNG: the picture with points (M, J, 2) px, and joints (M, J, 3) m in camera axes seen from above the camera's shoulder."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(10, 5), dpi=90)
    flat, space = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2, projection="3d")
    flat.imshow(picture(image))
    flat.set_axis_off()
    colours = pyplot.get_cmap("tab10")(np.arange(len(points)) % 10)
    for i, colour in enumerate(colours):
        for a, b in skeleton.bones:
            flat.plot(*points[i, [a, b]].T, color=colour, linewidth=1.5)
            x, y, z = joints[i, [a, b]].T
            space.plot(x, z, -y, color=colour, linewidth=2)
    space.set_xlabel("x, m")
    space.set_ylabel("depth, m")
    space.set_zlabel("up, m")
    if np.isfinite(joints).all():
        space.set_box_aspect(np.maximum(np.ptp(joints.reshape(-1, 3), axis=0)[[0, 2, 1]], 0.5))
    space.view_init(elev=12, azim=-75)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
