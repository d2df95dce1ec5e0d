"""The web page of a live run: the newest picture and the people in 3D for any number of viewers, and recordings.

The run publishes; each viewer asks for what is newest when it is ready. Nobody waits for a viewer, and pictures are only compressed while
somebody looks. Safety: loopback unless told otherwise, a token for anything else, requests of other web sites are refused (their Origin is not our
Host), and on loopback also those under a foreign name (DNS rebinding).
"""

import asyncio
import hmac
import ipaddress
import json
import socket
import threading
from collections import deque
from importlib.resources import files
from urllib.parse import quote, urlsplit

import cv2
from aiohttp import web

from core.errors import InputError

QUALITY = 80  # of the JPEG pictures
HELD = 1 << 18  # bytes that wait for a viewer of the plain stream; a picture has about as many
COOKIE = "skeletons_token"
HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY"}


def is_loopback(host):
    """Whether only this machine reaches `host`."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Page:
    """The page at `host`:`port` (0 = any that is free), as a context manager; `publish` what is newest, take the viewers' `orders`.

    `about` (for JSON) is told to each viewer once, `recordings` is {name: path} of what may be downloaded.
    Raises InputError where the address cannot be had, or is open without a token.
    """

    def __init__(self, host="127.0.0.1", port=0, token=None):
        if not is_loopback(host) and not token:
            raise InputError(f"--host {host} lets other machines in: give --token SECRET too, which viewers must then know")
        self.host, self.port, self.token = host, port, token
        self.orders, self.recordings, self.about, self.viewers = deque(), {}, {}, 0
        self._version, self._image, self._state, self._jpeg = (0, 0), None, {}, (0, b"")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="page", daemon=True)

    def __enter__(self):
        self._thread.start()
        try:
            self._here(self._open())
        except OSError as error:
            self._end()
            raise InputError(f"the page cannot be served at {self.host} port {self.port}: {error.strerror or error}") from error
        return self

    def __exit__(self, *_):
        self._here(self._runner.cleanup())
        self._end()

    @property
    def url(self):
        """The address to open, with the token."""
        host = "localhost" if self.host in ("0.0.0.0", "::") else f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/" + (f"?token={quote(self.token)}" if self.token else "")

    def publish(self, image, state):
        """Make a picture (H, W, 3) RGB, which must not change any more, and a state (for JSON) the newest; None leaves the picture as it is."""
        self._loop.call_soon_threadsafe(self._take, image, state)

    def _here(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _end(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _open(self):
        self._news, self._busy, self._sockets = asyncio.Event(), asyncio.Lock(), set()
        app = web.Application(middlewares=[self._guard])
        app.add_routes([web.get("/", self._page), web.get("/ws", self._socket), web.get("/stream.mjpg", self._stream), web.get("/state", self._json),
                        web.post("/record", self._record), web.get("/recordings/{name}", self._download)])
        app.on_shutdown.append(self._hang_up)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]

    async def _hang_up(self, _):
        for viewer in list(self._sockets):
            await viewer.close()

    def _take(self, image, state):
        pictures, states = self._version
        self._version = (pictures + (image is not None), states + 1)
        self._image = self._image if image is None else image
        self._state = state
        self._news.set()
        self._news = asyncio.Event()

    async def _newer(self, version):
        """Wait for something newer than `version`; what it is: (version, state)."""
        while self._version[1] <= version[1]:
            await self._news.wait()
        return self._version, self._state

    async def _picture(self):
        """(number, JPEG) of the newest picture, compressed once for all viewers."""
        async with self._busy:
            number = self._version[0]
            if number != self._jpeg[0]:
                self._jpeg = (number, await self._loop.run_in_executor(None, _compressed, self._image))
            return self._jpeg

    @web.middleware
    async def _guard(self, request, handler):
        host = request.headers.get("Host", "")
        if "Origin" in request.headers and urlsplit(request.headers["Origin"]).netloc != host:
            raise web.HTTPForbidden(text="a request of another site")
        if is_loopback(self.host) and not is_loopback(urlsplit(f"//{host}").hostname or ""):
            raise web.HTTPForbidden(text="not a name of this machine")
        if self.token and not self._knows_token(request):
            raise web.HTTPUnauthorized(text="the address needs ?token=...")
        return await handler(request)

    def _knows_token(self, request):
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        given = (request.query.get("token", ""), request.cookies.get(COOKIE, ""), bearer)
        return any(hmac.compare_digest(word.encode(), self.token.encode()) for word in given)

    async def _page(self, request):
        response = web.Response(text=(files("app") / "live.html").read_text("utf-8"), content_type="text/html", headers=HEADERS)
        if self.token:
            response.set_cookie(COOKIE, self.token, httponly=True, samesite="Strict")
        return response

    async def _json(self, request):
        return web.json_response(self._state, headers=HEADERS)

    async def _socket(self, request):
        """For each message of the viewer: the state, and the picture where there is a newer one than the viewer's last."""
        viewer = web.WebSocketResponse(heartbeat=20, max_msg_size=1024)
        await viewer.prepare(request)
        self._sockets.add(viewer)
        self.viewers += 1
        version, shown = (0, 0), 0
        try:
            async for _ in viewer:
                begun = version[1] > 0
                version, state = await self._newer(version)
                about = {} if begun else {"about": self.about}  # only now: a viewer may come before it is known
                await viewer.send_str(json.dumps(state | about | {"picture": version[0] > shown}))
                if version[0] > shown:
                    shown, jpeg = await self._picture()
                    await viewer.send_bytes(jpeg)
        except ConnectionError:
            pass
        finally:
            self.viewers -= 1
            self._sockets.discard(viewer)
        return viewer

    async def _stream(self, request):
        """Motion JPEG, for players and other programs."""
        response = web.StreamResponse(headers=HEADERS | {"Content-Type": "multipart/x-mixed-replace; boundary=frame"})
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, HELD)
        request.transport.set_write_buffer_limits(0)
        await response.prepare(request)
        self.viewers += 1
        version, shown = (0, 0), 0
        try:
            while True:
                version, _ = await self._newer(version)
                if version[0] > shown:
                    shown, jpeg = await self._picture()
                    await response.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(jpeg), jpeg))
        except ConnectionError:
            return response
        finally:
            self.viewers -= 1

    async def _record(self, request):
        order = (await request.text()).strip()
        if order not in ("start", "stop"):
            raise web.HTTPBadRequest(text="start or stop")
        self.orders.append(order)
        return web.Response(status=202, headers=HEADERS)

    async def _download(self, request):
        path = self.recordings.get(request.match_info["name"])
        if path is None or not path.is_file():
            raise web.HTTPNotFound(text="no such recording")
        return web.FileResponse(path, headers=HEADERS | {"Content-Disposition": f'attachment; filename="{path.name}"'})


def _compressed(image):
    return cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
