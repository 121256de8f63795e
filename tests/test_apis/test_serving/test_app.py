# Copyright (c) mmreid contributors. All rights reserved.
"""The server of a gallery: answers, filters, refusals; nothing is kept, nothing is run, nothing else is read."""

import asyncio
import json
import re
import struct
import threading
import zlib

import cv2
import numpy as np
import pytest
from tiny_data import write_image
from tiny_models import trained

from mmreid.apis import Gallery, GalleryFilter, ReIDInferencer, Threshold
from mmreid.apis.serving import search_job
from mmreid.apis.serving.app import Limits, create_app
from mmreid.apis.serving.upload import UploadError, receive
from mmreid.apis.serving.work_queue import WorkQueue

pytest.importorskip('fastapi', reason='FastAPI is not installed: pip install "mmreid[serve]"')
testclient = pytest.importorskip('fastapi.testclient', reason='httpx is not installed: pip install httpx')
LIMITS = Limits(queue=2, max_bytes=200_000, max_pixels=100_000, seconds=5)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('images')
    for number in range(9):
        write_image(folder / f'images/{number}.png', number)
    (folder / 'secret.txt').write_text('secret')
    return folder


@pytest.fixture(scope='module')
def gallery(folder):
    trained('ImageReID', folder / 'a.pth')
    with Gallery.open(folder / 'a.gallery', ReIDInferencer(folder / 'a.pth', device='cpu')) as gallery:
        gallery.add(
            folder / 'images',
            ids=[f'<b>p{i % 3}</b>' for i in range(9)],
            cameras=[f'c{i % 2}' for i in range(9)],
            times=[1000.0 + i for i in range(9)],
        )
        yield gallery


@pytest.fixture(scope='module')
def client(gallery):
    threshold = Threshold(0.99, 'a.pth', gallery.model.fingerprint)
    return testclient.TestClient(create_app(gallery, threshold, LIMITS), 'http://127.0.0.1:8000')


@pytest.fixture(scope='module')
def query(folder):
    return (folder / 'images/4.png').read_bytes()


def test_answers_are_those_of_the_gallery(client, gallery, folder, query):
    reply = client.post('/search?topk=4', content=query)
    wanted = gallery.search(folder / 'images/4.png', 4)[0]
    assert reply.status_code == 200 and reply.json()['threshold'] == 0.99
    for found, answer in zip(reply.json()['answers'], wanted, strict=True):
        assert found['score'] == pytest.approx(answer.score, abs=1e-6) and found['key'] == answer.entry.key
        assert (found['id'], found['camera'], found['time']) == (
            answer.entry.id,
            answer.entry.camera,
            answer.entry.time,
        )
        assert found['same'] == (answer.score >= 0.99)
    assert [found['same'] for found in reply.json()['answers']].count(True) >= 1


@pytest.mark.parametrize(
    ('address', 'options'),
    [
        ('camera=c1', dict(filter=GalleryFilter(cameras='c1'))),
        ('camera=c1&camera=c0', {}),
        ('not_camera=c1', dict(filter=GalleryFilter(cameras='c0'))),
        ('since=1003&until=1006', dict(filter=GalleryFilter(since=1003, until=1006))),
        ('query_camera=c0', dict(query_cameras='c0')),
        ('per_id=best', dict(per_id='best')),
        ('per_id=mean&camera=', dict(per_id='mean')),
    ],
)
def test_filters(client, gallery, folder, query, address, options):
    found = client.post(f'/search?{address}', content=query).json()['answers']
    wanted = gallery.search(folder / 'images/4.png', 20, **options)[0]
    assert [(answer['key'], answer['count']) for answer in found] == [(a.entry.key, a.count) for a in wanted]


def test_a_box_of_a_frame(client, folder, query):
    person = cv2.imdecode(np.frombuffer(query, np.uint8), cv2.IMREAD_COLOR)
    frame = np.full((128, 200, 3), 99, np.uint8)
    frame[10:74, 100:132] = person
    content = cv2.imencode('.png', frame)[1].tobytes()
    best = client.post('/search?topk=1&box=100,10,132,74', content=content).json()
    assert best['answers'][0]['key'] == 5 and best['answers'][0]['score'] == pytest.approx(1, abs=1e-5)
    assert (best['width'], best['height']) == (200, 128)
    assert client.post('/search?box=300,10,400,74', content=content).status_code == 400


