# Copyright (c) mmreid contributors. All rights reserved.
"""The server of a gallery as users meet it: in a browser, under load, and when it is stopped."""

import json
import signal
import threading
import time
import urllib.request

import numpy as np
import pytest
from chromium import CHROMIUM, Browser
from test_tools.benchmark_scripts import scripts_of
from tiny_data import write_image
from tiny_models import trained

from mmreid.apis import Gallery, ModelInfo, ReIDInferencer
from mmreid.apis.threshold import FORMAT

pytestmark = [pytest.mark.long, pytest.mark.slow, pytest.mark.dist]
_scripts = scripts_of('gallery')
pytest.importorskip('uvicorn', reason='uvicorn is not installed: pip install "mmreid[serve]"')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A gallery of twelve images of four people, one of them with a name that is markup, and its threshold."""
    folder = tmp_path_factory.mktemp('served')
    trained('ImageReID', folder / 'a.pth')
    for number in range(12):
        write_image(folder / f'images/{number:02d}.png', number)
    inferencer = ReIDInferencer(folder / 'a.pth', device='cpu')
    with Gallery.open(folder / 'a.gallery', inferencer) as gallery:
        gallery.add(
            folder / 'images',
            ids=[f'<img src=x onerror=document.title="run">{i // 3}' for i in range(12)],
            cameras=[f'door {i % 3}' for i in range(12)],
            times=[1_700_000_000 + 60 * i for i in range(12)],
        )
        facts = dict(name='a.pth', hash=gallery.model.fingerprint)
    (folder / 't.json').write_text(json.dumps(dict(format=FORMAT, threshold=0.99999, model=facts)))
    return folder


@pytest.mark.skipif(CHROMIUM is None, reason='there is no Chromium; Debian: apt-get install chromium')
def test_the_page_in_a_browser(folder, tmp_path):
    from serving import server

    cards = '[...document.querySelectorAll("#results li")]'
    with server(folder / 'a.gallery', folder / 'a.pth', '--threshold', folder / 't.json') as (_, address):
        browser = Browser(tmp_path / 'profile')
        browser.open(f'{address}/')
        about = browser.wait_for('(t => t.includes("identities") && t)(document.getElementById("about").textContent)')
        assert '12 images, 4 identities, 3 cameras' in about and 'a.pth, threshold 1.000' in about
        browser.choose_file('#file', folder / 'images/04.png')
        assert browser.wait_for(f'{cards}.length') == 12
        assert browser.value(f'{cards}[0].className') == 'same' and browser.value(f'{cards}[1].className') == 'other'
        assert 'camera door 1' in browser.value(f'{cards}[0].textContent')
        assert '1 at or above the threshold' in browser.value('document.getElementById("message").textContent')
        browser.wait_for(f'{cards}.every(card => card.querySelector("img").naturalWidth > 0)')

        # Names are text.
        assert 'onerror' in browser.value(f'{cards}[0].textContent') and browser.value('document.title') != 'run'

        choose = 'document.getElementById("camera").options[2].selected = true;'
        browser.value(f'{choose} document.getElementById("camera").dispatchEvent(new Event("change"))')
        browser.wait_for(f'{cards}.length === 4 && {cards}.every(card => card.textContent.includes("camera door 2"))')
        late = '(d => new Date(d - d.getTimezoneOffset() * 60000).toISOString().slice(0, 19))(new Date(1700000400000))'
        browser.value(
            f'document.getElementById("since").value = {late};'
            'document.getElementById("since").dispatchEvent(new Event("change"))'
        )
        browser.wait_for(f'{cards}.length === 2')

        area = browser.value(
            '(r => [r.left, r.top, r.right, r.bottom])(document.getElementById("query").getBoundingClientRect())'
        )
        browser.drag((area[0] + 5, area[1] + 5), (area[2] - 40, area[3] - 60))
        browser.wait_for('!document.getElementById("whole").hidden')
        browser.wait_for(f'{cards}.length === 2')
        assert any('box=' in url for url in browser.asked())

        (tmp_path / 'broken.png').write_bytes(b'no image')
        browser.choose_file('#file', tmp_path / 'broken.png')
        browser.wait_for('document.getElementById("message").className === "error"')
        assert browser.value(f'{cards}.length') == 0

        # A dropped file is as good as a chosen one.
        browser.value(
            'fetch("/image/3").then(r => r.blob()).then(blob => { const data = new DataTransfer();'
            'data.items.add(new File([blob], "x.jpg", {type: "image/jpeg"}));'
            'document.getElementById("drop").dispatchEvent(new DragEvent("drop", {dataTransfer: data})); })'
        )
        browser.wait_for(f'{cards}.length === 2')
        assert all(url.startswith((address, 'data:', 'about:')) for url in browser.asked())
        assert [text for text in browser.complaints() if '400' not in text] == []
        browser.screenshot(tmp_path / 'page.png')
        assert (tmp_path / 'page.png').stat().st_size > 5000
        browser.close()


def keep_adding(path, model, keys, stop):
    """Adds features while others search; notes which keys were acknowledged."""
    rng = np.random.default_rng(0)
    with Gallery.open(path, model) as gallery:
        while not stop.is_set():
            keys += gallery.add(features=rng.normal(size=(5, 32)), ids='new')
            time.sleep(0.01)


def under_load(folder, end, *options):
    """Searches and adds at the same time, ends the server, and checks the gallery.

    Gives the clients, the exit status, and how many requests were lost that had reached the server: a connection of the
    very moment in which it stops is refused or reset.
    """
    from serving import Clients, server

    with Gallery.open(folder / 'a.gallery') as gallery:
        model = ModelInfo(gallery.model.name, gallery.model.fingerprint)
        gallery.delete(ids='new')
    image, keys, stop = (folder / 'images/04.png').read_bytes(), [], threading.Event()
    writer = threading.Thread(target=keep_adding, args=(folder / 'a.gallery', model, keys, stop))
    with server(folder / 'a.gallery', folder / 'a.pth', *options) as (process, address):
        writer.start()
        clients = Clients(address, image, 6)
        deadline = time.monotonic() + 120
        while len(clients.answers) < 100 and time.monotonic() < deadline:
            time.sleep(0.05)
        health = json.load(urllib.request.urlopen(f'{address}/health', timeout=20))  # noqa: S310  ours
        ended = time.monotonic()
        process.send_signal(end)
        status = process.wait(60)
        clients.stop()
        stop.set()
        writer.join()
    with Gallery.open(folder / 'a.gallery') as gallery:
        assert gallery.check() == [] and len(keys) > 5
        assert set(keys) <= {entry.key for entry in gallery}
    assert health['status'] == 'ok'
    return clients, status, sum(begin < ended - 0.1 for begin in clients.lost)


def test_sigterm_ends_when_all_are_answered(folder):
    clients, status, lost = under_load(folder, signal.SIGTERM)
    assert status == 143 and lost == 0 and clients.refused >= 1
    assert {answer for answer, _ in clients.answers} == {200}


def test_kill_loses_nothing_that_is_stored(folder):
    clients, status, _ = under_load(folder, signal.SIGKILL)
    assert status == -signal.SIGKILL and len(clients.answers) >= 100


def test_a_full_queue_refuses_and_goes_on(folder):
    clients, _, lost = under_load(folder, signal.SIGTERM, '--queue', '2')
    assert {answer for answer, _ in clients.answers} == {200, 429} and lost == 0
