# Copyright (c) mmreid contributors. All rights reserved.
import errno
import os

import pytest
import torch

from mmreid.datasets.transforms.loading import CorruptImageError, read_image
from mmreid.models import TripletLoss
from mmreid.utils.one_line_errors import one_line_errors, sentence_of


def test_what_mmreid_refuses_is_one_sentence(capsys, monkeypatch):
    monkeypatch.delenv('MMREID_TRACEBACK', raising=False)
    with pytest.raises(SystemExit) as info, one_line_errors():
        TripletLoss(margin=-1)
    shown = capsys.readouterr().err.strip().splitlines()
    assert info.value.code == 1
    assert shown[0].startswith('error: margin=-1 of TripletLoss ') and 'None' in shown[0]


def test_errors_from_elsewhere_and_on_request_keep_their_traceback(monkeypatch):
    with pytest.raises(RuntimeError), one_line_errors():
        torch.zeros(2) @ torch.zeros(3)
    monkeypatch.setenv('MMREID_TRACEBACK', '1')
    with pytest.raises(ValueError), one_line_errors():
        TripletLoss(margin=-1)


def test_sentences():
    assert sentence_of(KeyError('no such key')) == 'no such key'
    assert sentence_of(OSError(13, 'not allowed', 'a/b')) == 'a/b: not allowed'
    passed_on = CorruptImageError(
        'Caught CorruptImageError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n'
        '  File "x.py", line 1\nmmreid.datasets.transforms.loading.CorruptImageError: image a.jpg is empty\n'
    )
    assert sentence_of(passed_on) == 'image a.jpg is empty'


def test_a_missing_image_is_ours(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv('MMREID_TRACEBACK', raising=False)
    with pytest.raises(SystemExit), one_line_errors():
        read_image(tmp_path / 'gone.jpg')
    assert 'gone.jpg' in capsys.readouterr().err


@pytest.mark.parametrize('number', [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_no_bug_wherever_it_is_met(number, capsys, monkeypatch):
    monkeypatch.delenv('MMREID_TRACEBACK', raising=False)
    with pytest.raises(SystemExit), one_line_errors():
        raise OSError(number, os.strerror(number), 'runs/a/config.py')
    error = capsys.readouterr().err
    assert f'error: runs/a/config.py: {os.strerror(number)}' in error and '--resume' in error
    with pytest.raises(SystemExit), one_line_errors():
        raise OSError(number, os.strerror(number))  # by a write, which knows no name
    assert f'error: {os.strerror(number)}' in capsys.readouterr().err
    with pytest.raises(OSError), one_line_errors():
        open('no/such/folder', 'x')


@pytest.mark.parametrize('cause', ['', 'Unable to allocate 7 TiB'])
def test_memory_that_is_too_small_is_a_sentence(cause, capsys, monkeypatch):
    monkeypatch.delenv('MMREID_TRACEBACK', raising=False)
    with pytest.raises(SystemExit), one_line_errors():
        raise MemoryError(*filter(None, [cause]))
    error = capsys.readouterr().err
    assert 'memory' in error and cause in error


def test_names_of_files_do_not_steer_the_terminal():
    assert sentence_of(ValueError('the file \x1b[31m\x07a.jpg\r\x9b1m is bad;\nsee above')) == (
        r'the file \x1b[31m\x07a.jpg\r\x9b1m is bad;' + '\nsee above'
    )
