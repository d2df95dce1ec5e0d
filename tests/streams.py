"""Sources and viewers for the live tests: a camera on the network (motion JPEG), a device for OpenCV, a clock that is told the time, a browser."""

import asyncio
import base64
import contextlib
import http.server
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import time

import aiohttp
import cv2
import numpy as np

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class MjpegCamera:
    """Serves pictures (H, W, 3) RGB over and over as motion JPEG at `url`, on this machine alone. `cut()` drops all, `plugged` says whether to serve.

    `sent` holds the time at which each picture of the latest connection was sent.
    """

    def __init__(self, images, fps=30):
        self.jpegs = [cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes() for image in images]
        self.fps, self.plugged, self.sent, self.wires = fps, True, [], []
        camera = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):  # noqa: N802 - http.server's name
                if not camera.plugged:
                    self.send_error(503)
                    return
                camera.wires.append(self.connection)
                with contextlib.suppress(OSError):
                    camera._serve(self)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/video.mjpg"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def _serve(self, request):
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        request.end_headers()
        began, self.sent = time.monotonic(), []
        for i in range(10**9):
            time.sleep(max(0.0, began + i / self.fps - time.monotonic()))
            jpeg = self.jpegs[i % len(self.jpegs)]
            self.sent.append(time.monotonic())
            request.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(jpeg), jpeg))

    def cut(self):
        self.plugged = False
        for wire in self.wires:
            with contextlib.suppress(OSError):
                wire.shutdown(2)
        self.wires.clear()

    def close(self):
        self.cut()
        self.server.shutdown()


def device(images, lives, fps=200.0):
    """A stand-in for cv2.VideoCapture: each time it is opened it gives the next number of `lives` pictures, then none; with none left it is gone."""

    class Device:
        opened = 0

        def __init__(self, number):
            Device.opened += 1
            self.left = lives.pop(0) if lives else None

        def isOpened(self):  # noqa: N802 - OpenCV's name
            return self.left is not None

        def set(self, what, value):
            return True

        def get(self, what):
            return fps

        def read(self):
            time.sleep(1 / fps)
            self.left -= 1
            return self.left >= 0, np.ascontiguousarray(images[self.left % len(images)][..., ::-1])

        def release(self):
            pass

    return Device


class ToldClock:
    """A clock that only moves when it is told to, or slept on."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class Run:
    """`viz.py` as a process of its own; `url` is that of its page."""

    def __init__(self, python, *words, prepare=None):
        self.said = []
        self.process = subprocess.Popen([python, "viz.py", *map(str, words)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        preexec_fn=prepare)
        self.listener = threading.Thread(target=lambda: self.said.extend(iter(self.process.stderr.readline, "")), daemon=True)
        self.listener.start()

    def heard(self, pattern, seconds=120):
        """The match of a pattern in what was said, waited for."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if match := re.search(pattern, "".join(self.said)):
                return match
            assert self.process.poll() is None or self.listener.is_alive(), "".join(self.said)
            time.sleep(0.05)
        raise AssertionError(f"never said {pattern}: {''.join(self.said)}")

    @property
    def url(self):
        return self.heard(r"live at (http://\S+)").group(1)

    def end(self, seconds=60):
        """Wait for the end: (exit code, what was said)."""
        code = self.process.wait(seconds)
        self.listener.join()
        return code, "".join(self.said)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


async def ask(viewer):
    """(state, JPEG or None) of one message to a page's WebSocket."""
    await viewer.send_str("next")
    state = json.loads((await viewer.receive(30)).data)
    return state, (await viewer.receive(30)).data if state["picture"] else None


class Browser:
    """A page in headless Chromium, over its debugging protocol: `script` runs JavaScript, `drag` the mouse, `picture` a screenshot (PNG)."""

    def __init__(self, url, size=(1280, 900)):
        self.url, self.size, self.count = url, size, 0

    async def __aenter__(self):
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--remote-debugging-port=0",
                 f"--user-data-dir={self.folder.name}", f"--window-size={self.size[0]},{self.size[1]}", "about:blank"]
        self.process = subprocess.Popen([CHROMIUM, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        self.session = aiohttp.ClientSession()
        port = await self._port()
        async with self.session.get(f"http://127.0.0.1:{port}/json/list") as answer:
            target = next(page for page in await answer.json(content_type=None) if page["type"] == "page")
        self.wire = await self.session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0)
        await self.call("Page.navigate", url=self.url)
        await self.until("location.href.startsWith('http') && document.readyState == 'complete'")
        return self

    async def _port(self):
        path = pathlib.Path(self.folder.name, "DevToolsActivePort")
        for _ in range(600):
            if path.exists() and (lines := path.read_text().splitlines()):
                return int(lines[0])
            await asyncio.sleep(0.1)
        raise AssertionError("Chromium did not start")

    async def __aexit__(self, *_):
        await self.wire.close()
        await self.session.close()
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()

    async def call(self, method, **params):
        self.count += 1
        await self.wire.send_json({"id": self.count, "method": method, "params": params})
        while True:
            answer = await self.wire.receive_json(timeout=60)
            if answer.get("id") == self.count:
                assert "error" not in answer, answer
                return answer["result"]

    async def script(self, text):
        done = await self.call("Runtime.evaluate", expression=text, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    async def until(self, text, seconds=60):
        for _ in range(int(seconds * 5)):
            if await self.script(text):
                return
            await asyncio.sleep(0.2)
        raise AssertionError(f"never true on the page: {text}")

    async def drag(self, start, end):
        for kind, (x, y), buttons in (("mousePressed", start, 1), ("mouseMoved", end, 1), ("mouseReleased", end, 0)):
            await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=buttons, clickCount=1)

    async def picture(self):
        return base64.b64decode((await self.call("Page.captureScreenshot", format="png"))["data"])
