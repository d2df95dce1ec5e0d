"""The command line: flags -> Settings -> one of the runs.

Exit codes: 0 all is written, 1 the source broke in the middle or writing failed (what could be kept is kept), 2 a fault in what was asked,
130 stopped with Ctrl-C (what was done is kept).
"""

import argparse
import dataclasses
import sys
from fractions import Fraction

from app.settings import LAYOUTS, PORT, PRESETS, LiveSettings, Settings
from core import parts
from core.errors import InputError

INCH = 80  # pixels: VideoPose3D draws its panels at 80 dpi
EPILOG = """A part is NAME or NAME:option=value,option=value; option values may hold commas (tcn:weights=F,arc=3,3,3). VideoPose3D's names work too:
--viz-video, --viz-output, --viz-export, --viz-skip, --viz-limit, --viz-downsample, --viz-size (inches at 80 dpi), --viz-bitrate; with - or _."""


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise InputError(message)


class ListParts(argparse.Action):
    """--help with the parts found in the folders."""

    def __call__(self, parser, *_):
        lists = [f"\n{kind}s:\n" + "\n".join("  " + line for line in parts.describe(kind).splitlines()) for kind in parts.KINDS]
        print(parser.format_help() + "\n".join(lists))
        parser.exit()


def parser():
    """The flags. Those of Settings have no default here: it stands in Settings alone."""
    p = Parser(prog="viz.py", description="A video goes in, tracked 3D human skeletons come out.", epilog=EPILOG, add_help=False,
               argument_default=argparse.SUPPRESS, allow_abbrev=False)
    p.add_argument("-h", "--help", nargs=0, action=ListParts, help="show this help and the parts there are")
    group = p.add_argument_group("in and out")
    group.add_argument("--video", "--viz-video", metavar="IN", help="video, picture, folder or glob of pictures, rtsp:// or http:// stream")
    group.add_argument("--webcam", metavar="N", help="live: camera number, or address of a stream")
    group.add_argument("--output", "--viz-output", metavar="OUT", help=".gif .mp4 .webm, a folder/*.png or folder/*.jpg, or a picture for a picture")
    group.add_argument("--export", action="append", metavar="FILE", help=".npz .json .csv .bvh .trc .txt (MOTChallenge) .npy; repeatable")
    group.add_argument("--viz-export", action="append", dest="export", metavar="FILE.npy", help="VideoPose3D's (T, 17, 3) joints of one track")
    group.add_argument("--poses", metavar="SAVED.npz", help="render or export saved motion again, without any network")
    group.add_argument("--show", action="store_true", help="open the 3D view of the middle frame in a window")
    group.add_argument("--resume", action="store_true", help="continue an interrupted run")
    group = p.add_argument_group("live (docs/live.md)")
    group.add_argument("--realtime", action="store_true", help="play a file live, at its own pace")
    group.add_argument("--serve", nargs="?", type=int, const=PORT, metavar="PORT", help=f"show a web page, at port {PORT} where none is given")
    group.add_argument("--host", metavar="ADDRESS", help="who can see the page: this machine alone (127.0.0.1), or with --token all (0.0.0.0)")
    group.add_argument("--token", metavar="SECRET", help="that viewers of the page must know")
    group.add_argument("--record", metavar="OUT", help="record the drawn pictures, as --output does for a live source")
    group.add_argument("--record-dir", metavar="DIR", help="where recordings go that are started on the page")
    group.add_argument("--reconnect", type=float, metavar="S", help="wait for a lost camera or stream so long")
    group = p.add_argument_group("a folder of videos")
    group.add_argument("--folder", metavar="DIR", help="all videos in it, also in folders below; with --resume those that are not done")
    group.add_argument("--output-dir", metavar="DIR", help="where results go, in a tree of the same shape")
    group.add_argument("--pattern", metavar="GLOB", help="only these, for example '**/*.mp4'")
    group.add_argument("--format", dest="formats", type=words, metavar="LIST", help="of each: gif,mp4,webm,npz,json,csv,bvh,trc,txt,npy (mp4,npz)")
    group.add_argument("--workers", type=int, metavar="N", help="processes that work on them (1)")
    group.add_argument("--gpus", type=ids, metavar="LIST", help="one worker for each of these GPUs, for example 0,1")
    group.add_argument("--together", type=int, metavar="N", help="videos of a worker whose frames share batches (1, on a GPU 4)")
    group.add_argument("--engine", metavar="local|ray", help="processes of this machine, or a Ray cluster")
    group.add_argument("--address", metavar="HOST:PORT|auto", help="of the Ray cluster; without it one on this machine is begun")
    group.add_argument("--chunk", type=float, metavar="S", help="on Ray, look at longer videos in pieces of so many seconds (600, 0 = never)")
    group = p.add_argument_group("which frames")
    group.add_argument("--start", type=float, metavar="S", help="begin here")
    group.add_argument("--end", type=float, metavar="S", help="end before this")
    group.add_argument("--skip", "--viz-skip", type=int, metavar="FRAMES", help="leave out the first frames")
    group.add_argument("--limit", "--viz-limit", type=int, metavar="FRAMES", help="process no more than this")
    group.add_argument("--stride", type=int, metavar="N", help="process every N-th frame")
    group.add_argument("--downsample", "--viz-downsample", type=int, metavar="N", help="average N frames into one of the output")
    group.add_argument("--fps", type=rate, metavar="RATE", help="of picture folders (25)")
    group = p.add_argument_group("parts")
    group.add_argument("--preset", metavar="|".join(PRESETS), help="parts that fit together")
    for kind in parts.KINDS:
        group.add_argument(f"--{kind}", metavar="NAME[:OPTIONS]", help="in place of the preset's; the list is below")
    group.add_argument("--weights-dir", metavar="DIR", help="where downloaded weights live")
    group = p.add_argument_group("how")
    group.add_argument("--device", metavar="auto|cpu|cuda[:i]|mps", help="where the networks run")
    group.add_argument("--batch", type=int, metavar="FRAMES", help="that the networks see at once (4, on a GPU 32)")
    group.add_argument("--half", action="store_true", help="16-bit networks, for GPUs")
    group.add_argument("--causal", action="store_true", help="use the past only, as live mode does")
    group.add_argument("--detect-every", type=int, metavar="N", help="look for people every N-th frame, predict between")
    group.add_argument("--max-people", type=int, metavar="N", help="keep the most visible people only")
    group.add_argument("--select", type=ids, metavar="IDS", help="only these people, for example 1,3")
    group.add_argument("--min-track", type=float, metavar="S", help="drop people seen for less")
    group.add_argument("--focal", type=float, metavar="PX", help="focal length of the lens")
    group.add_argument("--fov", type=float, metavar="DEG", help="field of view of the longer side")
    group.add_argument("--camera", metavar="CALIB", help="calibration, .json or .toml")
    group.add_argument("--height", type=float, metavar="M", help="stature of the people")
    for name, text in (("smooth", "leave the motion as it was lifted"), ("join", "leave tracks as they were followed"), ("fill", "leave gaps open")):
        group.add_argument(f"--no-{name}", dest=name, action="store_false", help=text)
    group = p.add_argument_group("picture")
    group.add_argument("--layout", metavar="|".join(LAYOUTS), help="frame and 3D view, frame alone, or view alone")
    group.add_argument("--size", type=int, metavar="PX", help="height of the picture")
    group.add_argument("--viz-size", type=float, metavar="INCHES", help="the same in inches at 80 dpi")
    group.add_argument("--azimuth", type=float, metavar="DEG", help="of the 3D view; 0 is as filmed")
    group.add_argument("--elevation", type=float, metavar="DEG", help="of the 3D view above the floor")
    group.add_argument("--turn", type=float, metavar="DEG/S", help="let the 3D view turn")
    group.add_argument("--renderer", metavar="opencv|matplotlib", help="matplotlib has the look of papers, and is slower")
    group.add_argument("--bitrate", "--viz-bitrate", type=int, metavar="KBIT/S", help="of the video; else constant quality")
    group = p.add_argument_group("what is said")
    group.add_argument("--stats", action="store_true", help="time per stage and peak memory")
    group.add_argument("--quiet", action="store_true", help="no progress, no notes")
    return p


