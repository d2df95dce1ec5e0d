"""Marker trajectories (TRC), as OpenSim and other programs of biomechanics read them. One person a file, Y up, metres, an even rate."""

import numpy as np

from app.formats._person import placed, timeline

FAR = 1.5  # steps from frame to frame: between two that are further apart nothing is written


def write(motion, track, path):
    """Write the 3D joints of one Track of a Motion as markers (None: nobody was seen, no frames); cells are empty where nothing is known."""
    names, rate = motion.skeleton3d.joints, float(motion.info.fps)
    times = timeline(motion, track)
    table = np.full((len(times), 3 * len(names)), np.nan) if track is None else _table(*placed(motion, track), times, len(names))
    head = [f"PathFileType\t4\t(X/Y/Z)\tperson{'' if track is None else track.id}.trc",
            "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
            f"{rate:g}\t{rate:g}\t{len(times)}\t{len(names)}\tm\t{rate:g}\t1\t{len(times)}",
            "Frame#\tTime\t" + "\t\t\t".join(names), "\t\t" + "\t".join(f"{axis}{i + 1}" for i in range(len(names)) for axis in "XYZ"), ""]
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("\n".join(head) + "\n")
        for i, (time, row) in enumerate(zip(times - times[:1], table, strict=True)):
            file.write(f"{i + 1}\t{time:.5f}\t" + "\t".join("" if np.isnan(value) else f"{value:.5f}" for value in row) + "\n")


def _table(seen, joints, times, count):
    """Coordinates (N, 3 J) at the `times`, by straight lines between the `seen` ones; NaN outside of them and where people were away."""
    table = np.full((len(times), 3 * count), np.nan)
    if len(seen):
        step = np.median(np.diff(seen)) if len(seen) > 1 else 1.0
        after = np.searchsorted(seen, times - 1e-6).clip(0, len(seen) - 1)
        before = (np.searchsorted(seen, times + 1e-6) - 1).clip(0)
        there = (times > seen[0] - step / 2) & (times < seen[-1] + step / 2) & (seen[after] - seen[before] < FAR * step)
        table[there] = np.stack([np.interp(times[there], seen, values) for values in joints.reshape(len(seen), -1).T], 1)
    return table
