"""ffmpeg as a process: fed raw pictures with their times through a pipe (muxed as NUT), and the finishing touches on the files it wrote."""

import base64
import re
import subprocess
import tempfile
from contextlib import suppress
from fractions import Fraction

import av
import cv2
import ffmpeg
import imageio_ffmpeg
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter

H264 = {"vcodec": "libx264", "preset": "veryfast", "crf": 20, "bf": 0, "pix_fmt": "yuv420p"}
VP9 = {"vcodec": "libvpx-vp9", "deadline": "realtime", "cpu-used": 8, "row-mt": 1, "crf": 32, "b:v": 0, "pix_fmt": "yuv420p"}
BT709 = {"colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709", "range": "tv"}
# Without B-frames stored order is shown order, so that times pass through fragments and the copy unchanged; it also saves a fifth of the time.
CODECS = {".mp4": H264 | {"movflags": "+frag_keyframe+empty_moov+default_base_moof"}, ".webm": VP9, ".gif": {}}
COPIED_SOUND = {".mp4": {"aac", "mp3"}, ".webm": {"opus", "vorbis"}}
NEW_SOUND = {".mp4": {"acodec": "aac", "audio_bitrate": "160k"}, ".webm": {"acodec": "libopus", "audio_bitrate": "128k"}}
PALETTE_PIXELS = 100_000


class WriteError(Exception):
    """The output cannot be written any further: full disk, or the encoder died. One line that says which file and why."""


class Encoder:
    """A running ffmpeg that writes one video file from pictures of one size. `ticks` a second is the clock of the output."""

    def __init__(self, path, size, rate, ticks, bitrate=None, palette=None):
        self.path, self.tick, self.converter = path, Fraction(1, ticks), VideoReformatter()
        suffix = path.suffix.lower()
        options = CODECS[suffix] | {"fps_mode": "passthrough", "enc_time_base": f"1/{ticks}"}
        if suffix == ".mp4":
            options["video_track_timescale"] = ticks
        if bitrate and suffix != ".gif":
            options = {k: v for k, v in options.items() if k not in ("crf", "b:v")} | {"b:v": f"{bitrate}k"}
        pictures = ffmpeg.input("pipe:", format="nut")
        if suffix != ".gif":
            pictures = pictures.filter("setparams", **BT709)  # NUT does not say which colours they are, and ffmpeg would convert them
        if palette:
            pictures = ffmpeg.filter([pictures, ffmpeg.input(palette)], "paletteuse", dither="bayer", bayer_scale=4, diff_mode="rectangle")
        self.words = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self.process = subprocess.Popen(_command([pictures], path, options), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self.words,
                                        pipesize=1 << 20, start_new_session=True)  # a session of its own: Ctrl-C must not reach it
        self.container = av.open(f"pipe:{self.process.stdin.fileno()}", "w", format="nut")
        self.stream = self.container.add_stream("rawvideo", rate=rate.limit_denominator(1001))
        self.stream.width, self.stream.height = size
        self.stream.pix_fmt = "rgb24" if suffix == ".gif" else "yuv420p"
        self.stream.codec_context.time_base = self.tick

    def send(self, image, ticks):
        """Encode one picture (H, W, 3) uint8 RGB shown from `ticks` on. Raises WriteError when ffmpeg is gone."""
        frame = av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(image), format="rgb24")
        if self.stream.pix_fmt != "rgb24":
            frame = self.converter.reformat(frame, format=self.stream.pix_fmt, dst_colorspace=Colorspace.ITU709, dst_color_range="MPEG", threads=1)
        frame.pts, frame.time_base = ticks, self.tick
        try:
            self.container.mux(self.stream.encode(frame))
        except BrokenPipeError as error:
            raise WriteError(self._last_words()) from error

    def close(self):
        """Finish the file. Raises WriteError when that fails; what was written stays."""
        try:
            with suppress(av.FFmpegError, OSError):  # ffmpeg is gone: its exit status tells
                self.container.close()
                self.process.stdin.close()
            if self.process.wait():
                raise WriteError(self._last_words())
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.words.close()

    def _last_words(self):
        self.process.wait()
        self.words.seek(0)
        return f"{self.path}: {_said(self.words.read(), self.process.returncode)}"


