# Copyright (c) mmreid contributors. All rights reserved.
"""People are cut out of MOTChallenge sequences."""

import csv

import cv2
import numpy as np
import pytest
from test_tools.tool_modules import load_tool
from tiny_data import write_image

from mmreid.datasets import CsvReIDDataset
from mmreid.datasets.preparation.boxes import Box, read_boxes
from mmreid.datasets.preparation.mot import find_sequences, read_sequence
from mmreid.datasets.preparation.mot_crops import CropPlan, clip, plan_crops
from mmreid.datasets.preparation.own_sources import read_source
from mmreid.datasets.transforms import CorruptImageError
from mmreid.datasets.transforms.loading import read_image

TOOL = load_tool('dataset_converters/mot2reid.py')
BOXES = ('1,3,1,1,10,20,1,1,1', '1,7,21,11,10,20,1,1,0.5', '2,3,5,1,10,20,1,1,1', '3,7,21,11,10,20,1,1,0.1')


def write_sequence(root, boxes=BOXES, frames=3, info='[Sequence]\nframeRate=10\nimDir=img1\n'):
    for frame in range(1, frames + 1):
        write_image(root / 'img1' / f'{frame:06d}.jpg', frame, size=(60, 80))
    (root / 'gt').mkdir(parents=True)
    (root / 'gt/gt.txt').write_text('\n'.join(boxes))
    if info:
        (root / 'seqinfo.ini').write_text(info)
    return root


def rows_of(out):
    with open(out / 'crops.csv', newline='') as file:
        return list(csv.DictReader(file))


def convert(root, out, *arguments):
    TOOL.main([str(root), '--out', str(out), *map(str, arguments)])
    return rows_of(out)


def test_crops_and_their_list(tmp_path):
    write_sequence(tmp_path / 'mot/b')
    write_sequence(tmp_path / 'mot/a', BOXES[:2], info='')
    rows = convert(tmp_path / 'mot', tmp_path / 'out')
    assert [(row['sequence'], row['track'], row['frame'], row['pid'], row['camid']) for row in rows] == [
        ('a', '3', '1', '1', '1'), ('a', '7', '1', '2', '1'),
        ('b', '3', '1', '3', '2'), ('b', '7', '1', '4', '2'), ('b', '3', '2', '3', '2'), ('b', '7', '3', '4', '2'),
    ]  # fmt: skip
    assert [row['timestamp'] for row in rows] == ['', '', '0.000', '0.000', '0.100', '0.200']
    assert rows[4]['img_path'] == 'images/0003_c2s1_000002_00.jpg'
    dataset = CsvReIDDataset(str(tmp_path / 'out'), 'crops.csv')
    assert dataset.camids.tolist() == [0, 0, 1, 1, 1, 1] and dataset.num_classes == 4
    assert len(read_source(tmp_path / 'out/images').rows) == 6  # the names are those of Market-1501


def test_pixels_are_those_of_the_box(tmp_path):
    write_sequence(tmp_path / 'seq', ['2,5,11,6,30,40,1,1,1'])
    frame = np.zeros((60, 80, 3), np.uint8)
    frame[5:45, 10:40] = (0, 0, 255)  # the box counts from 1
    (tmp_path / 'seq/img1/000002.jpg').unlink()
    (tmp_path / 'seq/img1/000002.png').write_bytes(cv2.imencode('.png', frame)[1].tobytes())
    rows = convert(tmp_path / 'seq', tmp_path / 'out')
    crop = read_image(tmp_path / 'out' / rows[0]['img_path'])
    assert crop.shape == (40, 30, 3) and crop[..., 2].min() > 240 and crop[..., 0].max() < 15
    rows = convert(tmp_path / 'seq', tmp_path / 'padded', '--padding', 0.1)
    assert read_image(tmp_path / 'padded' / rows[0]['img_path']).shape == (48, 36, 3)


def test_shared_ids(tmp_path):
    for name in 'ab':
        write_sequence(tmp_path / 'mot' / name)
    rows = convert(tmp_path / 'mot', tmp_path / 'out', '--shared-ids')
    assert len({row['pid'] for row in rows}) == 2 and {row['camid'] for row in rows} == {'1', '2'}


def test_files_do_not_depend_on_the_workers(tmp_path):
    write_sequence(tmp_path / 'seq')
    for workers in (1, 3):
        convert(tmp_path / 'seq', tmp_path / f'out{workers}', '--workers', workers)
    one, three = (sorted((tmp_path / f'out{workers}').rglob('*.*')) for workers in (1, 3))
    assert len(one) == 6 and [path.read_bytes() for path in one] == [path.read_bytes() for path in three]


@pytest.mark.parametrize(
    ('options', 'kept'),
    [
        (dict(), 4),
        (dict(every=2), 3),
        (dict(min_visibility=0.4), 3),
        (dict(classes=(1, 2)), 4),
    ],
)
def test_filters(tmp_path, options, kept):
    boxes = [*BOXES, '2,9,1,1,10,20,0,1,1']  # a flag of 0 means to ignore
    sequence = read_sequence(write_sequence(tmp_path / 'seq', boxes))
    assert len(plan_crops([sequence], CropPlan(**options))[0]) == kept
    with pytest.raises(ValueError, match=' 1 sequences: 4 .*classes'):
        plan_crops([sequence], CropPlan(classes=(2,)))