def rate(text):
    return Fraction(text)


def words(text):
    return tuple(text.split(","))


def ids(text):
    return tuple(int(number) for number in text.split(","))


def dashed(argv):
    """Option names with dashes: --viz_video is --viz-video."""
    return [word.split("=")[0].replace("_", "-") + word[len(word.split("=")[0]):] if word.startswith("--") else word for word in argv]


def parse(argv):
    """(Settings, what else was asked as a dict) of a command line. Raises InputError."""
    asked = vars(parser().parse_args(dashed(argv)))
    if "viz_size" in asked:
        asked.setdefault("size", round(asked.pop("viz_size") * INCH))
    if asked.get("limit") == -1:  # VideoPose3D's way to say "all"
        del asked["limit"]
    fields = {field.name for field in dataclasses.fields(Settings)}
    return Settings(**{k: v for k, v in asked.items() if k in fields}), {k: v for k, v in asked.items() if k not in fields or k == "resume"}


def live_options(asked):
    """The LiveSettings of a live run, None for a run over files. Raises InputError where the two are mixed."""
    given = {field.name: asked[field.name] for field in dataclasses.fields(LiveSettings) if field.name in asked}
    live, source = LiveSettings(**given), asked.get("webcam", asked.get("video"))
    if "webcam" not in asked and not (live.realtime and source is not None) and not _streams(source):
        if given:
            raise InputError(f"--{next(iter(given)).replace('_', '-')} is for live sources: --webcam N, a stream, or --video FILE --realtime")
        return None
    for name in ("poses", "show"):
        if name in asked:
            raise InputError(f"--{name} is for files, not for a live source")
    if "record" in asked and "output" in asked:
        raise InputError("--record and --output say the same for a live source: give one of them")
    return dataclasses.replace(live, record=asked.get("record", asked.get("output")))


