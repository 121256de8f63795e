# Copyright (c) mmreid contributors. All rights reserved.
"""The bases of the single-modality data sets build a data set that asks for the folder they name."""

import pytest
from mmengine.config import Config
from tiny_config import ROOT

from mmreid.datasets import Market1501
from mmreid.registry import DATASETS

FOLDER = ROOT / 'configs/_base_/datasets'
NAMES = {
    'market1501': ('market1501', 'market1501'),
    'market1501_500k': ('market1501', 'market1501_500k'),
    'dukemtmc': ('dukemtmc', 'dukemtmc'),
    'msmt17': ('msmt17', 'msmt17'),
    'cuhk03np_detected': ('cuhk03np', 'cuhk03np'),
    'cuhk03np_labeled': ('cuhk03np', 'cuhk03np'),
    'randperson': ('randperson', 'market1501'),
    'clonedperson': ('clonedperson', 'clonedperson'),
    'vtest': ('vtest-development', 'vtest-test'),
}


@pytest.mark.parametrize('name', NAMES)
def test_data_sets_of_the_bases_build(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where no data lies
    cfg = Config.fromfile(FOLDER / f'{name}.py')
    train, test = (
        DATASETS.build({**cfg[f'{loader}_dataloader'].dataset, 'lazy_init': True}) for loader in ('train', 'test')
    )
    assert (train.name, test.name) == NAMES[name] and (train.split, test.split) == ('train', 'test')
    assert len(train.pipeline.transforms) == 6 and len(test.pipeline.transforms) == 3
    assert cfg.train_dataloader.batch_size == 64 and cfg.val_evaluator.type == 'ReIDMetric'
    for dataset in (train, test):
        assert dataset.data_root.startswith('data/')
        with pytest.raises(FileNotFoundError, match=f' {dataset.data_root}'):
            dataset.full_init()


def test_more_distractors_are_tested_among_but_not_validated_among():
    cfg = Config.fromfile(FOLDER / 'market1501_500k.py')
    assert 'distractors' not in cfg.val_dataloader.dataset and cfg.test_dataloader.dataset.distractors == 'images'
    assert cfg.test_dataloader.dataset.pipeline == cfg.val_dataloader.dataset.pipeline
    dataset = Market1501('x', distractors='images', lazy_init=True)
    assert dataset.published_counts()['gallery'].images == 515_913
