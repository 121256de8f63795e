# Copyright (c) mmreid contributors. All rights reserved.
"""The model that the package ships: it needs nothing else, and learned from drawn people."""

import importlib.util

import numpy as np
import pytest
import torch
from tiny_config import ROOT

from mmreid.apis import ReIDInferencer, get_model, list_models
from mmreid.apis.model_building import contract_of_model
from mmreid.apis.model_list import PACKAGE, find_model
from mmreid.datasets import Market1501
from mmreid.datasets.synthetic import LAYOUTS, write_dataset

FOLDERS = sorted(path for path in (PACKAGE / 'apis' / 'builtin').iterdir() if path.is_dir())


@pytest.fixture(scope='module')
def benchmark():
    spec = importlib.util.spec_from_file_location('builtin_model', ROOT / 'benchmarks/baseline/builtin_model.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize('folder', FOLDERS, ids=lambda folder: folder.name)
def test_the_name_and_the_folder_are_the_same_model(folder):
    assert 'procedural' in folder.name and folder.name in list_models()
    assert find_model(folder.name).weights == str(folder)
    listed, described = get_model(f'mmreid::{folder.name}', pretrained=True), get_model(folder)
    weights = {key: value for key, value in listed.state_dict().items() if not key.startswith('head.')}
    torch.testing.assert_close(weights, dict(described.state_dict()), rtol=0, atol=0)
    assert contract_of_model(listed) == contract_of_model(described)


@pytest.mark.parametrize('folder', FOLDERS, ids=lambda folder: folder.name)
def test_it_is_small_and_says_what_it_knows(folder):
    assert sum(path.stat().st_size for path in folder.iterdir()) < 3 * 10**6
    assert not list(folder.glob('*.safetensors'))  # they need a package that pip does not install with ours
    card = (folder / 'README.md').read_text()
    assert 'Trained on drawn people only' in card and 'ImageNet' in card
    assert 'Permission is hereby granted' in (folder / 'LICENSE-imagenet-weights').read_text()


def test_there_is_one(benchmark):
    assert [folder.name for folder in FOLDERS] == [benchmark.NAME]


def test_it_finds_drawn_people_better_than_their_colors(benchmark, tmp_path):
    plan = LAYOUTS['market1501'](train_ids=2, test_ids=20)
    write_dataset(tmp_path / 'people', plan.make_world(seed=7, size=(64, 32)), plan)
    data_set = Market1501(data_root=str(tmp_path / 'people'), split='test', pipeline=[])
    records = [data_set.get_data_info(index) for index in range(len(data_set))]
    paths = [record['img_path'] for record in records]
    learned = ReIDInferencer(f'mmreid::{benchmark.NAME}', device='cpu').extract(paths, progress=False)
    colors = np.stack([benchmark.histogram(path, corrected=False) for path in paths])
    m_ap, *_ = benchmark.measure(learned, records)
    assert float(m_ap) > 1.5 * float(benchmark.measure(colors, records)[0])
