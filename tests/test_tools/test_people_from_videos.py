# Copyright (c) mmreid contributors. All rights reserved.
"""People are cut out of videos, by boxes of a CSV file; a call that was stopped goes on."""

import csv

import cv2
import numpy as np
import pytest
from test_tools.tool_modules import load_tool

from mmreid.datasets.preparation import mot_crops
from mmreid.datasets.preparation.box_csv import read_box_csv
from mmreid.datasets.preparation.crop_folder import write_crop_folder
from mmreid.datasets.preparation.frames import VideoFrames
from mmreid.datasets.preparation.mot import read_sequence
from mmreid.datasets.preparation.mot_crops import CropPlan
from mmreid.datasets.transforms import CorruptImageError
from mmreid.datasets.transforms.loading import read_image

TOOL = load_tool('dataset_converters/mot2reid.py')
HEADER = 'frame0,tracklet,person,x,y,w,h'
FRAMES = 50
ROWS = [f'{frame},{tracklet},{person},{4 * tracklet},2,12,20' for frame in range(0, FRAMES, 2)
        for tracklet, person in ((0, 7), (1, 9), (2, 7))]  # fmt: skip


@pytest.fixture
def video(tmp_path):
    """A clip whose frame N has the gray value 4 N, with boxes beside it."""
    path = tmp_path / 'clip.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10, (64, 48))
    for frame in range(FRAMES):
        writer.write(np.full((48, 64, 3), 4 * frame, np.uint8))
    writer.release()
    path.with_suffix('.csv').write_text('\n'.join([HEADER, *ROWS]))
    return path


def rows_of(out):
    with open(out / 'crops.csv', newline='') as file:
        return list(csv.DictReader(file))


def contents(out):
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob('*')) if path.is_file()}


def test_crops_are_those_of_their_frames(video, tmp_path, capsys):
    TOOL.main([str(video), '--out', str(tmp_path / 'out'), '--every', '4'])
    rows = rows_of(tmp_path / 'out')
    assert [(row['frame'], row['track'], row['tracklet']) for row in rows[:4]] == [
        ('1', '7', '0'), ('1', '9', '1'), ('1', '7', '2'), ('5', '7', '0'),
    ]  # fmt: skip
    assert len(rows) == 3 * 13 and {row['camid'] for row in rows} == {'1'}
    assert len({row['img_path'] for row in rows}) == len(rows), 'two tracklets of a person in one frame'
    for row in rows:
        crop = read_image(tmp_path / 'out' / row['img_path'])
        assert crop.shape == (20, 12, 3) and abs(crop.mean() - 4 * (int(row['frame']) - 1)) < 2
        assert row['timestamp'] == f'{(int(row["frame"]) - 1) / 10:.3f}'
    assert '--ignore-cameras' in capsys.readouterr().out


def test_tracklets_count_as_cameras(video, tmp_path, capsys):
    TOOL.main([str(video), '--out', str(tmp_path / 'out'), '--tracklet-cameras', '--min-width', '12'])
    rows = rows_of(tmp_path / 'out')
    assert {(row['pid'], row['camid']) for row in rows} == {('1', '1'), ('2', '2'), ('1', '3')}
    assert 'not across cameras' in capsys.readouterr().out
    with pytest.raises(ValueError, match='75 boxes too narrow'):
        TOOL.main([str(video), '--out', str(tmp_path / 'none'), '--min-width', '13'])
    assert not (tmp_path / 'none').exists()


