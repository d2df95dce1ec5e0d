"""MOTChallenge results: frame from 1, id, left, top, width, height, score, -1, -1, -1."""

import numpy as np


def write(motion, path):
    """Write the boxes of everybody, in the order of frames; the score is the mean score of the joints."""
    lines = []
    for number, track in motion.tracks.items():
        for frame, box, scores in zip(track.frames, track.boxes.astype(float), track.scores, strict=True):
            if np.isfinite(box).all():
                left, top, right, bottom = box
                where = f"{left:.2f},{top:.2f},{right - left:.2f},{bottom - top:.2f}"
                lines.append((int(frame), number, f"{frame + 1},{number},{where},{np.nan_to_num(scores).mean():.4f},-1,-1,-1\n"))
    path.write_text("".join(line for _, _, line in sorted(lines)), encoding="ascii")