def _command(streams, path, options):
    asked = ffmpeg.output(*streams, _address(path), **options).global_args("-y", "-loglevel", "error", "-nostdin")
    return asked.compile(cmd=imageio_ffmpeg.get_ffmpeg_exe())


def _address(path):
    """A path as ffmpeg takes it: "12:30.mp4" is not a protocol called 12."""
    return str(path) if str(path) == "pipe:" or "://" in str(path) else f"file:{path}"


def _said(words, status):
    """What ffmpeg said, as one line."""
    lines = [line.strip() for line in words.decode(errors="replace").splitlines() if line.strip()]
    for line in lines:
        if "No space left" in line:
            return "no space left on the disk"
    return re.sub(r"^(\[[^]]*\] *)+", "", lines[0]) if lines else f"the encoder ended with status {status}"


def palette(images):
    """A colour table for a GIF out of some of its pictures, as an address that ffmpeg opens. Raises WriteError."""
    small = [_shrunk(image) for image in images]
    height, width = small[0].shape[:2]
    described = ffmpeg.input("pipe:", format="rawvideo", pix_fmt="rgb24", s=f"{width}x{height}").filter("palettegen", stats_mode="full")
    done = subprocess.run(_command([described], "pipe:", {"format": "image2", "vcodec": "png"}), input=b"".join(small), capture_output=True)
    if done.returncode:
        raise WriteError(f"no colour table: {_said(done.stderr, done.returncode)}")
    return "data:image/png;base64," + base64.b64encode(done.stdout).decode()


def _shrunk(image):
    """Fewer pixels of the same colours: nothing is averaged, thin coloured lines stay pure."""
    scale = min(1.0, (PALETTE_PIXELS / image[..., 0].size) ** 0.5)
    return np.ascontiguousarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST))


def finish(partial, target, frames, first, end, last, ticks, sound=None):
    """Copy the whole `partial` to `target` with its index in front, the last picture's duration right and the sound beside it.

    frames: their number; first: ticks of the first picture; end: seconds of the end; last: ticks that the last picture is shown.
    sound: (path, which of its sounds, seconds from its beginning to the output's, its codec or None = code it anew) or None. Raises WriteError.
    """
    suffix = target.suffix.lower()
    if suffix == ".gif":
        return _run([ffmpeg.input(_address(partial))], target, {"c": "copy", "final_delay": last, "loop": 0})
    streams = [ffmpeg.input(_address(partial), itsoffset=f"{first / ticks:.9f}")["v"]]
    options = {"c:v": "copy", "bsf:v": rf"setts=duration='if(eq(N,{frames - 1}),{last}/{ticks}/TB,DURATION)'"}
    if suffix == ".mp4":
        options |= {"movflags": "+faststart", "video_track_timescale": ticks}
    if sound:
        path, number, begin, codec = sound
        cut = {"ss": f"{begin:.6f}"} if begin > 0 else {"itsoffset": f"{-begin:.6f}"}
        streams.append(ffmpeg.input(_address(path), t=f"{end - max(0, -begin):.6f}", **cut)[f"a:{number}"])
        options |= {"acodec": "copy"} if codec in COPIED_SOUND[suffix] and begin <= 0 else NEW_SOUND[suffix]
    return _run(streams, target, options)


def _run(streams, target, options):
    done = subprocess.run(_command(streams, target, options), stdin=subprocess.DEVNULL, capture_output=True, start_new_session=True)
    if done.returncode:
        target.unlink(missing_ok=True)
        raise WriteError(f"{target}: {_said(done.stderr, done.returncode)}")
