# Copyright (c) mmreid contributors. All rights reserved.
"""The data sets of a config are looked through before training."""

import json
import shutil

import pytest
from test_tools.tool_modules import load_tool
from tiny_data import write_image, write_market
from warm_processes import run_warm

from mmreid.datasets import CsvReIDDataset, FolderReIDDataset, Market1501
from mmreid.datasets.preparation.leaks import leak_sentence, shared_identities, shared_images
from mmreid.datasets.readers.published_counts import Counts
from mmreid.registry import DATASETS

TOOL = load_tool('misc/verify_dataset.py')
CONFIG = """
model = dict(type='NoSuchModel')
train_dataloader = dict(dataset=dict(type='{kind}', data_root={root!r}, split='train', pipeline=[dict(type='None')]))
test_dataloader = dict(dataset=dict(type='{kind}', data_root={root!r}, split='test', pipeline=[]))
val_dataloader = test_dataloader
test_evaluator = dict(type='ReIDMetric')
val_evaluator = test_evaluator
"""


@DATASETS.register_module()
class CountedMarket(Market1501):
    """Says how large it is."""

    def published_counts(self):
        return dict(train=Counts(6, 36), query=Counts(4, 8), gallery=Counts(4, 24))


@pytest.fixture
def world(tmp_path):
    """A clean data set and a config for it, whose model and pipeline cannot be built."""
    root = write_market(tmp_path / 'market')
    (tmp_path / 'cfg.py').write_text(CONFIG.format(kind='CountedMarket', root=str(root)))
    return tmp_path


def check(folder, *arguments, config='cfg.py'):
    """Runs the tool; gives its status and its findings."""
    status = TOOL.main([str(folder / config), '--json', str(folder / 'found.json'), '--workers', '2', *arguments])
    return status, json.loads((folder / 'found.json').read_text())


def problems(found):
    return [problem for entry in found['datasets'] for problem in entry['problems']] + found['leaks']


def test_clean_data(world, capsys):
    status, found = check(world)
    shown = capsys.readouterr().out
    assert status == 0 and found['clean'] and 'Clean: 68 images read.' in shown
    train, test = found['datasets']
    assert test['where'] == 'val = test' and test['splits']['gallery']['published'] == dict(ids=4, images=24)
    assert train['splits']['train'] == dict(
        identities=6, images=36, cameras=2, per_identity=[6, 6, 6], modalities={},
        on_disk=dict(ids=6, images=36), published=dict(ids=6, images=36),
    )  # fmt: skip
    assert train['height'] == [64, 64, 64] and train['width'] == [32, 32, 32]
    assert '| train | market1501 | train | 6 / 36 | 6 / 36 | 6 / 36 | 2 | 6 - 6 - 6 |' in ' '.join(shown.split())


def test_wrong_counts(world):
    next((world / 'market/bounding_box_train').glob('0002*')).unlink()
    status, found = check(world, '--no-images')
    assert status == 1 and 'train: found 35 images, expected 36' in problems(found)[0] and len(problems(found)) == 1
    assert found['datasets'][0]['splits']['train']['per_identity'] == [5, 6, 6]
    status, found = check(world, '--no-images', '--no-published')
    assert status == 0 and not problems(found)
    assert found['datasets'][0]['splits']['train']['published'] is None


def test_small_copies_of_several_sets_expect_no_counts(world):
    one = str(world / 'market')
    (world / 'both.py').write_text(
        CONFIG.format(kind='Market1501', root=one)
        + f"""
parts = [dict(type='Market1501', data_root={one!r}, split='test', pipeline=[]) for _ in range(1)]
test_dataloader = dict(dataset=dict(type='ConcatReIDDataset', datasets=parts, pipeline=[]))
val_dataloader = test_dataloader
"""
    )
    assert check(world, '--no-images', config='both.py')[0] == 1
    status, found = check(world, '--no-images', '--no-published', config='both.py')
    assert status == 0, problems(found)


def test_batches_that_training_would_refuse_are_told(world):
    batches = """
train_dataloader.update(
    batch_size={size}, sampler=dict(type='RandomIdentitySampler'),
    batch_sampler=dict(type='IdentityBatchSampler', instance_sampler=dict(type='KInstanceSampler', num_instances=4)),
)
"""
    text = CONFIG.format(kind='CountedMarket', root=str(world / 'market'))
    (world / 'large.py').write_text(text + batches.format(size=64))
    status, found = check(world, '--no-images', config='large.py')
    assert status == 1 and len(problems(found)) == 1
    assert '= 16 ' in problems(found)[0] and ' 6; ' in problems(found)[0]
    (world / 'fits.py').write_text(text + batches.format(size=8))
    assert check(world, '--no-images', config='fits.py')[0] == 0


