# Copyright (c) mmreid contributors. All rights reserved.
import multiprocessing
import threading
from collections import Counter

import pytest
import torch

from mmreid.utils.threads import share


@pytest.fixture(params=[1, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_each_piece_is_done_once(threads):
    done, workers = Counter(), set()

    def work(pieces):
        workers.add(threading.get_ident())
        done.update(pieces)

    share(work, range(100))
    assert done == Counter(range(100)) and (threading.get_ident() in workers) == (threads == 1)
    share(work, [])
    assert done == Counter(range(100))


def test_torch_computes_in_one_thread_and_without_gradients_in_each(threads):
    meet, found = threading.Barrier(threads), []

    def work(pieces):
        meet.wait(60)  # all threads are there
        found.append((torch.get_num_threads(), torch.is_grad_enabled()))
        list(pieces)

    with torch.no_grad():
        share(work, range(9))
    assert found == [(1, False)] * threads and torch.get_num_threads() == threads
    with torch.inference_mode():  # a tensor made here can be written there
        written = torch.zeros(9)
        share(lambda pieces: [written[piece].fill_(piece) for piece in pieces], range(9))
    assert written.tolist() == list(range(9))


def test_an_error_reaches_the_caller_after_all_threads_have_ended(threads):
    done = []

    def work(pieces):
        for piece in pieces:
            if piece == 2:
                raise ZeroDivisionError(piece)
            done.append(piece)

    with pytest.raises(ZeroDivisionError):
        share(work, range(6))
    count = len(done)
    assert count == (2 if threads == 1 else 5)
    share(done.append, [])
    assert torch.get_num_threads() == threads


def _in_child(queue):
    done = Counter()
    share(done.update, range(10))
    queue.put(done)


@pytest.mark.skipif('fork' not in multiprocessing.get_all_start_methods(), reason='needs fork')
def test_a_forked_process_starts_threads_of_its_own(threads):
    share(list, range(10))
    context = multiprocessing.get_context('fork')
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(queue,))
    child.start()
    assert queue.get(timeout=120) == Counter(range(10))
    child.join()
