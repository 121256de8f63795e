# Copyright (c) mmreid contributors. All rights reserved.
"""What several test sets report together."""

import pytest

from mmreid.evaluation.metrics.summary import join_metrics, metric_table

ONE = {'one/mAP': 40.0, 'one/Rank-1': 50.0, 'one/num_query': 7, 'one+rerank/mAP': 60.0}
TWO = {'two/mAP': 20.0, 'two/num_query': 3, 'two+rerank/mAP': 70.0}


def test_averages_are_of_what_all_test_sets_have():
    joined = join_metrics([('one', ONE), ('two', TWO)])
    assert joined == ONE | TWO | {'average/mAP': 30.0, 'average+rerank/mAP': 65.0}
    assert join_metrics([('one', ONE)]) == ONE
    sysu = {'sysu/all-single/mAP': 10.0, 'sysu/indoor-single/mAP': 30.0}
    again = {key.replace('sysu', 'again', 1): value + 2 for key, value in sysu.items()}
    joined = join_metrics([('sysu', sysu), ('again', again)])
    assert joined['average/all-single/mAP'] == 11 and joined['average/indoor-single/mAP'] == 31
    assert not [key for key in join_metrics([('one', ONE), ('sysu', sysu)]) if key.startswith('average')]


def test_two_test_sets_of_one_name_are_refused():
    with pytest.raises(ValueError, match="'one.rerank/mAP'.*dataset.name"):
        join_metrics([('one', ONE), ('one', ONE)])


def test_table_has_a_row_per_test_set_and_protocol():
    lines = metric_table(ONE | TWO | {'sysu/all-single/mAP': 12.345}).splitlines()
    cells = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines if line.startswith('|')]
    assert cells == [
        ['data set', 'mAP', 'Rank-1', 'num_query'],
        ['one', '40.00', '50.00', '7'],
        ['one+rerank', '60.00', '', ''],
        ['two', '20.00', '', '3'],
        ['two+rerank', '70.00', '', ''],
        ['sysu/all-single', '12.35', '', ''],
    ]
