# Copyright (c) mmreid contributors. All rights reserved.
"""Files of thresholds: read, refused, and applied to the model that they belong to."""

import json

import pytest
import torch
from tiny_data import write_image
from tiny_models import tiny_model_config, trained

from mmreid.apis import Comparison, ReIDInferencer, read_threshold
from mmreid.apis.threshold import FORMAT
from mmreid.models.reid.fingerprint import model_fingerprint

GOOD = dict(format=FORMAT, threshold=0.25, model=dict(name='epoch_9.pth', hash='0123456789abcdef'))


def write(folder, **changes):
    path = folder / 'threshold.json'
    path.write_text(json.dumps(dict(GOOD, **changes)))
    return path


def test_a_file_is_read(tmp_path):
    threshold = read_threshold(write(tmp_path, threshold=1))
    assert (threshold.value, threshold.model_name, threshold.model_hash) == (1, 'epoch_9.pth', '0123456789abcdef')
    assert threshold.decide(1.0) == Comparison(1.0, True) and not threshold.decide(0.99).same


@pytest.mark.parametrize(
    'changes',
    [
        dict(format='mmreid threshold 9'), dict(threshold='0.5'), dict(threshold=True), dict(threshold=float('nan')),
        dict(threshold=float('inf')), dict(threshold=10**400), dict(model='epoch_9.pth'), dict(model=dict(name='x')),
        dict(model=dict(name='x\x1b', hash='1')), dict(model=dict(name='x', hash=['1'])),
        dict(model=dict(name='x' * 999, hash='1')), dict(model=dict(name='x', hash='1', contract=5)),
    ],
    ids=lambda changes: str(changes)[:40],
)  # fmt: skip
def test_a_hostile_file_is_refused(tmp_path, changes):
    with pytest.raises(ValueError, match='threshold.json'):
        read_threshold(write(tmp_path, **changes))


@pytest.mark.parametrize('content', [b'[]', b'{', b'\xff\xfe', b'[' * 10**5], ids=str)
def test_what_is_not_json(tmp_path, content):
    (tmp_path / 'x.json').write_bytes(content)
    with pytest.raises(ValueError, match='x.json'):
        read_threshold(tmp_path / 'x.json')


def test_the_model_that_it_belongs_to(tmp_path):
    paths = [str(write_image(tmp_path / f'{number}.jpg', number)) for number in range(2)]
    _, model = trained('ImageReID', tmp_path / 'a.pth')
    inferencer = ReIDInferencer(tmp_path / 'a.pth', device='cpu')
    assert inferencer.fingerprint == model_fingerprint(model)  # the head, which only training needs, does not count
    score = inferencer.compare(*paths)
    for value, same in ((score, True), (score + 1e-3, False)):
        file = write(tmp_path, threshold=value, model=dict(name='a.pth', hash=inferencer.fingerprint))
        assert inferencer.compare(*paths, threshold=file) == (score, same)
        assert inferencer.compare(*paths, threshold=read_threshold(file)).same is same

    known = dict(name='a.pth', hash=inferencer.fingerprint)
    file = write(tmp_path, model=dict(known, contract=inferencer.contract.digest))
    assert inferencer.compare(*paths, threshold=file).score == score
    before = ReIDInferencer(tiny_model_config('ImageReID', test_feat='before'), tmp_path / 'a.pth', device='cpu')
    with pytest.raises(ValueError, match=r'threshold\.json was calibrated with a\.pth, whose .* in another way'):
        before.compare(*paths, threshold=file)

    with torch.no_grad():
        next(model.backbone.parameters())[0, 0, 0, 0] += 0.5
    mirrored = ReIDInferencer(tmp_path / 'a.pth', device='cpu', flip_test=True)
    other = model_fingerprint(model)
    for used, name, digits in ((inferencer, 'b.pth', other), (mirrored, 'a.pth', inferencer.fingerprint)):
        with pytest.raises(ValueError, match=rf'{name} \({digits}\).*a\.pth \({used.fingerprint}\)'):
            used.compare(*paths, threshold=write(tmp_path, model=dict(name=name, hash=digits)))
    assert len({inferencer.fingerprint, mirrored.fingerprint, other}) == 3
