# Copyright (c) mmreid contributors. All rights reserved.
"""Files that a stranger made: each reader takes them, or refuses them in one sentence that names the file.

The checkpoints are in test_utils/test_plain_content.py and test_engine/test_runners/test_training_state.py, features in
test_engine/test_runners/test_features_content.py, parts of a memory in test_engine/test_hooks/test_memory_shards.py.
"""

import io
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torch
from test_tools.tool_modules import load_tool
from tiny_data import write_image
from warm_processes import run_warm

from mmreid.datasets import CsvReIDDataset, Market1501
from mmreid.datasets.preparation.camstyle_folder import MARKER, CamStyleFolder
from mmreid.datasets.preparation.mot import read_sequence
from mmreid.datasets.readers.csv_rows import read_csv_rows
from mmreid.datasets.readers.id_list import read_ids, read_ids_of_mat
from mmreid.datasets.readers.list_rows import read_labeled_images
from mmreid.datasets.readers.published_counts import WORLD_MANIFEST, is_procedural
from mmreid.evaluation.functional.gallery_draws import read_permutations
from mmreid.utils.arch_io import load_arch, read_arch
from mmreid.utils.atomic_folder import check_free
from mmreid.utils.current_run import RUN_FILE, read_current_run
from mmreid.utils.json_text import is_number, parse_json
from mmreid.utils.training_log import read_training_log, train_time

DEEP, HUGE = '[' * 100_000, '9' * 5000
JSON = {
    'no JSON': '{"a": ',
    'a list': '[1, 2]',
    'a number': '7',
    'null': 'null',
    'deep': DEEP,
    'deep inside': '{"a": ' + DEEP,
    'a huge number': '{"a": ' + HUGE + '}',
    'zeros': '\0' * 100,
    'a pickle': '\x80\x04csubprocess\nPopen\n',
}


def refused(read: Callable[[], Any], name: str, kind: type[Exception] | tuple = ValueError) -> None:
    with pytest.raises(kind) as error:
        read()
    text = str(error.value)
    assert name in text and '\n' not in text and len(text) < 1000, text


@pytest.mark.parametrize('text', [DEEP, '{"a":' * 100_000, HUGE, '{', '\0'], ids=range(5))
def test_json_has_one_kind_of_error(text):
    with pytest.raises(ValueError):
        parse_json(text)


def test_numbers_of_json():
    assert [is_number(value) for value in (1, 1.5, float('nan'), True, None, '1', 2**63, -(2**63) + 1, [1])] == [
        True, True, True, False, False, False, False, True, False,
    ]  # fmt: skip


ARCH = dict(format=1, norms={'bn1': 'share'}, backbone={}, split_probability={'bn1': 0.5})
BAD_ARCH = {
    **JSON,
    'another format': json.dumps(ARCH | dict(format='1')),
    'no norms': json.dumps(ARCH | dict(norms={})),
    'norms a list': json.dumps(ARCH | dict(norms=['bn1'])),
    'a state that is a dict': json.dumps(ARCH | dict(norms={'bn1': {'type': 'os.system'}})),
    'a long state': json.dumps(ARCH | dict(norms={'bn1': 'x' * 10_000})),
    'backbone a text': json.dumps(ARCH | dict(backbone='os.system')),
    'probability NaN': json.dumps(ARCH | dict(split_probability={'bn1': float('nan')})),
    'probability a text': json.dumps(ARCH | dict(split_probability={'bn1': '0.5'})),
    'probability huge': json.dumps(ARCH | dict(split_probability={'bn1': 10**300})),
    'probabilities of others': json.dumps(ARCH | dict(split_probability={'x': 0.5})),
}


@pytest.mark.parametrize('text', BAD_ARCH.values(), ids=BAD_ARCH)
def test_architectures(tmp_path, text):
    (tmp_path / 'arch.json').write_text(text)
    refused(lambda: load_arch(tmp_path / 'arch.json'), 'arch.json')


@pytest.mark.parametrize('line', ['2', '0 1 x', '0 ' * 10**4, HUGE, '0 1e5', '0 \0'], ids=range(6))
def test_architecture_lines(tmp_path, line):
    (tmp_path / 'config.cfg').write_text(line)
    refused(lambda: read_arch(tmp_path / 'config.cfg', ['bn1']), 'config.cfg')