def test_a_single_identity_is_told(world):
    for folder in ('bounding_box_train', 'query', 'bounding_box_test'):
        for path in (world / 'market' / folder).iterdir():
            if not path.name.startswith(('0002', '0101')):
                path.unlink()
    status, found = check(world, '--no-images', '--no-published')
    assert status == 1 and len(problems(found)) == 2
    training, test = problems(found)
    assert 'single identity' in training and "'market1501' have the identity 101" in test


def test_other_splits_are_checked_when_one_fails(world, capsys):
    shutil.rmtree(world / 'market/bounding_box_train')
    status, found = check(world)
    assert (
        status == 1 and found['datasets'][0]['splits'] == {} and found['datasets'][1]['splits']['query']['images'] == 8
    )
    assert 'bounding_box_test/' in problems(found)[0]
    assert 'not read' in capsys.readouterr().out
    status, _ = check(world, '--split', 'test')
    assert status == 0


def test_unreadable_images_are_all_named(world, capsys):
    broken = sorted((world / 'market/query').glob('*.jpg'))[:2]
    broken[0].write_bytes(b'')
    broken[1].write_bytes(b'text')
    damaged = sorted((world / 'market/bounding_box_train').glob('*.jpg'))[3]
    data = damaged.read_bytes()
    damaged.write_bytes(data[: len(data) // 2] + bytes(40) + data[len(data) // 2 + 40 :])
    status, found = check(world, '--unreadable', str(world / 'list.txt'))
    assert status == 1 and list(found['unreadable']) == list(map(str, broken)) and not problems(found)
    assert list(found['damaged']) == [str(damaged)]
    assert (world / 'list.txt').read_text().splitlines() == list(map(str, [*broken, damaged]))
    shown = capsys.readouterr().out
    assert f'{broken[0]} (0 bytes)' in shown and f'{damaged} is damaged' in shown and '3 problems.' in shown
    assert check(world, '--no-images')[0] == 0


def test_identities_in_training_and_test(world):
    write_image(world / 'market/bounding_box_train/0101_c1s1_000777_00.jpg')
    status, found = check(world, '--no-images')
    assert status == 1 and "'market1501' (test)" in found['leaks'][0] and '(101)' in found['leaks'][0]


def test_every_evaluator_is_asked(world):
    config = world / 'cfg.py'
    for path in (world / 'market/bounding_box_test').glob('0101_c2*'):
        path.unlink()
    for asked in ('val', 'test'):
        evaluators = {'val': '[]', 'test': '[]', asked: "dict(type='ReIDMetric')"}
        lines = ''.join(f'{section}_evaluator = {text}\n' for section, text in evaluators.items())
        config.write_text(CONFIG.format(kind='CountedMarket', root=str(world / 'market')) + lines)
        status, found = check(world, '--no-images')
        assert status == 1 and any('1 of 8 queries' in problem for problem in problems(found))


def test_query_that_cannot_be_scored(world):
    for path in (world / 'market/bounding_box_test').glob('0101_c2*'):
        path.unlink()
    status, found = check(world, '--no-images')
    assert status == 1 and any('1 of 8 queries' in problem for problem in problems(found))


def test_repeated_images_and_unknown_type(world, tmp_path):
    image = write_image(world / 'market/query/x.jpg')
    (world / 'market/list.csv').write_text(f'img_path,pid\nquery/x.jpg,1\n{image},1\n')
    text = CONFIG.format(kind='CsvReIDDataset', root=str(world / 'market')).replace(
        'split=', "ann_file='list.csv', split="
    )
    (world / 'csv.py').write_text(text.replace("test'", "query'"))
    status, found = check(world, '--split', 'train', config='csv.py')
    assert status == 1 and '1 images' in problems(found)[0]
    (world / 'typo.py').write_text(text.replace('CsvReID', 'CsvRId'))
    status, found = check(world, config='typo.py')
    assert status == 1 and all("'CsvReIDDataset'" in problem for problem in problems(found))


def test_files_are_one_under_several_names(world):
    image = write_image(world / 'market/own/a.jpg')
    (image.parent / 'b.jpg').symlink_to(image)
    (image.parent / 'c.jpg').hardlink_to(image)
    (world / 'market/list.csv').write_text('img_path,pid\nown/a.jpg,1\nown/b.jpg,1\nown/c.jpg,1\n')
    text = CONFIG.format(kind='CsvReIDDataset', root=str(world / 'market'))
    (world / 'csv.py').write_text(text.replace('split=', "ann_file='list.csv', split="))
    status, found = check(world, '--split', 'train', config='csv.py')
    assert status == 1 and '1 images' in problems(found)[0] and 'a.jpg' in problems(found)[0]


def test_lists_and_concatenations(world):
    write_market(world / 'other')
    shutil.rmtree(world / 'other/query')
    one, other = str(world / 'market'), str(world / 'other')
    (world / 'both.py').write_text(
        CONFIG.format(kind='CountedMarket', root=one)
        + f"""
parts = [dict(type='CountedMarket', data_root=root, split='train') for root in ({one!r}, {other!r})]
train_dataloader = dict(dataset=dict(type='ConcatReIDDataset', datasets=parts, pipeline=[]))
bad = dict(dataset=dict(type='CountedMarket', data_root={other!r}, split='test', name='other', pipeline=[]))
test_dataloader = [test_dataloader, bad]
"""
    )
    next((world / 'other/bounding_box_train').glob('0002*')).unlink()
    status, found = check(world, config='both.py')
    places = [entry['where'] for entry in found['datasets']]
    assert status == 1 and places == ['train, part 1', 'train, part 2', 'val = test 1', 'test 2']
    counts, missing = problems(found)
    assert 'found 35 images' in counts and 'query' in missing
    assert [bool(entry['problems']) for entry in found['datasets']] == [False, True, False, True]


def test_as_a_command(world):
    for path in ('train/anna', 'train/carl', 'query/bert', 'gallery/bert', 'gallery/dora'):
        write_image(world / 'own' / path / ('b' if 'gallery' in path else 'a') / '1.jpg')
    (world / 'cfg.py').write_text(CONFIG.format(kind='FolderReIDDataset', root=str(world / 'own')))
    assert 'Clean: 5 images read.' in run_warm('tools/misc/verify_dataset.py', world / 'cfg.py').stdout
    with pytest.raises(FileNotFoundError, match='none.py'):
        check(world, config='none.py')
    with pytest.raises(ValueError, match='--workers 0 '):
        check(world, '--workers', '0')
    with pytest.raises(ValueError, match='--split train'):
        check(world, '--split', 'train', '--cfg-options', 'train_dataloader=None')


def test_leaks_are_told_from_equal_numbers(tmp_path):
    one, other = write_market(tmp_path / 'a'), write_market(tmp_path / 'b', num_train=100)
    train, test = Market1501(str(other)), Market1501(str(one), split='test')
    assert set(train.pids) & set(test.pids) and leak_sentence(train, test) == ''  # numbers of other people
    assert shared_identities(train, Market1501(str(other), split='test')) == [101]
    val = Market1501(str(one), split='val', val_from_train=dict(ratio=0.5))
    assert leak_sentence(Market1501(str(one), val_from_train=dict(ratio=0.5)), val) == ''
    sentence = leak_sentence(Market1501(str(one)), val)
    assert '3 identities' in sentence and '18 images' in sentence and 'val_from_train' in sentence


def test_leaks_of_own_data(tmp_path):
    for path in ('train/anna/1.jpg', 'query/bert/1.jpg', 'gallery/bert/2.jpg'):
        write_image(tmp_path / path)
    train, test = (FolderReIDDataset(str(tmp_path), split=split) for split in ('train', 'test'))
    assert shared_identities(train, test) == []  # names are numbered over all folders
    write_image(tmp_path / 'train/bert/3.jpg')
    assert shared_identities(FolderReIDDataset(str(tmp_path)), test) == [1]
    elsewhere = FolderReIDDataset(str(tmp_path / 'train'))
    assert shared_identities(elsewhere, test) == ['bert']
    (tmp_path / 'list.csv').write_text('img_path,pid\nquery/../query/bert/1.jpg,x\n')
    assert shared_images(CsvReIDDataset(str(tmp_path), 'list.csv'), test) == [
        str(tmp_path / 'query/../query/bert/1.jpg')
    ]


def test_leaks_between_two_csv_files(tmp_path):
    for name in 'abc':
        write_image(tmp_path / f'{name}.png')
    (tmp_path / 'train.csv').write_text('img_path,pid\na.png,carl\nb.png,7\n')
    (tmp_path / 'test.csv').write_text('img_path,pid,split\na.png,bert,train\nb.png,7,query\nc.png,7,gallery\n')
    train = CsvReIDDataset(str(tmp_path), 'train.csv')
    assert shared_identities(train, CsvReIDDataset(str(tmp_path), 'test.csv', split='test')) == ['7']
    moved = tmp_path / 'other'
    moved.mkdir()
    for name in ('a.png', 'b.png', 'c.png', 'test.csv'):
        (moved / name).write_bytes((tmp_path / name).read_bytes())
    assert shared_identities(train, CsvReIDDataset(str(moved), 'test.csv', split='test')) == []  # only a number
