# Copyright (c) mmreid contributors. All rights reserved.
"""The demo that asks where else a person was seen: from a drawn clip to a sheet and an annotated clip."""

import csv

import cv2
import numpy as np
import pytest
from tiny_models import trained

from mmreid.apis import Gallery, GalleryFilter, ReIDInferencer

from .tool_modules import load_tool

DRAW = load_tool('../demo/drawn_clip.py')
DEMO = load_tool('../demo/video_search.py')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A clip of five walks of four people, another one, and a model."""
    folder = tmp_path_factory.mktemp('clips')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DRAW, 'PASS', 8)
        DRAW.main([str(folder / 'hall.avi'), '--size', '48', '96', '--walks', '5'])
        DRAW.main([str(folder / 'door.avi'), '--size', '48', '96', '--walks', '2', '--seed', '1'])
    trained('ImageReID', folder / 'a.pth')
    return folder


def run(folder, out, *words, clip='hall.avi'):
    options = ['--model', folder / 'a.pth', '--device', 'cpu', '--out', out, '--every', 2, '--min-height', 16]
    DEMO.main([str(word) for word in (folder / clip, *options, *words)])


def boxes_of(clip):
    with open(clip.with_suffix('.csv'), newline='') as file:
        return [{name: int(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_a_drawn_clip_is_as_long_as_its_boxes_say(folder):
    video, boxes = cv2.VideoCapture(str(folder / 'hall.avi')), boxes_of(folder / 'hall.avi')
    frames = []
    while (found := video.read())[0]:
        frames.append(found[1])
    assert len(frames) == 28 and {box['person'] for box in boxes} == {1, 2, 3, 4}
    assert {box['tracklet'] for box in boxes if box['person'] == 1} == {0, 4}
    still = np.median(frames, 0)
    for box in boxes:  # there is somebody, where usually there is ground
        area = slice(box['y'], box['y'] + box['h']), slice(box['x'], box['x'] + box['w'])
        assert box['w'] > 0 and np.abs(frames[box['frame0']][area] - still[area]).mean() > 5


def test_the_other_tracklets_are_ranked_and_shown(folder, tmp_path, capsys):
    run(folder, tmp_path / 'out', '--tracklet', 0, '--topk', 2, '--start', '2026-01-31T12:00:00+00:00')
    told = capsys.readouterr().out
    inferencer = ReIDInferencer(folder / 'a.pth', device='cpu')
    with Gallery.open(tmp_path / 'out/people.gallery', inferencer) as gallery:
        entries = list(gallery)
        features = {entry.key: inferencer.extract(entry.image)[0] for entry in entries}
    boxes = boxes_of(folder / 'hall.avi')
    kept = {(box['tracklet'], box['frame0'] + 1) for box in boxes if box['frame0'] % 2 == 0 and box['h'] >= 16}
    assert {(entry.extra['tracklet'], entry.extra['frame']) for entry in entries} == kept
    times = [1769860800 + (entry.extra['frame'] - 1) / 12.5 for entry in entries]
    np.testing.assert_allclose([entry.time for entry in entries], times, rtol=0, atol=1e-3)
    own = [features[entry.key] for entry in entries if entry.extra['tracklet'] == 0]
    scores = {
        number: np.mean([[a @ features[e.key] for a in own] for e in entries if e.extra['tracklet'] == number])
        for number in (1, 2, 3, 4)
    }
    wanted = sorted(scores, key=scores.get, reverse=True)[:2]
    lines = [line.strip('|').split('|') for line in told.splitlines() if 'hall' in line]
    assert [int(line[2]) for line in lines] == wanted
    assert [float(line[-1]) for line in lines] == pytest.approx([scores[number] for number in wanted], abs=2e-3)
    assert cv2.imread(str(tmp_path / 'out/sheet.jpg')).shape[0] > 3 * 160
    frames = {box['frame0'] for box in boxes if box['tracklet'] in (0, *wanted)}
    assert cv2.VideoCapture(str(tmp_path / 'out/found.avi')).get(cv2.CAP_PROP_FRAME_COUNT) == len(frames)


def test_a_second_search_extracts_nothing_anew(folder, tmp_path, monkeypatch):
    run(folder, tmp_path / 'out', '--tracklet', 0)
    with Gallery.open(tmp_path / 'out/people.gallery') as gallery:
        before = list(gallery)
    asked = []
    extract = ReIDInferencer.extract
    monkeypatch.setattr(
        ReIDInferencer, 'extract', lambda self, images, **o: asked.append(images) or extract(self, images, **o)
    )
    assert (tmp_path / 'out/found.avi').is_file()
    run(folder, tmp_path / 'out', '--image', before[0].image)
    with Gallery.open(tmp_path / 'out/people.gallery') as gallery:
        assert list(gallery) == before and asked == [[before[0].image]]
    run(folder, tmp_path / 'out', '--tracklet', 0, '--every', 4)
    with Gallery.open(tmp_path / 'out/people.gallery') as gallery:
        wanted = {entry.extra['frame'] for entry in before if entry.extra['frame'] % 4 == 1}
        assert {entry.extra['frame'] for entry in gallery} == wanted


def test_clips_are_searched_together(folder, tmp_path, capsys):
    run(folder, tmp_path / 'out', '--tracklet', 1)
    capsys.readouterr()
    run(folder, tmp_path / 'out', '--tracklet', 1, '--topk', 9, clip='door.avi')
    told = capsys.readouterr().out
    assert told.count('hall') == 5 and sum('door ' in line for line in told.splitlines()) == 1
    with Gallery.open(tmp_path / 'out/people.gallery') as gallery:
        assert gallery.delete(filter=GalleryFilter(cameras='hall')) > 0 and len(gallery) > 0


def test_no_clip_of_an_earlier_search_is_left(folder, tmp_path):
    from types import SimpleNamespace

    path = tmp_path / 'found.avi'
    path.write_bytes(b'another search')
    frames = SimpleNamespace(read=lambda numbers, _: iter(()))
    DEMO.write_clip(path, SimpleNamespace(boxes=[], frames=frames, frame_rate=25), {})
    assert not path.exists()


def test_a_frame_that_stands_still_is_one_entry(folder, tmp_path):
    clip = tmp_path / 'still.avi'
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter_fourcc(*'MJPG'), 10, (64, 48))
    for _ in range(6):
        writer.write(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))
    writer.release()
    rows = [f'{frame},{tracklet},{30 * tracklet},4,20,40' for frame in range(6) for tracklet in (0, 1)]
    clip.with_suffix('.csv').write_text('\n'.join(['frame0,tracklet,x,y,w,h', *rows]))
    for _ in range(2):
        run(folder, tmp_path / 'out', '--tracklet', 0, clip=clip)
    with Gallery.open(tmp_path / 'out/people.gallery') as gallery:
        assert [(entry.id, entry.extra) for entry in gallery] == [
            (f'still {number}', dict(frame=1, tracklet=number)) for number in (0, 1)
        ]


def test_a_tracklet_that_is_not_there(folder, tmp_path):
    with pytest.raises(ValueError, match=r'hall\.csv.*77'):
        run(folder, tmp_path / 'out', '--tracklet', 77)
    with pytest.raises(ValueError, match='tracklet 3'):
        run(folder, tmp_path / 'out', '--tracklet', 3, '--every', 27)
    assert not (tmp_path / 'out/people.gallery').exists()


@pytest.mark.parametrize('words', [[], ['--tracklet', '0', '--image', 'a.png'], ['--tracklet', '0', '--topk', '0']])
def test_a_command_line_that_makes_no_sense(words, capsys):
    with pytest.raises(SystemExit):
        DEMO.parse_args(['clip.avi', '--model', 'm', '--out', 'o', *words])
    assert '--t' in capsys.readouterr().err
