# Copyright (c) mmreid contributors. All rights reserved.
import numpy as np
import pytest
from tiny_data import write_image, write_market

from mmreid.datasets import Market1501
from mmreid.datasets.transforms import CorruptImageError

PIPELINE = [dict(type='LoadReIDImage'), dict(type='PackReIDInputs')]


def test_train_ids_are_relabeled_in_order(tmp_path):
    dataset = Market1501(str(write_market(tmp_path)), pipeline=PIPELINE)
    assert len(dataset) == 36 and dataset.num_classes == 6
    assert dataset.pids.tolist() == sorted(dataset.pids.tolist())
    assert dataset.gt_labels.tolist() == [pid - 2 for pid in dataset.pids.tolist()]
    sample = dataset[35]['data_samples']
    assert (sample.pid, sample.camid, sample.gt_label.tolist(), sample.split) == (7, 1, [5], 'train')
    assert dataset.metainfo == dict(dataset_name='market1501', num_classes=6)


def test_query_and_gallery_are_one_data_set(tmp_path):
    dataset = Market1501(str(write_market(tmp_path)), split='test', name='own')
    assert dataset.splits.tolist() == ['query'] * 8 + ['gallery'] * 24
    assert set(dataset.camids.tolist()) == {0, 1} and dataset.num_classes == 0
    assert dataset.metainfo['dataset_name'] == 'own'
    assert 'gt_label' not in dataset.get_data_info(0)


def test_archive_folder_inside_the_root_is_found(tmp_path):
    write_market(tmp_path / 'Market-1501-v15.09.15')
    assert len(Market1501(str(tmp_path))) == 36


def test_junk_is_dropped_distractors_stay_ghosts_are_skipped(tmp_path):
    root = write_market(tmp_path)
    write_image(root / 'bounding_box_test' / '-1_c1s1_000001_00.jpg')
    write_image(root / 'bounding_box_test' / '0000_c2s1_000001_00.jpg')
    for ghost in ('Thumbs.db', '._0101_c1s1_000001_00.jpg', '.DS_Store'):
        (root / 'bounding_box_test' / ghost).write_bytes(b'x')
    dataset = Market1501(str(root), split='gallery')
    assert len(dataset) == 25 and -1 not in dataset.pids and (dataset.pids == 0).sum() == 1


def test_distractor_among_queries_is_refused(tmp_path):
    write_image(write_market(tmp_path) / 'query' / '0000_c2s1_000001_00.jpg')
    with pytest.raises(ValueError, match='query.0000_c2s1_000001_00.jpg .*identity 0'):
        Market1501(str(tmp_path), split='test')


def test_time_stamps_lay_sessions_end_to_end(tmp_path):
    for split, name in (
        ('bounding_box_train', '0001_c1s1_000100_00.jpg'),
        ('bounding_box_train', '0001_c1s2_000050_00.jpg'),
        ('bounding_box_train', '0001_c2s2_000050_00.jpg'),
        ('query', '0002_c1s1_000250_00.jpg'),
        ('bounding_box_test', '0002_c1s2_000025_00.jpg'),
    ):
        write_image(tmp_path / split / name)
    stamps = [Market1501(str(tmp_path)).get_data_info(i)['timestamp'] for i in range(3)]
    # The query shows that session 1 of camera 1 lasts 250 frames, at 25 frames a second.
    assert stamps == [100 / 25, (250 + 50) / 25, 50 / 25]


@pytest.mark.parametrize('name', ['person_1.jpg', '0002c1s1_000451_03.jpg', 'x0002_c1s1_000451_03.png'])
def test_wrong_file_name_is_named(tmp_path, name):
    write_image(write_market(tmp_path) / 'bounding_box_train' / name)
    with pytest.raises(ValueError, match=f'/{name} .*0002_c1s1_000451_03.jpg'):
        Market1501(str(tmp_path))


def test_own_names_by_pattern(tmp_path):
    for name in ('a7-cam2.jpg', 'a9-cam1.jpg'):
        write_image(tmp_path / 'bounding_box_train' / name)
    dataset = Market1501(str(tmp_path), pattern=r'a(?P<pid>\d+)-cam(?P<camid>\d+)')
    assert (dataset.pids.tolist(), dataset.camids.tolist()) == ([7, 9], [1, 0])
    assert dataset.get_data_info(0)['timestamp'] is None
    with pytest.raises(ValueError, match=r"\['camid'\]"):
        Market1501(str(tmp_path), pattern=r'a(?P<pid>\d+)')


