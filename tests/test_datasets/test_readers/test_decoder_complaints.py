# Copyright (c) mmreid contributors. All rights reserved.
"""Images that libjpeg calls damaged are noticed, named and counted."""

import os

import pytest
from tiny_data import write_image, write_market
from torch.utils.data import DataLoader

from mmreid.datasets import ConcatReIDDataset, Market1501
from mmreid.datasets.preparation.checking import read_all
from mmreid.datasets.readers.decoder_complaints import DecoderComplaints
from mmreid.datasets.transforms.loading import CorruptImageError, read_image

PIPELINE = [dict(type='LoadReIDImage'), dict(type='PackReIDInputs')]


def damage(path):
    """Zeros in the middle of the pixels' data; the file ends as it should."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    path.write_bytes(data)
    return str(path)


def test_complaints_are_told_from_all_else(tmp_path, capfd):
    path = damage(write_image(tmp_path / 'a.jpg'))
    with DecoderComplaints() as complaints:
        read_image(path)
        os.write(2, b'something else\n')
        os.write(2, b'and more\n')
    assert len(complaints.lines) == 1 and complaints.lines[0].startswith('Corrupt JPEG data: ')
    assert capfd.readouterr().err == 'something else\nand more\n'
    with DecoderComplaints() as complaints:
        read_image(write_image(tmp_path / 'b.jpg'))
    assert complaints.lines == []
    with pytest.raises(CorruptImageError), DecoderComplaints() as complaints:
        read_image(tmp_path / 'none.jpg')
    os.write(2, b'still there\n')
    assert capfd.readouterr().err == 'still there\n'


@pytest.mark.parametrize('workers', [0, 2])
def test_data_sets_remember_what_is_damaged(tmp_path, workers):
    root = write_market(tmp_path, num_train=2, num_test=2, images=1)
    damaged = [damage(path) for path in sorted((root / 'bounding_box_train').iterdir())[1:3]]
    dataset = Market1501(str(root), pipeline=PIPELINE)
    assert dataset.damaged_files == []
    for _ in DataLoader(dataset, batch_size=2, num_workers=workers, collate_fn=list):
        pass
    assert dataset.damaged_files == damaged and dataset.corrupt_files == []
    part = dict(type='Market1501', data_root=str(root), split='train')
    whole = ConcatReIDDataset([part, part], pipeline=PIPELINE)
    [whole[i] for i in range(len(whole))]
    assert whole.damaged_files == damaged * 2


def test_the_checker_names_them(tmp_path, capfd):
    paths = [str(write_image(tmp_path / f'{i}.jpg', i)) for i in range(4)]
    damage(tmp_path / '1.jpg')
    (tmp_path / '2.jpg').write_bytes(b'')
    sizes, faults, damaged = read_all(paths, workers=2)
    assert sizes[:, 0].tolist() == [64, 64, 0, 64] and list(faults) == [paths[2]] and list(damaged) == [paths[1]]
    assert damaged[paths[1]].startswith('Corrupt JPEG data') and capfd.readouterr().err == ''