def test_an_architecture_builds_nothing(tmp_path):
    """Its backbone is a note, which no reader builds."""
    backbone = dict(type='subprocess.Popen', args=f'touch {tmp_path}/ran', shell=True)
    (tmp_path / 'arch.json').write_text(json.dumps(ARCH | dict(backbone=backbone)))
    assert read_arch(tmp_path / 'arch.json', ['bn1']) == {'bn1': 'share'}
    assert not (tmp_path / 'ran').exists()


def log_row(**changes):
    return json.dumps(dict(dict(loss=1.0, time=0.1, data_time=0.1, epoch=1, iter=5, step=5), **changes))


BAD_LOGS = {
    **{name: text for name, text in JSON.items() if name not in ('zeros',)},
    'no step': '{"loss": 1}',
    'step a text': log_row(step='5'),
    'step negative': log_row(step=-5),
    'step True': log_row(step=True),
    'step huge': log_row(step=10**300),
    'step NaN': log_row(step=float('nan')),
    'epoch a list': log_row(epoch=[1]),
    'epoch negative': log_row(epoch=-1),
    'iter a dict': log_row(iter={}),
    'binary': '\x00\xff\xfe',
}


@pytest.mark.parametrize('text', BAD_LOGS.values(), ids=BAD_LOGS)
def test_logs(tmp_path, text):
    (tmp_path / 'scalars.json').write_text(text + '\n' + log_row(), errors='replace')
    refused(lambda: read_training_log(tmp_path / 'scalars.json'), 'scalars.json')


@pytest.mark.parametrize('value', ['x', [1], {'a': 1}, None, 10**300, True], ids=str)
def test_values_of_a_log_that_are_no_numbers_are_left_out(tmp_path, value):
    rows = [log_row(loss=value), log_row(step=6, iter=6, time=value), log_row(step=7, iter=7, loss=float('nan'))]
    (tmp_path / 'scalars.json').write_text('\n'.join(rows))
    log = read_training_log(tmp_path / 'scalars.json')
    assert log.values('loss', by_epoch=False)[0].tolist() == [6, 7]
    assert train_time(log).iterations == 7


def test_a_log_without_epochs_that_begins_again(tmp_path):
    rows = [json.dumps(dict(loss=1.0, iter=step, step=step)) for step in (5, 10, 5)]
    (tmp_path / 'scalars.json').write_text('\n'.join(rows))
    assert list(read_training_log(tmp_path / 'scalars.json').train) == [5]


@pytest.mark.parametrize('text', JSON.values(), ids=JSON)
def test_results(tmp_path, text):
    tool, trials = load_tool('analysis_tools/compare_results.py'), load_tool('run_trials.py')
    (tmp_path / 'results.json').write_text(text)
    refused(lambda: tool.read_metrics(tmp_path / 'results.json'), 'results.json')
    if text != '{"a": 7}':
        refused(lambda: trials.read_dict(tmp_path / 'results.json'), 'results.json')


@pytest.mark.parametrize('value', ['x', [1], None, {'type': 'os.system'}, True], ids=str)
def test_results_that_are_no_numbers(tmp_path, value):
    tool, trials = load_tool('analysis_tools/compare_results.py'), load_tool('run_trials.py')
    (tmp_path / 'results.json').write_text(json.dumps({'market1501/mAP': value}))
    refused(lambda: tool.read_metrics(tmp_path / 'results.json'), 'results.json')
    refused(lambda: trials.summary({1: {'a/mAP': 1.0}, 2: {'a/mAP': value}}), 'trial 2')
    refused(lambda: trials.summary({1: {'a/mAP': 1.0}, 2: {}}), 'trial 2')


@pytest.mark.parametrize('text', JSON.values(), ids=JSON)
def test_markers_of_folders(tmp_path, text):
    for name in ('styles', 'world'):
        (tmp_path / name).mkdir()
    (tmp_path / 'styles' / MARKER).write_text(text)
    refused(lambda: CamStyleFolder(tmp_path / 'styles').open(dict(weights='x')), 'styles', FileExistsError)
    (tmp_path / 'world' / WORLD_MANIFEST).write_text(text)
    image = write_image(tmp_path / 'world' / 'query' / 'a.jpg')
    assert not is_procedural(image)
    refused(lambda: check_free(tmp_path / 'world', WORLD_MANIFEST, force=True), WORLD_MANIFEST, FileExistsError)
    assert image.is_file()
    (tmp_path / RUN_FILE).write_text(text)
    assert read_current_run(tmp_path) is None


