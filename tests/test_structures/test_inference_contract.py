# Copyright (c) mmreid contributors. All rights reserved.
"""What a checkpoint says about using its model."""

import json

import pytest
from test_hostile_files import JSON, refused
from tiny_models import MODELS_BY_KIND, tiny_model_config

from mmreid.models.reid.inference_contract import contract_of
from mmreid.registry import MODELS
from mmreid.structures import InferenceContract, Preprocessing


def contract(kind='ImageReID', **changes):
    cfg = tiny_model_config(kind, **changes)
    return contract_of(cfg, MODELS.build(cfg.model))


@pytest.mark.parametrize('kind', MODELS_BY_KIND)
def test_it_says_how_images_are_prepared_and_comes_back_from_json(kind):
    made = contract(kind)
    assert made.preprocessing == Preprocessing(
        (64, 32), 'bicubic', 'pillow', 'bgr', (120.5, 110.0, 100.0), (50.0, 60.25, 70.0)
    )
    assert InferenceContract.from_json(made.to_json(), 'x') == made
    assert json.loads(made.to_json())['format'] == 1


def test_what_comes_out_of_each_kind():
    made = {kind: contract(kind) for kind in MODELS_BY_KIND}
    assert {kind: (each.embedding, each.normalized, each.modalities) for kind, each in made.items()} == dict(
        ImageReID=('vector', False, ()),
        PairwiseReID=('map', True, ()),
        CrossModalReID=('vector', False, ('visible', 'infrared')),
        DomainAdaptiveReID=('vector', True, ()),
    )
    assert made['PairwiseReID'].matcher == dict(type='QAConvMatcher', size=[4, 2])
    assert made['ImageReID'].matcher == dict(type='CosineMatcher')
    assert set(made['CrossModalReID'].model['arch'].values()) == {'split', 'share'}
    assert not contract('DomainAdaptiveReID', flip_test=True).normalized  # a sum of two unit vectors


def test_losses_and_initial_weights_stay_out():
    cfg = tiny_model_config('ImageReID')
    model = MODELS.build(cfg.model)
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint='https://example.org/x.pth')
    made = contract_of(cfg, model)
    assert made.model['head'] == dict(type='NoHead') and 'example' not in made.to_json()
    with pytest.raises(RuntimeError):
        MODELS.build(made.model['head']).loss()


def test_a_searched_architecture_takes_the_place_of_the_search():
    cfg = tiny_model_config('CrossModalReID', mutator=dict(type='BNMutator'))
    model = MODELS.build(cfg.model)
    assert contract_of(cfg, model).model['mutator'] == dict(type='BNMutator')
    pruned = contract_of(cfg, model, dict(bn1='split')).model
    assert pruned['arch'] == dict(bn1='split') and 'mutator' not in pruned


@pytest.mark.parametrize(
    ('path', 'value', 'named'),
    [
        ('test_dataloader.dataset.pipeline.1.keep_ratio', True, 'keep_ratio'),
        ('test_dataloader.dataset.pipeline.1.type', 'CenterCrop', 'CenterCrop'),
        ('test_dataloader.dataset.pipeline.0.type', 'LoadCamStyleImage', 'LoadCamStyleImage'),
        ('test_dataloader', None, 'pipeline'),
        ('model.backbone.type', 'torch.nn.Linear', 'torch.nn.Linear'),
        ('model.backbone.type', 'mmpretrain.VisionTransformer', 'VisionTransformer'),
        ('model.backbone.drop', float('nan'), 'nan'),
    ],
)
def test_what_it_cannot_say_is_an_error(path, value, named):
    cfg = tiny_model_config('ImageReID')
    model = MODELS.build(cfg.model)
    cfg.merge_from_dict({path: value})
    with pytest.raises(ValueError, match=named):
        contract_of(cfg, model)


def changed(path, value):
    content = json.loads(contract().to_json())
    *places, last = path.split('.')
    part = content
    for place in places:
        part = part[place]
    part[last] = value
    return json.dumps(content)


@pytest.mark.parametrize('text', JSON.values(), ids=JSON)
def test_other_json_is_refused(text):
    refused(lambda: InferenceContract.from_json(text, 'x.pth'), 'x.pth')


@pytest.mark.parametrize(
    ('path', 'value'),
    [
        ('format', 2), ('format', True), ('surplus', 1), ('embedding', 'text'), ('embedding', []), ('normalized', 1),
        ('modalities', ['visible']), ('modalities', 'visible'), ('matcher', []), ('model', 'os.system'),
        ('preprocessing', []), ('preprocessing.size', [64]), ('preprocessing.size', [64, 10**9]),
        ('preprocessing.size', [0, 32]), ('preprocessing.size', [64.5, 32]), ('preprocessing.size', {}),
        ('preprocessing.std', [1, 1, 0]), ('preprocessing.std', [1, 1, float('nan')]),
        ('preprocessing.mean', ['a'] * 3),
        ('preprocessing.mean', [10**400] * 3), ('preprocessing.interpolation', 'os.system'),
        ('preprocessing.channel_order', {}), ('preprocessing.surplus', 1),
    ],
)  # fmt: skip
def test_wrong_values_are_refused(path, value):
    refused(lambda: InferenceContract.from_json(changed(path, value), 'x.pth'), 'x.pth')
