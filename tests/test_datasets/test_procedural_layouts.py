# Copyright (c) mmreid contributors. All rights reserved.
"""The parsers read what the procedural generator writes in their layouts, to the last image."""

import pytest

from mmreid.datasets import CUHK03NP, MSMT17, DukeMTMC, RandPerson
from mmreid.datasets.synthetic import LAYOUTS, write_dataset

SIZES = dict(train_ids=2, test_ids=2, images_per_camera=2)


@pytest.mark.parametrize(
    'layout, sizes, data_set, options, share',
    [
        ('msmt17', dict(**SIZES, release='V1'), MSMT17, dict(variant='V1'), 1),
        ('msmt17', dict(**SIZES, release='V2'), MSMT17, dict(variant='V2'), 1),
        ('cuhk03np', SIZES, CUHK03NP, dict(variant='detected'), 0.5),
        ('cuhk03np', SIZES, CUHK03NP, dict(variant='labeled'), 0.5),
        ('dukemtmc', SIZES, DukeMTMC, {}, 1),
        ('randperson', dict(train_ids=2), RandPerson, {}, 1),
    ],
)
def test_every_image_is_read(tmp_path, mmreid_log, layout, sizes, data_set, options, share):
    plan = LAYOUTS[layout](**sizes)
    write_dataset(tmp_path / 'world', plan.make_world(seed=3, cameras=2, size=(32, 16)), plan)
    splits = ('train',) if data_set is RandPerson else ('train', 'test')
    read = {split: data_set(str(tmp_path / 'world'), split=split, **options) for split in splits}
    on_disk = sum(path.suffix in ('.jpg', '.png') for path in (tmp_path / 'world').rglob('*'))
    assert sum(map(len, read.values())) == on_disk * share
    assert read['train'].num_classes == 2 and set(read['train'].camids.tolist()) == {0, 1}
    if 'test' in read:
        assert not set(read['train'].pids.tolist()) & set(read['test'].pids.tolist())
        queries = read['test'].splits == 'query'
        assert set(read['test'].pids[queries]) <= set(read['test'].pids[~queries])
    assert 'expected' not in mmreid_log.text  # the generator's sizes are its own