@pytest.mark.parametrize('counts', [7, None, 'query', ['query'], {'train': 1}], ids=str)
def test_a_manifest_of_wrong_counts_is_none(tmp_path, counts):
    image = write_image(tmp_path / 'query' / 'a.jpg')
    (tmp_path / WORLD_MANIFEST).write_text(json.dumps(dict(counts=counts)))
    assert not is_procedural(image)
    (tmp_path / WORLD_MANIFEST).write_text(json.dumps(dict(counts=dict(query=1))))
    assert is_procedural(image)


@pytest.mark.parametrize('files', [7, None, [[1]], 'abc', {'../../x': 1, '/etc/passwd': 2}, {}], ids=str)
def test_a_marker_frees_no_file_that_it_does_not_list(tmp_path, files):
    kept = write_image(tmp_path / 'set' / 'a.jpg')
    (tmp_path / 'set' / WORLD_MANIFEST).write_text(json.dumps(dict(files=files)))
    refused(lambda: check_free(tmp_path / 'set', WORLD_MANIFEST, force=True), 'set', FileExistsError)
    assert kept.is_file()


HEADER = b'img_path,pid,camid,timestamp\n'
BAD_CSV = {
    'empty': b'',
    'binary': b'\xff\xfe\x00\x01',
    'no header': b'a.jpg,1,1,1\n',
    'a huge cell': HEADER + b'a.jpg,"' + b'x' * 200_000 + b'",1,1\n',
    'an open quotation': HEADER + b'a.jpg,"1,1,1\n' * 3,
    'a line break': HEADER + b'"a\nb.jpg",1,1,1\n',
    'a zero': HEADER + b'a\0b.jpg,1,1,1\n',
    'an escape': HEADER + b'a\x1b[31m.jpg,1,1,1\n',
    'too many cells': HEADER + b'a.jpg,1,1,1,1,1\n',
    'time NaN': HEADER + b'a.jpg,1,1,nan\n',
    'time infinite': HEADER + b'a.jpg,1,1,1e999\n',
    'time a text': HEADER + b'a.jpg,1,1,now\n',
}


@pytest.mark.parametrize('data', BAD_CSV.values(), ids=BAD_CSV)
def test_csv_tables(tmp_path, data):
    (tmp_path / 'own.csv').write_bytes(data)
    refused(lambda: read_csv_rows(tmp_path / 'own.csv'), 'own.csv')


@pytest.mark.parametrize('pid', [HUGE, '-' + '9' * 17, '1e5', '٣', '../../x', '=cmd()', '7' * 18])
def test_identities_of_a_csv_table_are_any_text(tmp_path, pid):
    for name in 'ab':
        write_image(tmp_path / f'{name}.jpg')
    (tmp_path / 'own.csv').write_text(f'img_path,pid\na.jpg,{pid}\nb.jpg,{pid}\n', encoding='utf-8')
    data_set = CsvReIDDataset(str(tmp_path), 'own.csv', split='train', pipeline=[])
    assert data_set.num_classes == 1 and data_set.pids.dtype == np.int64


BAD_LISTS = {
    'binary': b'\xff\xfe\x00',
    'no label': b'a.jpg\n',
    'a huge label': b'a.jpg ' + HUGE.encode() + b'\n',
    'a label beyond': b'a.jpg 99999999999999999\n',
    'a negative label': b'a.jpg -1\n',
    'a label that is NaN': b'a.jpg nan\n',
    'a long line': b'x' * 10**6,
    'empty': b'',
    'two labels': b'a.jpg 1\n./a.jpg 2\n',
}


@pytest.mark.parametrize('data', BAD_LISTS.values(), ids=BAD_LISTS)
def test_lists_of_images(tmp_path, data):
    (tmp_path / 'list.txt').write_bytes(data)
    refused(lambda: read_labeled_images(tmp_path / 'list.txt', ''), 'list.txt')


@pytest.mark.parametrize('text', ['', HUGE, '1,x', '-1', 'nan', '1;2', '1 ' + '7' * 18], ids=range(7))
def test_lists_of_identities(tmp_path, text):
    (tmp_path / 'ids.txt').write_text(text)
    refused(lambda: read_ids(tmp_path / 'ids.txt', ''), 'ids.txt')