@pytest.mark.parametrize(
    ('address', 'named'),
    [
        ('topk=0', "topk='0'"), ('topk=1000', '1000'), ('topk=x', "'x'"), ('topk=²', 'topk'), ('since=noon', 'noon'),
        ('since=nan', 'nan'), ('until=1e999', '1e999'), ('since=5&until=4', 'since=5'), ('box=1,2,3', "'1,2,3'"),
        ('box=1,2,nan,4', 'nan'), ('box=9,9,1,1', '9, 9, 1, 1'), ('modality=thermal', 'thermal'),
        ('query_modality=infrared', 'infrared'), ('per_id=worst', 'worst'), ('camera=a%0Ab', 'camera'),
        ('camra=c0', 'camera?'), ('file=/etc/passwd', "'file'"), (f'camera={"x" * 2000}', 'camera'),
    ],
)  # fmt: skip
def test_options_that_are_not_possible(client, query, address, named):
    reply = client.post(f'/search?{address}', content=query)
    assert reply.status_code == 400 and named in reply.json()['error']


def png_of_size(width, height):
    """A small file that claims to be a large image."""

    def chunk(kind, content):
        return struct.pack('>I', len(content)) + kind + content + struct.pack('>I', zlib.crc32(kind + content))

    head = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b'\0' * min(10**7, height * (3 * width + 1)), 9)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + chunk(b'IDAT', pixels) + chunk(b'IEND', b'')


@pytest.mark.parametrize(
    ('content', 'status'),
    [
        (b'', 400), (b'no image', 400), (b'\x89PNG\r\n\x1a\n', 400), (b'\xff\xd8\xff' + b'0' * 500, 400),
        (b'GIF89a' + b'\xff' * 50, 400), (b'<svg xmlns="http://www.w3.org/2000/svg"/>', 400),
        (png_of_size(3000, 1000), 400), (png_of_size(2**31 - 1, 2**31 - 1), 400), (b'PK\x03\x04' + b'0' * 90, 400),
        (b'0' * 200_001, 413),
    ],
)  # fmt: skip
def test_what_is_no_usable_image(client, content, status):
    reply = client.post('/search', content=content)
    assert reply.status_code == status and reply.json()['error']
    assert client.get('/health').json() == dict(status='ok', searches=0, places=2)


