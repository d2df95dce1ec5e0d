"""What evaluations of published lifters share: errors action by action in the published manner, and the table with the published figures beside."""

import numpy as np

from training import lifting_flags
from training.evaluation.errors import NAMES, Table
from training.loop import join_processes


def errors(lifter, clips, late=0, names=NAMES):
    """The Table of a lifter's errors on clips with 3D. `late` counts the frames that its answers are behind: the first ones repeat the first pose."""
    table = Table(names=names)
    for clip in clips:
        truth = clip.joints[np.maximum(np.arange(len(clip)) - late, 0)]
        truth[:, 0] = 0
        table.add(clip.kind, lifter.lift(clip.points), truth)
    return table


def show(lifter, data, options, published, late=0):
    """Print the errors on the test subjects, each apart with --by-subject; {subjects: Table}.

    `published` {kind of 2D: {error's name: mm}} are figures of h36m.
    """
    names = lifting_flags.subjects(options.subjects_test)
    found, known = {}, published.get(data.keypoints, {}) if data.name == "h36m" else {}
    for group in [[name] for name in names] if options.by_subject else [names]:
        found[",".join(group)] = errors(lifter, lifting_flags.tested_clips(data, options, group), late)
    for group, table in found.items() if join_processes()[0] == 0 else ():
        print(text(table, f"{data.name}, {data.keypoints} 2D, subjects {group}", lifter.flip, known))
    return found


def text(table, title, flip, published):
    """The table as text: a line for each action, the unweighted mean of the actions, and the published one where it is known."""
    lines = [f"{title}: mm, {table.frames} frames, {'with' if flip else 'without'} the mean over the mirror image"]
    lines.append(_line("", table.names))
    lines += [_line(action, [f"{row[name]:.1f}" for name in table.names]) for action, row in table.rows().items()]
    means = table.means()
    lines.append(_line("mean of actions", [f"{means[name]:.2f}" for name in table.names]))
    lines.append(_line("published (S9, S11)", [f"{published[name]:.1f}" if name in published else "-" for name in table.names]))
    return "\n".join(lines)


def _line(name, cells):
    return f"{name:20}" + "".join(f"{cell:>10}" for cell in cells)
