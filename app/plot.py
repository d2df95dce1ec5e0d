"""The 3D view as in papers: matplotlib, white, one axis a metre is a metre on. Several times slower than `scene3d`."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Line3DCollection
from mpl_toolkits.mplot3d.proj3d import proj_transform

from app.mannequin import mannequin
from app.shapes import identity_colour, mix, shades

_DPI = 100


class Plot:
    """Draws people of one 3D skeleton into a picture; takes the same as `scene3d.Scene`."""

    def __init__(self, view, skeleton):
        self.view, self.skeleton = view, skeleton
        inches = (view.width + 0.1) / _DPI, (view.height + 0.1) / _DPI  # matplotlib cuts the product to whole pixels
        figure = Figure(inches, _DPI, facecolor="white")
        self._canvas, self._axes, self._drawn = FigureCanvasAgg(figure), paper_axes(figure, view), []

    def draw(self, image, people, time=0.0):
        """Fill the picture (H, W, 3) uint8 RGB, of the view's size, with the scene at `time` seconds."""
        for artist in self._drawn:
            artist.remove()
        self._drawn = draw_people(self._axes, people, self.skeleton, self.view.height / 480)
        self._axes.azim = np.degrees(self.view.heading + self.view.turn * time) + 180
        self._canvas.draw()
        np.copyto(image, np.asarray(self._canvas.buffer_rgba())[..., :3])


def paper_axes(figure, view):
    """3D axes that hold the view's scene, equal in all directions."""
    axes = figure.add_axes((0, 0, 1, 1), projection="3d", computed_zorder=False)
    reach, top = view.radius, max(2 * view.centre[2] + 0.1, 1.8)
    axes.set(xlim=view.centre[0] + np.array([-reach, reach]), ylim=view.centre[1] + np.array([-reach, reach]), zlim=(0, top))
    axes.view_init(elev=np.degrees(view.elevation), azim=np.degrees(view.heading) + 180)
    zoom = 1.0
    for _ in range(3):  # perspective: the size on the page does not quite grow with the zoom
        axes.set_box_aspect((2 * reach, 2 * reach, top), zoom=zoom)
        zoom *= 0.94 / _extent(axes, view.turn != 0)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_pane_color((0.97, 0.97, 0.98, 1))
        axis.line.set_color((0.6, 0.6, 0.6))
        axis.set_tick_params(color=(0, 0, 0, 0))
        axis.set_ticklabels([])
    return axes


def _extent(axes, turning):
    """The larger share of the figure's width and height that the box of the axes takes, at every angle when it turns."""
    corners = np.array(np.meshgrid(axes.get_xlim(), axes.get_ylim(), axes.get_zlim())).reshape(3, -1)
    azimuth, shares = axes.azim, []
    axes.apply_aspect()
    for angle in range(0, 360, 30) if turning else (0,):
        axes.azim = azimuth + angle
        x, y, _ = proj_transform(*corners, axes.get_proj())
        pixels = axes.transData.transform(np.stack([x, y], -1))
        shares.append(np.abs(2 * pixels / axes.figure.bbox.size - 1).max())
    axes.azim = azimuth
    return max(shares)


def draw_people(axes, people, skeleton, zoom=1.0):
    """Add the people to 3D axes; the artists made. `zoom` widens lines and numbers."""
    body, artists = mannequin(skeleton), []
    for person in people:
        if not np.isfinite(person.joints).all():
            continue
        joints = body.matrix @ person.joints
        colours = mix(shades(person.id, body.sides), (0, 0, 0), 0.12) / 255
        shadow = joints[body.bones] * (1, 1, 0)
        artists.append(axes.add_collection3d(Line3DCollection(shadow, colors=(0.8, 0.8, 0.82), linewidths=3 * zoom, capstyle="round")))
        artists.append(axes.add_collection3d(Line3DCollection(joints[body.bones], colors=colours, linewidths=(2.2 + 18 * body.radii.mean(1)) * zoom,
                                                              capstyle="round", alpha=1.0 if person.observed else 0.4)))
        top = joints[joints[:, 2].argmax()]
        ink = mix(identity_colour(person.id), (0, 0, 0), 0.25) / 255
        artists.append(axes.text(*(top + (0, 0, 0.12)), str(person.id), color=ink, fontsize=9 * zoom,
                                 fontweight="bold", ha="center"))
    return artists