def test_a_truncated_image(client, query):
    for length in (10, len(query) // 2, len(query) - 20):
        reply = client.post('/search', content=query[:length])
        assert reply.status_code == 400 and f'{length} bytes' in reply.json()['error']


def test_a_body_of_unknown_length(client, query):
    assert client.post('/search', content=iter([query])).status_code == 200
    assert client.post('/search', content=(b'0' * 50_000 for _ in range(5))).status_code == 413


def test_a_slow_upload_is_given_up():
    async def slow():
        yield b'begin'
        await asyncio.sleep(60)

    with pytest.raises(UploadError, match='0.05 seconds') as refused:
        asyncio.run(receive(slow(), None, 100, 0.05))
    assert refused.value.status == 408


def test_a_client_that_goes_away_takes_no_place(gallery):
    app, sent = create_app(gallery, limits=LIMITS), []
    parts = [dict(type='http.request', body=b'begin', more_body=True), dict(type='http.disconnect')]

    async def receive_part():
        return parts.pop(0)

    async def send(message):
        sent.append(message)

    head = dict(type='http', method='POST', path='/search', query_string=b'', headers=[(b'host', b'localhost')])
    asyncio.run(app(head, receive_part, send))
    assert parts == [] and sent[0]['status'] == 400
    health = testclient.TestClient(app, 'http://localhost').get('/health').json()
    assert health['searches'] == 0


def test_what_does_not_fit_the_queue_is_refused(client, query, monkeypatch):
    go, running = threading.Event(), threading.Event()

    def wait(*_):
        running.set()
        assert go.wait(20)
        return dict(answers=[])

    monkeypatch.setattr('mmreid.apis.serving.app.search_by_image', wait)
    replies = []
    threads = [threading.Thread(target=lambda: replies.append(client.post('/search', content=query))) for _ in range(2)]
    with client:
        for thread in threads:
            thread.start()
        assert running.wait(20)
        while client.get('/health').json()['searches'] < 2:
            pass
        refused = client.post('/search', content=query)
        assert (
            refused.status_code == 429 and refused.headers['Retry-After'] == '1' and 'again' in refused.json()['error']
        )
        go.set()
        for thread in threads:
            thread.join()
    assert [reply.status_code for reply in replies] == [200, 200]
    assert client.get('/health').json()['searches'] == 0


@pytest.mark.parametrize('places', [0, True, 1.5])
def test_queues_that_make_no_sense(places):
    with pytest.raises(ValueError, match=str(places)):
        WorkQueue(places)


@pytest.mark.parametrize(
    'path',
    [
        '/image/../secret.txt', '/image/..%2Fsecret.txt', '/image/%2e%2e/secret.txt', '/../secret.txt', '/secret.txt',
        '/image//etc/passwd', '/image/-1', '/image/999', '/image/1.5', '/image/%00', '/image/²', f'/image/{"9" * 40}',
        '/docs', '/openapi.json', '/static/page.html',
    ],
)  # fmt: skip
def test_no_other_file_is_read(client, path):
    reply = client.get(path)
    assert reply.status_code == 404 and b'secret' not in reply.content.replace(path.encode(), b'')


def test_images_are_small_copies(client, folder, gallery, tmp_path):
    reply = client.get('/image/1')
    image = cv2.imdecode(np.frombuffer(reply.content, np.uint8), cv2.IMREAD_COLOR)
    assert reply.headers['content-type'] == 'image/jpeg' and image.shape == (64, 32, 3)
    large = write_image(tmp_path / 'large.png', 50, (600, 150))
    gone = write_image(tmp_path / 'gone.png', 51)
    keys = gallery.add([large, gone])
    gone.unlink()
    shape = cv2.imdecode(np.frombuffer(client.get(f'/image/{keys[0]}').content, np.uint8), 1).shape
    assert shape == (256, 64, 3) and client.get(f'/image/{keys[1]}').status_code == 404
    gone.write_text('no image')
    assert client.get(f'/image/{keys[1]}').status_code == 404
    gallery.delete(keys=keys)


def test_facts_for_the_filters(client):
    facts = client.get('/gallery').json()
    assert facts['entries'] == 9 and facts['cameras'] == dict(c0=5, c1=4) and facts['threshold'] == 0.99
    assert facts['query_modalities'] == [] and facts['max_bytes'] == 200_000


def test_the_page_needs_nothing_from_elsewhere(client):
    reply = client.get('/')
    policy = reply.headers['content-security-policy']
    assert "default-src 'none'" in policy and "'unsafe" not in policy and policy.count('sha256-') == 2
    assert not re.search(
        r'(?:src|href)="(?!data:,")|https?://|innerHTML|insertAdjacentHTML|document\.write', reply.text
    )
    for path in ('/', '/health', '/gallery', '/image/1'):
        headers = client.get(path).headers
        assert headers['cache-control'] == 'no-store' and headers['x-content-type-options'] == 'nosniff'


@pytest.mark.parametrize('host', ['evil.example', '127.0.0.1.evil.example', '192.168.0.1'])
def test_other_names_are_refused(client, query, host):
    for reply in (
        client.get('/', headers=dict(Host=host)),
        client.post('/search', content=query, headers=dict(Host=host)),
    ):
        assert reply.status_code == 400 and b'p0' not in reply.content


def test_names_that_were_allowed(gallery, client):
    app = create_app(gallery, hosts=['127.0.0.1', '[::1]', 'gallery.example'])
    for host, status in (('gallery.example:8000', 200), ('[::1]:8000', 200), ('localhost', 400)):
        assert testclient.TestClient(app).get('/health', headers=dict(Host=host)).status_code == status
    assert client.get('/health', headers=dict(Host='localhost:9')).status_code == 200


def test_nothing_is_changed_or_kept(client, gallery, folder, query):
    before = {path: path.read_bytes() for path in folder.rglob('*') if path.is_file() and 'cache' not in path.parts}
    assert client.post('/search', content=query).status_code == 200
    for method in ('put', 'delete', 'patch', 'get'):
        assert getattr(client, method)('/search').status_code == 405
    after = {path: path.read_bytes() for path in folder.rglob('*') if path.is_file() and 'cache' not in path.parts}
    assert before == after and len(gallery) == 9


def test_bugs_tell_nothing(gallery, query, monkeypatch):
    def fail(*_):
        raise RuntimeError('inner secret')

    monkeypatch.setattr('mmreid.apis.serving.app.search_by_image', fail)
    client = testclient.TestClient(create_app(gallery), 'http://localhost', raise_server_exceptions=False)
    reply = client.post('/search', content=query)
    assert reply.status_code == 500 and b'secret' not in reply.content


def test_a_gallery_without_its_model(folder):
    with Gallery.open(folder / 'a.gallery') as other, pytest.raises(ValueError, match='a.gallery'):
        create_app(other)


def test_answers_are_plain_data(gallery, query):
    options = search_job.SearchOptions(GalleryFilter(), topk=2)
    assert json.loads(json.dumps(search_job.search_by_image(gallery, query, options, None, 10**6)))['threshold'] is None