def test_a_stopped_call_goes_on_and_ends_with_the_same_files(video, tmp_path, monkeypatch):
    sequence, plan = read_sequence(video), CropPlan()
    write_crop_folder([sequence], plan, tmp_path / 'whole', workers=1)
    encode, calls = cv2.imencode, []

    def stop_after(limit):
        calls.clear()

        def counted(*args):
            calls.append(args)
            if len(calls) > limit:
                raise KeyboardInterrupt
            return encode(*args)

        monkeypatch.setattr(mot_crops.cv2, 'imencode', counted)

    stop_after(40)
    with pytest.raises(KeyboardInterrupt):
        write_crop_folder([sequence], plan, tmp_path / 'out', workers=1)
    assert not (tmp_path / 'out').exists()
    stop_after(10**9)
    write_crop_folder([sequence], plan, tmp_path / 'out', workers=2)
    assert len(calls) <= len(ROWS) - 39 and contents(tmp_path / 'out') == contents(tmp_path / 'whole')
    assert {path.name for path in tmp_path.iterdir()} == {'clip.avi', 'clip.csv', 'out', 'whole'}

    stop_after(40)
    with pytest.raises(KeyboardInterrupt):
        write_crop_folder([sequence], plan, tmp_path / 'other', workers=1)
    stop_after(10**9)
    write_crop_folder([sequence], CropPlan(padding=0.1), tmp_path / 'other', workers=1)  # other crops start anew
    assert len(calls) == len(ROWS)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('tracklet,x,y,w,h\n1,1,1,1,1', 'lacks frame0'),
        ('frame0,person,x,y,w,h\n1,1,1,1,1,1', 'lacks tracklet'),
        (HEADER, 'no rows'),
        (f'{HEADER}\n1,0,7,a,2,3,4', r"line 2: .*'a'"),
        (f'{HEADER}\n1,0,7,nan,2,3,4', r"line 2: .*'nan'"),
        (f'{HEADER}\n1,0,7,1,2,3', 'line 2: '),
        (f'{HEADER}\n-1,0,7,1,2,3,4', 'line 2: frame0 -1'),
        (f'{HEADER}\n1,0,7,1,2,3,4\n2,0,8,1,2,3,4', 'line 3: tracklet 0 .*person 8'),
        (f'{HEADER}\n1,0,7,1,2,3,4\n1,0,7,1,2,3,4', 'line 3: tracklet 0 .*two boxes'),
        ('frame,tracklet,x,y,w,h\n0,0,1,2,3,4', 'line 2: frame 0'),
    ],
)
def test_malformed_boxes_are_named(tmp_path, text, message):
    (tmp_path / 'boxes.csv').write_text(text)
    with pytest.raises(ValueError, match=message):
        read_box_csv(tmp_path / 'boxes.csv')


def test_without_persons_each_tracklet_is_one(tmp_path):
    (tmp_path / 'boxes.csv').write_text('frame,tracklet,x,y,w,h,score\n3,5,1,2,3,4,0.9\n1,5,1,2,3,4,0.8\n')
    assert [(box.frame, box.track, box.tracklet) for box in read_box_csv(tmp_path / 'boxes.csv')] == [
        (1, 5, 5),
        (3, 5, 5),
    ]


def test_bad_videos_are_named(video, tmp_path):
    with pytest.raises(FileNotFoundError, match='none.mp4'):
        VideoFrames(tmp_path / 'none.mp4')
    (tmp_path / 'text.mp4').write_text('no video')
    with pytest.raises(CorruptImageError, match='text.mp4'):
        VideoFrames(tmp_path / 'text.mp4')
    video.with_suffix('.csv').write_text(f'{HEADER}\n60,0,7,1,2,3,4')
    with pytest.raises(ValueError, match='frame 61'):
        TOOL.main([str(video), '--out', str(tmp_path / 'out')])
    video.with_suffix('.csv').unlink()
    with pytest.raises(FileNotFoundError, match='clip.csv.*--boxes'):
        TOOL.main([str(video), '--out', str(tmp_path / 'out')])
    with pytest.raises(CorruptImageError, match='64 x 48'):
        next(VideoFrames(video).read([1], 100))
    with pytest.raises(ValueError, match='--boxes .* 2'):
        TOOL.main([str(video), str(tmp_path / 'text.mp4'), '--boxes', str(video), '--out', str(tmp_path / 'out')])
    assert not (tmp_path / 'out').exists()
