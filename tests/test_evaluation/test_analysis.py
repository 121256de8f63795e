# Copyright (c) mmreid contributors. All rights reserved.
"""What a report finds out about a ranked test set, against slow definitions and planted labels."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from report_data import people

from mmreid.evaluation.analysis import (
    RECALLS,
    camera_pairs,
    find_confusions,
    find_same,
    find_two,
    find_wrong,
    precision_recall,
)
from mmreid.evaluation.analysis.label_errors import IdentityImages
from mmreid.evaluation.functional import MARKET1501, rank, rank_galleries

MATCHES = replace(MARKET1501, cmc='matches')


def random_set(seed=0, num_query=40, num_gallery=90):
    generator = torch.Generator().manual_seed(seed)
    labels = [torch.randint(0, high, (count,), generator=generator) for count in (num_query, num_gallery)
              for high in (7, 3)]  # fmt: skip
    return torch.randn(num_query, num_gallery, generator=generator), labels


def test_precision_and_recall_follow_the_definition():
    scores, (q_pids, q_camids, g_pids, g_camids) = random_set()
    expected = []
    for query in range(len(scores)):
        seen = ~((g_pids == q_pids[query]) & (g_camids == q_camids[query]))
        order = scores[query].argsort(descending=True)
        hits = (g_pids == q_pids[query])[order][seen[order]].numpy()
        precision = hits.cumsum() / np.arange(1, len(hits) + 1)
        recall = hits.cumsum() / hits.sum()
        expected.append([precision[recall >= level - 1e-9].max() for level in RECALLS])
    found = precision_recall(rank(scores, q_pids, q_camids, g_pids, g_camids, MATCHES))
    np.testing.assert_allclose(found, np.mean(expected, 0), atol=1e-12)


def test_queries_without_matches_do_not_count():
    scores, (q_pids, q_camids, g_pids, g_camids) = random_set(1)
    known = precision_recall(rank(scores, q_pids, q_camids, g_pids, g_camids, MATCHES))
    stranger = torch.cat([q_pids, torch.tensor([99])]), torch.cat([q_camids, torch.tensor([0])])
    more = rank(torch.cat([scores, scores[:1]]), *stranger, g_pids, g_camids, MATCHES)
    np.testing.assert_allclose(precision_recall(more), known)
    alone = rank(scores[:1], torch.tensor([99]), torch.tensor([0]), g_pids, g_camids, MATCHES)
    assert np.isnan(precision_recall(alone)).all()


def test_camera_pairs_are_rankings_of_one_camera_each():
    scores, (q_pids, q_camids, g_pids, g_camids) = random_set(2)
    cameras = g_camids.unique().tolist()
    parts = [(g_camids == camera).nonzero().flatten() for camera in cameras]
    results = rank_galleries(scores, q_pids, q_camids, g_pids, g_camids, parts, MATCHES)
    pairs = camera_pairs(q_camids, cameras, results)
    for i, query in enumerate(pairs.query):
        for j, camera in enumerate(pairs.gallery):
            rows, columns = (q_camids == query).nonzero().flatten(), (g_camids == camera).nonzero().flatten()
            alone = rank(scores[rows][:, columns], q_pids[rows], q_camids[rows], g_pids[columns], g_camids[columns])
            assert pairs.num_queries[i, j] == alone.num_valid
            if query == camera:  # its own matches are left out
                assert alone.num_valid == 0 and np.isnan(pairs.mean_ap[i, j])
            else:
                assert pairs.mean_ap[i, j] == pytest.approx(alone.mean_ap)
                assert pairs.rank1[i, j] == pytest.approx(float(alone.cmc[0]))


def planted(tmp_path, change):
    """Ranks people whose labels were changed, and gives what the searches for errors take."""
    query, gallery = people(tmp_path, num_people=12, draw=False)
    change(query, gallery)
    sides = query['feature'], gallery['feature']
    q_pids, g_pids = query['pid'], gallery['pid']
    scores = torch.nn.functional.normalize(sides[0], dim=1) @ torch.nn.functional.normalize(sides[1], dim=1).T
    ranking = rank(scores, q_pids, query['camid'], g_pids, gallery['camid'], MATCHES, keep_top=50)
    feature = torch.nn.functional.normalize(torch.cat(sides), dim=1)
    pids, camids = torch.cat([q_pids, g_pids]), torch.cat([query['camid'], gallery['camid']])
    return ranking, q_pids, g_pids, pids, camids, lambda first, second: feature[first] @ feature[second].T


def test_one_person_under_two_identities_is_found(tmp_path):
    def change(query, gallery):
        query['pid'][3:5] = 77  # two of the three queries of person 2
        gallery['pid'][6:10] = 77

    ranking, q_pids, g_pids, pids, camids, scores = planted(tmp_path, change)
    confusions = find_confusions(ranking, q_pids, g_pids)
    assert confusions[0].pids == (2, 77) and 0.2 < confusions[0].share < 1
    assert {int(q_pids[confusions[0].query]), int(g_pids[confusions[0].image])} == {2, 77}
    found = find_same(confusions, IdentityImages(pids), camids, scores, 0.6)
    assert [entry.pids for entry in found] == [(2, 77)]
    assert found[0].alike > 0.9 and found[0].apart < 0.75
    assert set(pids[found[0].examples[0]].tolist()) == {2}


def test_two_people_under_one_identity_are_found(tmp_path):
    def change(query, gallery):
        for side in (query, gallery):
            side['pid'][side['pid'] == 5] = 4

    *_, pids, camids, scores = planted(tmp_path, change)
    (found,) = find_two(IdentityImages(pids), camids, scores, 0.6)
    assert found.pid == 4 and found.alike < 0.1 and found.within > 0.9 and not found.by_camera
    assert sorted(map(len, found.groups)) == [9, 9]
    # Only cameras differ: the same split is said to be one of cameras.
    by_camera = camids.clone()
    by_camera[found.groups[0]] = 7
    (again,) = find_two(IdentityImages(pids), by_camera, scores, 0.6)
    assert again.by_camera


def test_an_image_under_a_wrong_identity_is_found(tmp_path):
    def change(query, gallery):
        gallery['pid'][20] = 9  # of person 4

    ranking, q_pids, g_pids, pids, camids, scores = planted(tmp_path, change)
    (found,) = find_wrong(ranking, q_pids, pids, IdentityImages(pids), scores, 0.6)
    assert (found.image, found.pid, found.looks_like) == (len(q_pids) + 20, 9, 4)
    assert found.alike > 0.5 > found.own


def test_right_labels_are_not_suspected(tmp_path):
    ranking, q_pids, g_pids, pids, camids, scores = planted(tmp_path, lambda query, gallery: None)
    images = IdentityImages(pids)
    assert find_same(find_confusions(ranking, q_pids, g_pids), images, camids, scores, 0.6) == []
    assert find_two(images, camids, scores, 0.6) == []
    assert find_wrong(ranking, q_pids, pids, images, scores, 0.6) == []