def test_missing_and_empty_folders_show_the_expected_tree(tmp_path):
    with pytest.raises(FileNotFoundError, match='(?s)nowhere.*data_root.*bounding_box_train'):
        Market1501(str(tmp_path / 'nowhere'))
    (tmp_path / 'bounding_box_train').mkdir()
    with pytest.raises(ValueError, match="bounding_box_train .*split='train'"):
        Market1501(str(tmp_path))
    with pytest.raises(FileNotFoundError, match='/query; '):
        Market1501(str(tmp_path), split='test')


def test_unknown_split_and_option():
    with pytest.raises(ValueError, match="split='dev' of Market1501 .*train, "):
        Market1501('x', split='dev')
    with pytest.raises(ValueError, match="on_corrupt='ignore'"):
        Market1501('x', on_corrupt='ignore')


def test_corrupt_training_image_stops_by_default(tmp_path):
    root = write_market(tmp_path)
    broken = root / 'bounding_box_train' / '0002_c1s1_000002_00.jpg'
    broken.write_bytes(b'this is text')
    dataset = Market1501(str(root), pipeline=PIPELINE)
    with pytest.raises(CorruptImageError, match='0002_c1s1_000002_00.jpg .12 bytes'):
        dataset[0]


def test_corrupt_training_image_is_replaced_and_counted_on_request(tmp_path):
    root = write_market(tmp_path)
    broken = root / 'bounding_box_train' / '0002_c1s1_000002_00.jpg'
    broken.write_bytes(b'')
    dataset = Market1501(str(root), pipeline=PIPELINE, on_corrupt='skip')
    assert dataset.num_corrupt == 0
    sample = dataset[0]['data_samples']
    assert sample.pid == 2 and sample.img_path != str(broken)
    dataset[0]
    assert dataset.num_corrupt == 1 and dataset.corrupt_files == [str(broken)]


def test_identity_without_any_readable_image_stops_even_so(tmp_path):
    root = write_market(tmp_path)
    for path in (root / 'bounding_box_train').glob('0002_*'):
        path.write_bytes(b'')
    dataset = Market1501(str(root), pipeline=PIPELINE, on_corrupt='skip')
    with pytest.raises(CorruptImageError, match=' 6 .*identity 2 .*market1501'):
        dataset[0]


def test_corrupt_test_image_always_stops(tmp_path):
    root = write_market(tmp_path)
    next((root / 'query').glob('*.jpg')).write_bytes(b'')
    dataset = Market1501(str(root), split='test', pipeline=PIPELINE, on_corrupt='skip')
    with pytest.raises(CorruptImageError, match='0103_c1s1_001003_00.jpg .0 bytes'):
        [dataset[i] for i in range(8)]


def test_unicode_and_spaces_in_paths(tmp_path):
    root = write_market(tmp_path / 'données 数据 x')
    dataset = Market1501(str(root), pipeline=PIPELINE)
    assert dataset[0]['inputs'].shape == (3, 64, 32)


@pytest.mark.parametrize('serialize_data', [True, False])
def test_subsets_are_indexed_again(tmp_path, serialize_data):
    dataset = Market1501(str(write_market(tmp_path)), serialize_data=serialize_data)
    subset = dataset.get_subset([35, 0, 20])
    assert (len(subset), subset.pids.tolist(), subset.gt_labels.tolist()) == (3, [7, 2, 5], [2, 0, 1])
    assert [subset.get_data_info(i)['gt_label'] for i in range(3)] == [2, 0, 1] and subset.num_classes == 3
    assert (len(dataset), len(dataset.pids), dataset.num_classes) == (36, 36, 6)
    assert dataset.get_data_info(35)['gt_label'] == 5
    dataset.get_subset_(-7)
    assert dataset.pids.tolist() == [6] + [7] * 6 and dataset.get_data_info(0)['gt_label'] == 0


def test_subset_stays_contiguous(tmp_path):
    dataset = Market1501(str(write_market(tmp_path)), indices=[0, 35, 10])
    assert len(dataset) == 3 and np.array_equal(np.unique(dataset.gt_labels), np.arange(dataset.num_classes))
