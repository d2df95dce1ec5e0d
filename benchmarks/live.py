"""Latency of live mode: a clip served as a network camera at its own pace, watched by one viewer of the page.

    python -m benchmarks.live clip.mp4 [--size 1280x720] [--fps 30] [--seconds 30] [viz.py's options]

The camera is a motion JPEG stream on this machine. "Capture to picture" is what the page says; "sent to received" is measured outside, from the
moment at which the camera hands a picture to its socket to the moment at which the viewer holds the JPEG with the skeletons.
"""

import argparse
import asyncio
import sys
import time

import aiohttp
import cv2
import numpy as np

from app import video
from tests.streams import MjpegCamera, Run, ask

WARM_UP = 5.0  # s that are not counted: weights, first forward passes


async def watch(url, camera, seconds):
    """(seconds from sent to received of each picture, the page's last figures)."""
    late, stats = [], None
    async with aiohttp.ClientSession() as web, web.ws_connect(f"{url}ws") as viewer:
        await ask(viewer)
        began = time.monotonic()
        while time.monotonic() < began + WARM_UP + seconds:
            state, jpeg = await ask(viewer)
            if jpeg and time.monotonic() > began + WARM_UP:
                late.append(time.monotonic() - camera.sent[state["frame"]])
                stats = stats or state["stats"]
    return late, stats, state["stats"]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("clip")
    p.add_argument("--size", default="1280x720")
    p.add_argument("--fps", type=float, default=30)
    p.add_argument("--seconds", type=float, default=30)
    args, words = p.parse_known_args()
    size = tuple(int(side) for side in args.size.split("x"))
    camera = MjpegCamera([cv2.resize(frame.image, size) for frame in video.frames(args.clip)], args.fps)
    run = Run(sys.executable, "--webcam", camera.url, "--serve", "0", *words)
    try:
        late, first, last = asyncio.run(watch(run.url, camera, args.seconds))
    finally:
        run.kill()
        camera.close()
    shown, skipped = last["frames"] - first["frames"], last["skipped"] - first["skipped"]
    received = np.percentile(late, [50, 95]) * 1e3
    print(f"{args.size} at {args.fps:g} frames/s for {args.seconds:g} s: {shown} shown, {skipped} skipped, {len(late) / args.seconds:.1f} frames/s")
    print(f"capture to picture {last['p50_ms']:.0f} ms p50, {last['p95_ms']:.0f} ms p95; sent to received {received[0]:.0f} and {received[1]:.0f} ms")


if __name__ == "__main__":
    main()
