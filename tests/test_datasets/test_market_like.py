# Copyright (c) mmreid contributors. All rights reserved.
"""The data sets in the layout of Market-1501: DukeMTMC-reID, CUHK03-NP, Market-1501 with more distractors."""

import pytest
from tiny_data import write_market

from mmreid.datasets import CUHK03NP, DukeMTMC, Market1501

DUKE = dict(
    bounding_box_train=['0001_c2_f0046182.jpg', '0001_c5_f0046182.jpg', '0005_c1_f0000000.jpg'],
    query=['0005_c2_f0046985.jpg'],
    bounding_box_test=['0005_c8_f0000030.jpg', '7000_c3_f0000031.jpg'],
)
CUHK = dict(
    bounding_box_train=['0000_c1_11.png', '0001_c2_22.png'],
    query=['0003_c1_21.png'],
    bounding_box_test=['0003_c2_355.png', '-1_c1_4.png'],
)


def write_names(root, folders):
    for folder, names in folders.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for name in names:
            (root / folder / name).touch()
    return root


def test_duke(tmp_path, mmreid_log):
    write_names(tmp_path / 'DukeMTMC-reID', DUKE)
    train, test = DukeMTMC(str(tmp_path)), DukeMTMC(str(tmp_path), split='test')
    assert (train.pids.tolist(), train.camids.tolist()) == ([1, 1, 5], [1, 4, 0])
    # Frames at 59.94 fps on the common clock: camera 2 starts at 3,606, camera 5 at 0, camera 1 at 5,542.
    stamps = [train.get_data_info(i)['timestamp'] for i in range(3)]
    assert stamps == [(46182 + 3606) / 59.94, 46182 / 59.94, 5542 / 59.94]
    assert test.splits.tolist() == ['query', 'gallery', 'gallery'] and test.pids.tolist() == [5, 5, 7000]
    assert 'withdrawn by its owners' in mmreid_log.text and 'train: found 3 images, expected 16,522' in mmreid_log.text


def test_camera_that_duke_does_not_have(tmp_path):
    write_names(tmp_path, dict(bounding_box_train=['0001_c9_f0046182.jpg']))
    with pytest.raises(ValueError, match='0001_c9_f0046182.jpg .* 9, .*DukeMTMC-reID .*1 to 8'):
        DukeMTMC(str(tmp_path))


def test_camera_0_is_refused(tmp_path):
    write_names(tmp_path, dict(bounding_box_train=['0001_c0_f0046182.jpg']))
    with pytest.raises(ValueError, match='0001_c0_f0046182.jpg .*camera 0'):
        DukeMTMC(str(tmp_path))


def test_market_and_duke_are_not_mistaken_for_each_other(tmp_path):
    write_names(tmp_path / 'duke', DUKE)
    with pytest.raises(ValueError, match='0001_c2_f0046182.jpg .*DukeMTMC-reID'):
        Market1501(str(tmp_path / 'duke'))
    with pytest.raises(ValueError, match='0005_c2_f0046985.jpg .*Market-1501'):
        DukeMTMC(str(write_market(tmp_path / 'market')))


@pytest.mark.parametrize(
    'variant, folder, expected',
    [
        ('detected', 'cuhk03_np_detected', '7,365'),
        ('detected', 'CUHK03-NP/detected', '7,365'),
        ('labeled', 'cuhk03_np_labeled', '7,368'),
        ('labeled', 'cuhk03-np/labelled', '7,368'),
        ('labeled', '', '7,368'),
    ],
)
def test_cuhk03_np_variants_are_found(tmp_path, mmreid_log, variant, folder, expected):
    write_names(tmp_path / folder, CUHK)
    train = CUHK03NP(str(tmp_path), variant=variant)
    assert (train.pids.tolist(), train.camids.tolist()) == ([0, 1], [0, 1])  # 0 is an ordinary identity here
    assert f'cuhk03np ({train.variant}) | train: found 2 identities, expected 767;' in mmreid_log.text
    assert f'found 2 images, expected {expected}' in mmreid_log.text
    assert CUHK03NP(str(tmp_path), variant=variant, split='test').pids.tolist() == [3, 3]  # junk is gone


