# Copyright (c) mmreid contributors. All rights reserved.
"""Checkpoints that run no code but still ask for endless memory, or are nested without end."""

import codecs
import io
import random
import zipfile

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from mmreid.utils.checkpoint import CheckpointError, load_checkpoint_file
from mmreid.utils.plain_content import MAX_DEPTH, MAX_ENTRIES, content_fault


class Calls:
    """Is pickled as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class EmptyTexts:
    """Is pickled as an array of 2**40 empty texts, which takes no bytes."""

    def __reduce__(self):
        function, arguments, _ = np.zeros(0).__reduce__()
        return function, arguments, (1, (2**40,), np.dtype('S'), False, Calls(codecs.encode, '', 'latin1'))


def saved(content, legacy=False):
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


def rewritten(data, pickled=None, compression=zipfile.ZIP_STORED):
    """Writes the zip file of a checkpoint again, with another pickle or compressed."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, 'w', compression) as new:
        for name in old.namelist():
            new.writestr(name, pickled if pickled is not None and name.endswith('data.pkl') else old.read(name))
    return file.getvalue()


def nested(depth):
    content = []
    for _ in range(depth):
        content = [content]
    return content


def laughs(levels, width=10):
    content = [1]
    for _ in range(levels):
        content = [content] * width
    return content


# { 'meta': { 'm': (a list in 100,000 lists) } }, and a dict that holds itself
DEEP = b'\x80\x02}X\x04\x00\x00\x00meta}X\x01\x00\x00\x00m' + b']' * 100_000 + b'a' * 99_999 + b'ss.'
CYCLE = b'\x80\x02}q\x00X\x04\x00\x00\x00metah\x00s.'
with pytest.warns(UserWarning, match='Sparse'):
    SPARSE = saved(dict(state_dict=dict(w=torch.sparse_coo_tensor([[0]], [1.0], (2**40,)))))
BAD = {
    'compressed': (rewritten(saved(dict(w=torch.zeros(10**7))), compression=zipfile.ZIP_DEFLATED), 'claim 40000'),
    'bytearray': (saved(dict(meta=dict(a=Calls(bytearray, 2**36)))), 'bytearray'),
    'bytearray, old format': (saved(dict(meta=dict(a=Calls(bytearray, 2**36))), legacy=True), 'bytearray'),
    'expanded': (saved(dict(state_dict=dict(w=torch.zeros(1).expand(2**40)))), r"\['w'\] .*\(1099511627776,\)"),
    'expanded, old format': (saved(dict(w=torch.zeros(1).expand(2**40)), legacy=True), r"\['w'\] .*\(1099511627776,\)"),
    'without storage': (saved(dict(w=torch.empty(2**40, device='meta'))), r"\['w'\] is a .* on meta"),
    'sparse': (SPARSE, r"\['w'\] is a torch.sparse_coo"),
    'array of nothing': (saved(dict(meta=dict(a=EmptyTexts()))), r"\['a'\] .* 1099511627776 "),
    'deep': (rewritten(saved({}), DEEP), f' {MAX_DEPTH} '),
    'holds itself': (rewritten(saved({}), CYCLE), f' {MAX_DEPTH} '),
    'laughs': (saved(dict(meta=dict(a=laughs(20)))), f' {MAX_ENTRIES} '),
    'laughs in keys': (saved({'meta': dict(a={(tuple(map(tuple, [[1]] * 9)),): laughs(20)})}), f' {MAX_ENTRIES} '),
    'meta a list': (saved(dict(meta=[1], state_dict={})), 'meta .*list'),
    'weights a tensor': (saved(dict(state_dict=torch.ones(2))), 'state_dict .*Tensor'),
    'weights missing': (saved(dict(state_dict=None)), 'state_dict .*NoneType'),
    'number as a name': (saved(dict(state_dict={1: torch.ones(2)})), ' 1,'),
    'wrong call': (saved(dict(meta=dict(a=Calls(HistoryBuffer, 1, 2, 3)))), 'TypeError'),
}


@pytest.mark.parametrize(('data', 'message'), BAD.values(), ids=BAD)
@pytest.mark.parametrize('mmap', [False, True])
def test_is_refused_in_one_sentence(tmp_path, data, message, mmap):
    (tmp_path / 'bad.pth').write_bytes(data)
    with pytest.raises(CheckpointError, match=message) as error:
        load_checkpoint_file(tmp_path / 'bad.pth', mmap=mmap)
    assert 'bad.pth' in str(error.value) and '\n' not in str(error.value) and len(str(error.value)) < 500


def test_what_checkpoints_hold_is_fine(tmp_path):
    weight = torch.ones(4, 4)
    content = dict(
        meta=None,
        state_dict=dict(a=weight, tied=weight, part=weight[1:, 2:], seen=torch.zeros(1).expand(3), none=torch.zeros(0)),
        message_hub=dict(log=HistoryBuffer([1.0, 2.0], [1, 1])),
        optimizer=dict(state={0: dict(step=torch.tensor(1.0))}, param_groups=[dict(params=[0], lr=0.1)]),
        more=(nested(MAX_DEPTH - 3), torch.nn.Parameter(weight), {1, 2}, laughs(3)),
    )
    torch.save(content, tmp_path / 'good.pth')
    assert set(load_checkpoint_file(tmp_path / 'good.pth')) == set(content)


def test_depth_is_counted_exactly():
    assert content_fault(nested(MAX_DEPTH), 1) is None
    assert content_fault(nested(MAX_DEPTH + 1), 1) is not None


def test_random_damage_of_the_pickle_is_no_other_error(tmp_path):
    """Any bytes give a checkpoint, or one sentence."""
    data = saved(dict(meta=dict(epoch=1, cfg='a'), state_dict=dict(w=torch.ones(3)), log=HistoryBuffer([1.0], [1])))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        original = archive.read(next(name for name in archive.namelist() if name.endswith('data.pkl')))
    generator, path, outcomes = random.Random(0), tmp_path / 'x.pth', set()
    for _ in range(300):
        pickled = bytearray(original)
        for _ in range(generator.choice([1, 1, 2, 5])):
            pickled[generator.randrange(len(pickled))] = generator.randrange(256)
        path.write_bytes(rewritten(data, bytes(pickled)))
        try:
            load_checkpoint_file(path)
            outcomes.add('loaded')
        except CheckpointError as error:
            assert '\n' not in str(error)
            outcomes.add('refused')
    assert outcomes == {'loaded', 'refused'}