def mat(**variables: Any) -> bytes:
    file = io.BytesIO()
    scipy.io.savemat(file, variables, do_compression=False)
    return file.getvalue()


def mat_bomb() -> bytes:
    """A compressed variable that unpacks to a thousand times its size."""
    packed = zlib.compress(bytes(2**23), 9)
    header = mat(a=np.zeros(1))[:128]
    return header + np.array([15, len(packed)], dtype='<u4').tobytes() + packed


CELLS = np.empty((1, 2), dtype=object)
CELLS[0, 0], CELLS[0, 1] = np.zeros(2), 'x'
BAD_MATS = {
    'empty': b'',
    'a text': b'hello',
    'half': mat(ids=np.arange(100.0))[:-400],
    'a bomb': mat_bomb(),
    'texts': mat(ids=np.array(['a', 'b'])),
    'cells': mat(ids=CELLS),
    'a struct': mat(ids={'a': 1.0}),
    'sparse': mat(ids=scipy.sparse.csc_matrix(np.eye(3))),
    'NaN': mat(ids=np.array([1.0, np.nan])),
    'infinite': mat(ids=np.array([1.0, np.inf])),
    'fractions': mat(ids=np.array([1.5])),
    'huge': mat(ids=np.array([1e30])),
    'complex': mat(ids=np.array([1j])),
    'no array': mat(ids=np.zeros((0, 0))),
    'two arrays': mat(ids=np.ones(2), more=np.ones(2)),
}


@pytest.mark.parametrize('data', BAD_MATS.values(), ids=BAD_MATS)
def test_matlab_files(tmp_path, monkeypatch, data):
    monkeypatch.setattr('mmreid.utils.mat_file.MAX_BYTES', 2**22)
    (tmp_path / 'ids.mat').write_bytes(data)
    refused(lambda: read_ids_of_mat(tmp_path / 'ids.mat'), 'ids.mat')
    refused(lambda: read_permutations(tmp_path / 'ids.mat'), 'ids.mat')
    (tmp_path / 'rand_perm_cam.mat').write_bytes(data.replace(b'ids', b'rand_perm_cam'))
    refused(lambda: read_permutations(tmp_path / 'rand_perm_cam.mat'), 'rand_perm_cam.mat')


def test_matlab_files_that_are_right(tmp_path):
    (tmp_path / 'ids.mat').write_bytes(mat(ids=np.array([3, 1, 2])))
    assert read_ids_of_mat(tmp_path / 'ids.mat') == [1, 2, 3]
    scipy.io.savemat(tmp_path / 'packed.mat', dict(ids=np.arange(1000.0)), do_compression=True)
    assert read_ids_of_mat(tmp_path / 'packed.mat') == list(range(1000))


SEQUENCE = b'[Sequence]\nframeRate=30\nimDir=img1\n'
BAD_SEQUENCES = {
    'no ini': ('seqinfo.ini', b'frameRate'),
    'binary ini': ('seqinfo.ini', b'\xff\xfe\x00'),
    'frame rate NaN': ('seqinfo.ini', b'[Sequence]\nframeRate=nan\n'),
    'frame rate infinite': ('seqinfo.ini', b'[Sequence]\nframeRate=1e999\n'),
    'a way up': ('seqinfo.ini', b'[Sequence]\nimDir=../secret\n'),
    'a way up inside': ('seqinfo.ini', b'[Sequence]\nimDir=img1/../../secret\n'),
    'a way up of Windows': ('seqinfo.ini', b'[Sequence]\nimDir=..\\secret\n'),
    'absolute': ('seqinfo.ini', b'[Sequence]\nimDir=/etc\n'),
    'binary boxes': ('gt/gt.txt', b'\xff\xfe\x00'),
    'boxes of texts': ('gt/gt.txt', b'1,1,a,b,c,d,1\n'),
    'boxes NaN': ('gt/gt.txt', b'1,1,nan,1,1,1,1\n'),
    'boxes infinite': ('gt/gt.txt', b'1,1,1,1,1e999,1,1\n'),
    'boxes huge': ('gt/gt.txt', b'1,1,1,1,1e308,1e308,1\n'),
    'a huge frame': ('gt/gt.txt', HUGE.encode() + b',1,1,1,1,1,1\n'),
    'a negative frame': ('gt/gt.txt', b'-1,1,1,1,1,1,1\n'),
    'many cells': ('gt/gt.txt', b'1,' * 10**5 + b'1\n'),
    'no box': ('gt/gt.txt', b'\n'),
}