def test_cuhk03_np_does_not_take_the_other_variant(tmp_path):
    write_names(tmp_path / 'cuhk03_np_labeled', CUHK)
    for root in (tmp_path, tmp_path / 'cuhk03_np_labeled'):
        with pytest.raises(FileNotFoundError, match="cuhk03_np_labeled, .*variant='labeled', .*variant='detected'"):
            CUHK03NP(str(root))
    write_names(tmp_path / 'cuhk03_np_detected', dict(bounding_box_train=['0007_c1_1.png']))
    assert CUHK03NP(str(tmp_path)).pids.tolist() == [7]
    with pytest.raises(ValueError, match="variant='classic' of CUHK03NP"):
        CUHK03NP(str(tmp_path), variant='classic')


def test_cuhk03_np_shows_the_tree(tmp_path):
    (tmp_path / 'cuhk03_release').mkdir()
    with pytest.raises(FileNotFoundError, match='(?s)bounding_box_train.*cuhk03_np_detected.*cuhk03_release'):
        CUHK03NP(str(tmp_path))


def test_more_distractors_join_the_gallery_under_any_name(tmp_path, mmreid_log):
    write_market(tmp_path)
    write_names(tmp_path, dict(images=['0000_c4s9_000451_03.jpg', 'distractor (7).png', '._x.jpg', 'Thumbs.db']))
    test = Market1501(str(tmp_path), split='test', distractors='images')
    assert test.pids[-2:].tolist() == [0, 0] and test.camids[-2:].tolist() == [6, 6] and len(test) == 34
    assert 'gallery: 2 distractors from' in mmreid_log.text
    assert 'gallery: found 26 images, expected 515,913' in mmreid_log.text
    for split, images in (('train', 36), ('query', 8)):
        assert len(Market1501(str(tmp_path), split=split, distractors='images')) == images
    assert len(Market1501(str(tmp_path), distractors='images', combine_all=True)) == 36 + 32  # trained without them


def test_missing_and_empty_distractor_folder(tmp_path):
    write_market(tmp_path)
    with pytest.raises(FileNotFoundError, match="(?s)/images; .*distractors='images'"):
        Market1501(str(tmp_path), split='test', distractors='images')
    (tmp_path / 'images').mkdir()
    with pytest.raises(ValueError, match='/images .*distractors= '):
        Market1501(str(tmp_path), split='test', distractors='images')
    with pytest.raises(ValueError, match="distractors='images' of CUHK03NP .*identity 0"):
        CUHK03NP(str(tmp_path), distractors='images')


def test_converted_data_may_count_from_0(tmp_path):
    write_names(tmp_path, dict(bounding_box_train=['0000_c15_0001.jpg', '0001_c2_0001.jpg']))
    pattern = r'(?P<pid>\d+)_c(?P<camid>\d+)'
    with pytest.raises(ValueError, match=r'0000_c15_0001.jpg .*identity 0.*distractor_pids=\(\)'):
        Market1501(str(tmp_path), pattern=pattern)
    dataset = Market1501(str(tmp_path), name='msmt17', pattern=pattern, distractor_pids=())
    assert (dataset.pids.tolist(), dataset.camids.tolist()) == ([0, 1], [14, 1])


def test_published_counts_are_not_asked_of_other_data(tmp_path, mmreid_log):
    write_market(tmp_path)
    Market1501(str(tmp_path), name='shop')
    assert 'expected' not in mmreid_log.text
    Market1501(str(tmp_path))
    assert 'train: found 36 images, expected 12,936' in mmreid_log.text


def test_wrong_nesting_says_what_the_folder_holds(tmp_path):
    write_market(tmp_path / 'download' / 'market')
    with pytest.raises(FileNotFoundError, match='(?s)bounding_box_test/.*download'):
        Market1501(str(tmp_path))
    (tmp_path / 'list_train.txt').touch()
    with pytest.raises(FileNotFoundError, match='list_train.txt, .*MSMT17'):
        Market1501(str(tmp_path))
    assert len(Market1501(str(write_market(tmp_path / 'twice/Market-1501-v15.09.15/Market-1501-v15.09.15')))) == 36
    assert len(Market1501(str(tmp_path / 'twice'))) == 36