def _streams(source):
    from app import video  # OpenCV and PyAV take a moment to import

    return source is not None and "://" in source and video.is_live(source)


def run_folder(settings, asked):
    """The folder run; its exit code."""
    from app import batch
    from app.folder import Request

    names = {field.name for field in dataclasses.fields(Request)}
    for name in ("folder", "output_dir"):
        if name not in asked:
            raise InputError(f"--{name.replace('_', '-')} is missing: a folder run needs --folder IN and --output-dir OUT")
    if odd := sorted(set(asked) - names - {"resume"}):
        raise InputError(f"--{odd[0]} does not go with --folder; --format says what is made of each video")
    return batch.run(settings, Request(**{name: value for name, value in asked.items() if name in names}))


def main(argv=None):
    """Run and return the exit code; the user's faults are one line on stderr."""
    try:
        settings, asked = parse(sys.argv[1:] if argv is None else argv)
        if "folder" in asked or "output_dir" in asked:
            return run_folder(settings, asked)
        if (live := live_options(asked)) is not None:
            from app import live as live_run

            return live_run.run(settings, live, asked.get("webcam", asked.get("video")), asked.get("export", []))
        from app import offline  # torch takes seconds to import: a bad option is told before

        return offline.run(settings, source=asked.get("video"), output=asked.get("output"), exports=asked.get("export", []),
                           poses=asked.get("poses"), show=asked.get("show", False))
    except InputError as error:
        print(f"viz.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("viz.py: stopped", file=sys.stderr)
        return 130
