"""The two passes over a source: look at its frames, and draw the motion over them. How each one ended is said, not raised."""

from contextlib import closing, suppress
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from app import video
from app.perceive import perceive
from app.picture import Renderer
from app.prefetch import prefetch
from app.resample import average_frames, average_motion
from app.writer import WriteError, open_writer
from core.records import Frame

PALETTE_FRAMES = 64
GIF_HEIGHT, SIDE_HEIGHT = 480, 1080  # px of the frame in the picture: larger GIFs are tens of megabytes; beside a 3D view nobody needs 4K


class Ending(NamedTuple):
    """How a pass ended: whole, or with a reason and an exit code; `resumable` when the same call with --resume would get further."""

    frames: int = 0
    code: int = 0
    reason: str = ""
    resumable: bool = False


def observe(frames, info, settings, made, camera, log, stages):
    """Pass 1: append what is seen in every frame to the log; returns the Ending. A break or Ctrl-C ends it; everything before is kept."""
    every = settings.looking_every(info.fps / settings.stride)
    bar = tqdm(total=expected(info, settings), initial=log.frames, unit="frame", desc="analyse", disable=settings.quiet)
    try:
        with bar, closing(prefetch(frames, 2 * made.batch)) as ahead:
            for _ in range(log.frames):
                next(ahead, None)
            for seen in perceive(ahead, made, camera, stages, every, log.frames, log.last_id):
                log.append(seen)
                bar.update(len(seen))
                bar.set_postfix(people=len(seen[-1].tracks))
    except video.BrokenVideo as error:
        return Ending(log.frames, 1, f"{error}; the {log.frames} frames before it were processed")
    except KeyboardInterrupt:
        return Ending(log.frames, 130, f"stopped after {log.frames} frames; writing what is there (Ctrl-C again to leave at once)", True)
    return Ending(log.frames)


def expected(info, settings):
    """The number of frames that will be processed, None when the container does not say."""
    if info.frames is None:
        return settings.limit
    rate = float(info.fps)
    first, last = (settings.start or 0) * rate, min(info.frames, (settings.end or np.inf) * rate)
    count = int(max(0, np.ceil((last - first - settings.skip) / settings.stride)))
    return min(count, settings.limit or count)


def draw(motion, source, output, settings, stages):
    """Pass 2: draw the motion over its frames and encode; returns the Ending. A break or Ctrl-C ends it; the file is finished."""
    gif = str(output).lower().endswith(".gif")
    if settings.downsample > 1:
        first = next(video.frames(source, **settings.range())).index
        motion = average_motion(motion, settings.downsample, first, settings.stride)
    limit = GIF_HEIGHT if gif else SIDE_HEIGHT if settings.layout == "side" else None
    look = {name: getattr(settings, name) for name in ("layout", "size", "azimuth", "elevation", "turn", "renderer")}
    painter = Renderer(motion, limit=limit, **look)
    info = replace(motion.info, fps=motion.info.fps / settings.stride)
    frames = _blank(motion) if source is None else average_frames(video.frames(source, **settings.range()), settings.downsample)
    extras = {"audio_from": source, "audio_range": (settings.start, settings.end), "bitrate": settings.bitrate,
              "palette_frames": _samples(painter, source, settings) if gif else None}
    bar = tqdm(unit="frame", desc="draw", disable=settings.quiet)
    try:
        with bar, open_writer(output, info, **extras) as writer:
            for frame in stages.timed("decode again", prefetch(frames, 8)):
                with stages("draw"):
                    image = painter.draw(frame.image, frame.index)
                with stages("encode"):
                    writer.write(image, frame.time)
                bar.update()
    except video.BrokenVideo as error:
        return Ending(bar.n, 1, str(error))
    except KeyboardInterrupt:
        return Ending(bar.n, 130, f"stopped; {output} holds the first {bar.n} frames", True)
    except WriteError as error:
        return Ending(bar.n, 1, str(error), True)
    return Ending(bar.n)


def _samples(painter, source, settings):
    """Some 64 drawn frames from all over the video, for a GIF's palette; nothing is decoded before the first is asked for."""
    if source is None:
        yield from (painter.draw(frame.image, frame.index) for frame in islice(_blank(painter.motion), 0, None, 16))
        return
    step = settings.stride * max(1, (expected(video.probe(source, settings.fps), settings) or 0) // PALETTE_FRAMES)
    with suppress(video.BrokenVideo):  # the colours of what can be read
        for frame in video.frames(source, **settings.range() | {"stride": step, "limit": PALETTE_FRAMES}):
            yield painter.draw(frame.image, frame.index)


def _blank(motion):
    """Black frames at the times of a motion, for drawing without its video."""
    times = {int(k): float(t) for track in motion.tracks.values() for k, t in zip(track.frames, track.times, strict=True)}
    image = np.zeros((motion.info.height, motion.info.width, 3), np.uint8)
    for index in sorted(times):
        yield Frame(index, times[index], image)