@pytest.mark.parametrize(('name', 'data'), BAD_SEQUENCES.values(), ids=BAD_SEQUENCES)
def test_sequences_of_tracks(tmp_path, name, data):
    for folder in ('seq/img1', 'secret'):
        write_image(tmp_path / folder / '000001.jpg')
    (tmp_path / 'seq' / 'gt').mkdir()
    (tmp_path / 'seq' / 'seqinfo.ini').write_bytes(SEQUENCE)
    (tmp_path / 'seq' / 'gt' / 'gt.txt').write_bytes(b'1,1,1,1,10,10,1\n')
    assert len(read_sequence(tmp_path / 'seq').boxes) == 1
    (tmp_path / 'seq' / name).write_bytes(data)
    refused(lambda: read_sequence(tmp_path / 'seq'), Path(name).name)


@pytest.mark.parametrize(('pid', 'camera'), [('9' * 200, '1'), ('0002', '9' * 200)], ids=['identity', 'camera'])
def test_names_of_images(tmp_path, pid, camera):
    write_image(tmp_path / 'bounding_box_train' / f'{pid}_c{camera}s1_000151_01.jpg')
    data_set = Market1501(str(tmp_path), split='train', pipeline=[], lazy_init=True)
    refused(data_set.full_init, f'{pid}_c{camera}s1')


FIRST = ('backbone.conv1.weight', 'conv1.weight', 'base.conv1.weight', 'feat_bn.weight')
BAD_WEIGHTS = {
    'nothing': {},
    'no tensors': {'conv1.weight': 7},
    'a text': dict(model='os.system', state_dict=[1]),
    'no shape': dict.fromkeys(FIRST, torch.tensor(1.0)) | dict(meta={}),
    'entries of wrong kinds': dict(model={'a': 1}, criterion=7, state_dict={'neck.conv.weight': 'x'}),
}


@pytest.mark.parametrize('content', BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
@pytest.mark.parametrize('name', ['cmnas', 'ecn', 'fastreid', 'qaconv', 'torchreid', 'publish_model'])
def test_converters(tmp_path, monkeypatch, name, content):
    torch.save(content, tmp_path / 'theirs.pth')
    file = 'publish_model.py' if name == 'publish_model' else f'{name}_to_mmreid.py'
    tool, words = load_tool(f'model_converters/{file}'), [str(tmp_path / 'theirs.pth'), str(tmp_path / 'ours.pth')]
    refused(lambda: tool.main(words), 'theirs.pth', (ValueError, RuntimeError))
    if name in ('cmnas', 'ecn', 'qaconv'):
        refused(lambda: tool.main([*words, '--to-official']), 'theirs.pth', (ValueError, RuntimeError))
    assert [path.name for path in tmp_path.iterdir()] == ['theirs.pth']


def test_converters_take_no_memory_for_sizes_that_are_claimed(tmp_path):
    """A network as wide as one entry claims would take terabytes."""
    blocks = dict(zip((1, 2, 3, 4), (2, 2, 2, 2), strict=True))
    state = {
        f'layer{stage}.{block}.{layer}.weight': torch.ones(1)
        for stage, count in blocks.items()
        for block in range(count)
        for layer in ('conv1', 'bn1', 'conv2', 'bn2')
    }
    state |= {'conv1.weight': torch.ones(64, 3, 7, 7), 'layer1.0.conv1.weight': torch.ones(300_000)}
    state |= {'layer4.0.downsample.0.weight': torch.ones(2_400_000)}
    torch.save(dict(state_dict=state), tmp_path / 'theirs.pth')
    tool = load_tool('model_converters/torchreid_to_mmreid.py')
    refused(lambda: tool.main([str(tmp_path / 'theirs.pth'), str(tmp_path / 'ours.pth')]), 'theirs.pth')


@pytest.mark.slow
def test_a_tool_ends_with_one_sentence_and_status_1(tmp_path):
    (tmp_path / 'results.json').write_text(DEEP)
    done = run_warm('tools/analysis_tools/compare_results.py', f'a={tmp_path / "results.json"}', check=False)
    assert done.returncode == 1 and 'Traceback' not in done.stdout
    assert 'results.json is no results file (it is nested too deeply)' in done.stdout
