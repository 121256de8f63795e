# Copyright (c) mmreid contributors. All rights reserved.
"""The labeled people of OpenCV's clip: which file is taken, which crops, which persons."""

import csv
import os
from pathlib import Path

import pytest
import torch
from test_tools.tool_modules import load_tool
from tiny_data import write_image

from mmreid.datasets import VTest
from mmreid.datasets.preparation.box_csv import read_box_csv
from mmreid.datasets.preparation.vtest_clip import LABELS, read_clip
from mmreid.evaluation.functional import Protocol
from mmreid.evaluation.metrics import ReIDMetric

TOOL = load_tool('dataset_converters/vtest2reid.py')


@pytest.fixture
def folder(tmp_path):
    """Two persons of each half; of person 1 and 2 two tracklets."""
    (tmp_path / 'images').mkdir()
    with open(tmp_path / 'crops.csv', 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['img_path', 'pid', 'camid', 'timestamp', 'track', 'tracklet'])
        for tracklet, person in enumerate((1, 1, 3, 2, 2, 4)):
            for frame in (1, 7):
                name = f'images/{tracklet}_{frame}.jpg'
                write_image(tmp_path / name, tracklet)
                writer.writerow([name, person + 20, tracklet + 1, frame / 10, person, tracklet])
    return tmp_path


def test_queries_are_of_the_chosen_persons_and_the_gallery_is_everybody(folder, mmreid_log):
    for persons, pids in (('development', [1, 3]), ('test', [2, 4]), ('all', [1, 2, 3, 4])):
        test = VTest(str(folder), persons=persons, split='test')
        test.full_init()
        queries = test.splits == 'query'
        assert sorted(set(test.pids[queries].tolist())) == pids and queries.sum() == 3 * len(pids)
        assert sorted(set(test.pids[~queries].tolist())) == [1, 2, 3, 4] and (~queries).sum() == 12
    assert [test.name, VTest(str(folder), lazy_init=True).name] == ['vtest', 'vtest-development']
    assert 'query and gallery at once' not in mmreid_log.text
    train = VTest(str(folder), persons='test')
    assert len(train) == 6 and train.num_classes == 2
    with pytest.raises(ValueError, match="persons='half' of VTest"):
        VTest(str(folder), persons='half')
    with pytest.raises(FileNotFoundError, match='crops.csv'):
        VTest(str(folder / 'images')).full_init()


def test_a_query_is_not_compared_with_its_own_tracklet(folder, mmreid_log):
    test = VTest(str(folder), split='test')
    test.full_init()
    metric = ReIDMetric()
    metric.dataset_meta = test.metainfo
    assert metric.use_cross_camera(torch.from_numpy(test.camids))
    metric._log_rule(Protocol(), len(test))
    assert 'tracklets count as cameras' in mmreid_log.text


def test_the_label_table_is_whole():
    boxes = read_box_csv(LABELS)
    assert len(boxes) == 1739 and {box.track for box in boxes} == set(range(1, 11))
    assert len({box.tracklet for box in boxes}) == 41 and min(box.frame for box in boxes) == 1


def test_another_clip_is_refused(tmp_path):
    (tmp_path / 'vtest.avi').write_bytes(b'RIFF')
    with pytest.raises(ValueError, match=f'{tmp_path}/vtest.avi .*45cddc94'):
        read_clip(tmp_path / 'vtest.avi')
    with pytest.raises(FileNotFoundError, match=f'{tmp_path}/none.avi .*vtest.md'):
        TOOL.main([str(tmp_path / 'none.avi'), '--out', str(tmp_path / 'out')])
    assert not (tmp_path / 'out').exists()


@pytest.mark.skipif('MMREID_REAL_DATA' not in os.environ, reason='MMREID_REAL_DATA names no folder with vtest.avi')
def test_the_clip_gives_the_crops_of_the_protocol(tmp_path):
    TOOL.main([str(Path(os.environ['MMREID_REAL_DATA'], 'vtest.avi')), '--out', str(tmp_path / 'out')])
    sizes = {persons: len(VTest(str(tmp_path / 'out'), persons=persons)) for persons in ('development', 'test', 'all')}
    assert sizes == dict(development=288, test=289, all=577)