def test_boxes_outside_of_the_image_are_clipped_or_counted(tmp_path, capsys):
    assert clip(Box(1, 1, -5, -5, 15, 25, 1, 1), 0, (60, 80)) == (0, 20, 0, 10)
    assert clip(Box(1, 1, 75, 50, 15, 25, 1, 1), 0.2, (60, 80)) == (45, 60, 72, 80)
    for box in (
        Box(1, 1, 80, 5, 9, 9, 1, 1),
        Box(1, 1, -9, 5, 9, 9, 1, 1),
        Box(1, 1, 5, 5, 0, 9, 1, 1),
        Box(1, 1, 5, 5, -3, 9, 1, 1),
        Box(1, 1, 5, 5, 0.2, 9, 1, 1),
    ):
        assert clip(box, 0, (60, 80)) is None
    write_sequence(tmp_path / 'seq', [*BOXES, '1,8,100,1,10,20,1,1,1', '1,9,1,50,10,20,1,1,1'])
    assert len(convert(tmp_path / 'seq', tmp_path / 'out', '--min-height', 15)) == 4
    assert '1 boxes outside of the image, 1 boxes too low' in capsys.readouterr().out


def test_files_of_other_lengths(tmp_path):
    write_sequence(tmp_path / 'mot15', ['1,3,1,1,10,20,1,-1,-1,-1'])
    box = read_sequence(tmp_path / 'mot15').boxes[0]
    assert (box.klass, box.visibility, box.left, box.top) == (None, None, 0, 0)
    with pytest.raises(ValueError, match='visibility .*min_visibility'):
        plan_crops([read_sequence(tmp_path / 'mot15')], CropPlan(min_visibility=0.5))
    (tmp_path / 'gt.txt').write_bytes(b'\xef\xbb\xbf1,3,1,1,10,20\r\n\r\n2,3,1,1,10,20\r\n')
    assert len(read_boxes(tmp_path / 'gt.txt', '')) == 2


@pytest.mark.parametrize(
    ('row', 'message'),
    [
        ('1,2,3', 'line 2: .*6 to 10 .*1,2,3'),
        ('1,2,3,4,five,6,1', 'line 2: .*6 to 10 .*five'),
        ('1,2,3,4,nan,6,1', 'line 2: .*6 to 10 .*nan'),
        ('0,2,3,4,5,6,1', 'line 2: frame 0 '),
        ('1,-1,3,4,5,6,1', 'line 2: .*identity -1 '),
        ('1,3,3,4,5,6,1', 'line 2: identity 3 .*frame 1 .*line 1'),
    ],
)
def test_malformed_rows_are_named(tmp_path, row, message):
    (tmp_path / 'gt.txt').write_text(f'{BOXES[0]}\n{row}\n')
    with pytest.raises(ValueError, match=message):
        read_boxes(tmp_path / 'gt.txt', '')


def test_missing_parts_are_named(tmp_path, capsys):
    sequence = write_sequence(tmp_path / 'seq', [*BOXES, '9,3,1,1,10,20,1,1,1'])
    with pytest.raises(ValueError, match=' 1 .* 1 .*frame 9'):
        convert(sequence, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()
    assert len(convert(sequence, tmp_path / 'out', '--skip-missing')) == 4
    assert '1 boxes in frames without an image' in capsys.readouterr().out
    (sequence / 'seqinfo.ini').write_text('[Sequence]\nframeRate=fast\n')
    with pytest.raises(ValueError, match='seqinfo.ini .*frameRate=30'):
        read_sequence(sequence)
    (sequence / 'seqinfo.ini').write_text('[Sequence]\nimDir=frames\n')
    with pytest.raises(FileNotFoundError, match='/frames '):
        read_sequence(sequence)
    (sequence / 'gt/gt.txt').unlink()
    (sequence / 'seqinfo.ini').unlink()
    with pytest.raises(FileNotFoundError, match=f'{sequence}/gt/gt.txt '):
        read_sequence(sequence)
    with pytest.raises(FileNotFoundError, match="'x-.'"):
        find_sequences([tmp_path], 'x-*')


def test_one_detector_is_chosen(tmp_path):
    for name in ('MOT17-02-DPM', 'MOT17-02-SDP', 'MOT17-04-SDP'):
        write_sequence(tmp_path / name)
    with pytest.raises(ValueError, match="--sequences '.-SDP'"):
        find_sequences([tmp_path])
    assert [path.name for path in find_sequences([tmp_path], '*-SDP')] == ['MOT17-02-SDP', 'MOT17-04-SDP']


def test_failure_leaves_nothing_and_force_replaces_only_its_own(tmp_path):
    sequence, out = write_sequence(tmp_path / 'seq'), tmp_path / 'out'
    good = (sequence / 'img1/000003.jpg').read_bytes()
    (sequence / 'img1/000003.jpg').write_bytes(b'')
    with pytest.raises(CorruptImageError, match='000003.jpg'):
        convert(sequence, out)
    assert [path.name for path in tmp_path.iterdir()] == ['seq']
    (sequence / 'img1/000003.jpg').write_bytes(good)
    convert(sequence, out)
    with pytest.raises(FileExistsError, match='--force'):
        convert(sequence, out)
    (out / 'split.csv').write_text('')  # of make_split.py
    assert len(convert(sequence, out, '--every', 2, '--force')) == 3
    (out / 'images/notes.txt').write_text('mine')
    with pytest.raises(FileExistsError, match=' images/notes.txt'):
        convert(sequence, out, '--force')
    with pytest.raises(FileExistsError, match='img1 .*content'):
        convert(sequence, sequence / 'img1', '--force')
    with pytest.raises(ValueError, match=f'--out {tmp_path} .*{sequence}'):
        convert(sequence, tmp_path, '--force')


def test_numbers_out_of_range():
    with pytest.raises(ValueError, match='every=0 '):
        CropPlan(every=0)
