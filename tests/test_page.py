"""The web page of a live run: over HTTP and WebSocket always, in headless Chromium where there is one."""

import asyncio
import json
import os
import sys
import time

import aiohttp
import av
import cv2
import numpy as np
import pytest

from app import export
from app.server import Page
from core.errors import InputError
from tests import media
from tests.conftest import hear_ctrl_c, person
from tests.streams import CHROMIUM, Browser, MjpegCamera, Run, ask


def seen(jpeg):
    """The number that `media.picture` wrote into a picture."""
    return media.number(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR))


def test_a_viewer_gets_what_is_newest():
    async def view(page):
        async with aiohttp.ClientSession() as web, web.ws_connect(f"{page.url}ws") as viewer:
            asking = asyncio.create_task(ask(viewer))
            await asyncio.sleep(0.2)
            page.about = {"joints": ["a"]}  # who comes before it is known is told, too
            page.publish(media.picture(1), {"n": 1})
            state, jpeg = await asking
            assert state["about"] == {"joints": ["a"]} and state["n"] == 1 and seen(jpeg) == 1
            for n in range(2, 30):
                page.publish(media.picture(n), {"n": n})
            await asyncio.sleep(0.1)
            state, jpeg = await ask(viewer)
            assert state["n"] == 29 and seen(jpeg) == 29 and "about" not in state
            page.publish(None, {"n": 30})
            state, jpeg = await ask(viewer)
            assert state["n"] == 30 and jpeg is None
            async with web.get(f"{page.url}state") as answer:
                assert await answer.json() == {"n": 30}

    with Page() as page:
        asyncio.run(view(page))


def test_a_slow_viewer_slows_nobody():
    """One that asks a thousand times and never reads, one that hangs in the plain stream, and one that is quick."""
    noise = np.random.default_rng(0).integers(0, 255, (720, 1280, 3), np.uint8)

    async def view(page):
        async with aiohttp.ClientSession() as web:
            slow, quick = await web.ws_connect(f"{page.url}ws"), await web.ws_connect(f"{page.url}ws")
            for _ in range(1000):
                await slow.send_str("next")
            stuck = await web.get(f"{page.url}stream.mjpg")
            longest, shown = 0.0, []
            for n in range(60):
                image = noise.copy()
                image[:64, :96] = media.picture(n)
                began = time.monotonic()
                page.publish(image, {"n": n})
                longest = max(longest, time.monotonic() - began)
                state, jpeg = await ask(quick)
                shown.append(state["n"])
                assert media.number(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[:64, :96]) == state["n"]
            assert page.viewers == 3
            stuck.close()
            await slow.close()
            await quick.close()
            return longest, shown

    with Page() as page:
        longest, shown = asyncio.run(view(page))
    assert shown == list(range(60)) and longest < 0.1


def test_the_plain_stream_is_motion_jpeg():
    async def view(page):
        async with aiohttp.ClientSession() as web, web.get(f"{page.url}stream.mjpg") as answer:
            reader, found = aiohttp.MultipartReader.from_response(answer), []
            for n in range(3):
                page.publish(media.picture(n), {})
                part = await reader.next()
                found.append(seen(await part.read()))
            return found

    with Page() as page:
        assert asyncio.run(view(page)) == [0, 1, 2]


def statuses(page, *requests):
    """The status of each (method, path, headers)."""
    async def ask_all():
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as web:
            found = []
            for method, path, headers in requests:
                order = "start" if method == "POST" else None
                async with web.request(method, f"http://127.0.0.1:{page.port}{path}", headers=headers, data=order) as answer:
                    found.append(answer.status)
            return found

    return asyncio.run(ask_all())


def test_other_sites_and_foreign_names_are_refused():
    with Page() as page:
        here, there = f"http://127.0.0.1:{page.port}", "http://evil.example"
        assert statuses(page, ("GET", "/", {}), ("GET", "/", {"Host": f"localhost:{page.port}"}), ("GET", "/", {"Host": "evil.example"}),
                        ("POST", "/record", {"Origin": there}), ("GET", "/ws", {"Origin": there}), ("POST", "/record", {"Origin": here}),
                        ("GET", "/state", {"Host": f"rebound.example:{page.port}"})) == [200, 200, 403, 403, 403, 202, 403]
        assert list(page.orders) == ["start"]


def test_a_token_is_asked_for_everywhere():
    paths = ("/", "/state", "/stream.mjpg", "/recordings/a.mp4")
    with Page(token="open sesame") as page:
        assert statuses(page, *(("GET", path, {}) for path in paths), ("POST", "/record", {}), ("GET", "/ws", {}),
                        ("GET", "/?token=wrong", {})) == [401] * 7
        known = {"Authorization": "Bearer open sesame"}
        assert statuses(page, ("GET", "/?token=open%20sesame", {}), ("GET", "/state", known), ("POST", "/record", known),
                        ("GET", "/state", {"Cookie": 'skeletons_token="open sesame"'})) == [200, 200, 202, 200]
        assert page.url.endswith("?token=open%20sesame")


def test_open_to_others_only_with_a_token():
    with pytest.raises(InputError, match="--token"):
        Page("0.0.0.0")
    with Page("0.0.0.0", token="secret") as page:
        assert statuses(page, ("GET", "/", {"Host": "my-machine.lan"}), ("GET", "/?token=secret", {"Host": "my-machine.lan"})) == [401, 200]


def test_downloads_are_recordings_only(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"film")
    (tmp_path / "secret.txt").write_text("no")
    with Page() as page:
        page.recordings = {"a.mp4": tmp_path / "a.mp4", "gone.mp4": tmp_path / "gone.mp4"}
        names = ("a.mp4", "gone.mp4", "secret.txt", "..%2Fsecret.txt")
        assert statuses(page, *(("GET", f"/recordings/{name}", {}) for name in names)) == [200, 404, 404, 404]


@pytest.fixture(scope="module")
def walking_past():
    at = person(640, 480, 400)
    camera = MjpegCamera([at(40 + x) for x in [*range(0, 260, 5), *range(260, 0, -5)]], fps=25)
    yield camera
    camera.close()


@pytest.fixture
def running(walking_past, tmp_path):
    words = ("--webcam", walking_past.url, "--serve", "0", "--record-dir", tmp_path / "kept", "--reconnect", "5")
    run = Run(sys.executable, *words, prepare=hear_ctrl_c)
    yield run
    run.kill()


def test_a_recording_is_started_stopped_and_downloaded(running, tmp_path):
    async def view(url):
        async with aiohttp.ClientSession() as web, web.ws_connect(f"{url}ws") as viewer:
            async def until(condition):
                for _ in range(3000):
                    state, jpeg = await ask(viewer)
                    if condition(state):
                        return state, jpeg
                raise AssertionError(state)

            state, _ = await until(lambda state: state["people"] and state["people"][0]["joints"])
            [somebody] = state["people"]
            assert len(somebody["joints"]) == 21 and somebody["id"] == 1 and 0.5 < somebody["depth"] < 20
            assert max(joint[2] for joint in somebody["joints"]) < 3 and state["stats"]["p50_ms"] > 0
            await web.post(f"{url}record", data="start")
            await until(lambda state: state["record"]["seconds"] > 1)
            await web.post(f"{url}record", data="stop")
            state, _ = await until(lambda state: state["record"]["files"])
            names = state["record"]["files"][0]
            for name in names:
                async with web.get(f"{url}recordings/{name}") as answer:
                    (tmp_path / name).write_bytes(await answer.read())
            return names

    film, motion_file = asyncio.run(view(running.url))
    with av.open(str(tmp_path / film)) as file:
        times = [float(frame.pts * frame.time_base) for frame in file.decode(video=0)]
    motion = export.load(tmp_path / motion_file)
    assert times[0] == 0 and times[-1] >= 0.8 and motion.info.frames == len(times)
    np.testing.assert_allclose(motion.tracks[1].times[-1], times[int(motion.tracks[1].frames[-1])], atol=2e-3)
    assert sorted(os.listdir(tmp_path / "kept")) == sorted([film, motion_file])


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine")
def test_the_page_in_a_browser(running, tmp_path):
    """Picture, people, figures and the 3D view are there; the view turns with the mouse; a recording is offered; the camera's loss is told."""
    async def look(url):
        colours = "(id => { const c = document.getElementById(id), seen = new Set()," \
                  " d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;" \
                  " for (let i = 0; i < d.length; i += 404) seen.add(d.slice(i, i + 3).join()); return seen.size; })"
        async with Browser(url) as browser:
            await browser.until("document.getElementById('people').innerText.includes('person 1')")
            await browser.until("document.getElementById('fps').innerText > '0' && +document.getElementById('p50').innerText > 0")
            await browser.until(f"{colours}('picture') > 200 && {colours}('scene') > 60")
            x, y = await browser.script("(r => [r.x + r.width / 2, r.y + r.height / 2])(document.getElementById('scene').getBoundingClientRect())")
            before = await browser.script("view.turn")
            await browser.drag((x, y), (x + 120, y + 30))
            assert abs(await browser.script("view.turn") - before) > 0.5
            await browser.script("document.getElementById('record').click()")
            await browser.until("document.getElementById('record').innerText.includes('Stop')")
            await asyncio.sleep(1)
            await browser.script("document.getElementById('record').click()")
            await browser.until("document.querySelectorAll('#recordings a').length == 2")
            (tmp_path / "page.png").write_bytes(await browser.picture())
            return json.loads(await browser.script("JSON.stringify(state.stats)"))

    stats = asyncio.run(look(running.url))
    assert stats["viewers"] == 1 and stats["frames"] > 3
    assert cv2.imread(str(tmp_path / "page.png")).shape[1] == 1280
