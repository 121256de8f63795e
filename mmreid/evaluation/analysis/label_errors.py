# Copyright (c) mmreid contributors. All rights reserved.
"""Labels that do not agree with the scores: one person under two identities, two under one, one wrong image.

Whether images look like one person is decided by the majority of their pairs: do they score at least a threshold, such
as that of the equal error rate? A model that confuses people suspects many labels: what is found is to be looked at.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from mmreid.evaluation.functional import RankingResult

from .confusions import Confusion, first_places

MOST_IMAGES = 32  # of an identity that are compared
MOST_PAIRS = 500  # confusions that are looked into
MOST_HALVES = 200  # identities whose halves are compared
MAJORITY = 0.5
Scores = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class SameIdentity:
    """Two identities that look like one person.

    Attributes:
        pids (tuple[int, int]): The identities.
        alike (float): Fraction of the pairs of both that score at least the threshold.
        apart (float): Probability that a pair of one of them scores higher than a pair of both; 0.5 for one person.
        examples (tuple[list[int], list[int]]): Images of the first and of the second.
    """

    pids: tuple[int, int]
    alike: float
    apart: float
    examples: tuple[list[int], list[int]]


@dataclass(frozen=True)
class TwoIdentities:
    """An identity whose images fall into two groups.

    Attributes:
        pid (int): The identity.
        alike (float): Fraction of the pairs across the groups that score at least the threshold.
        within (float): The same for pairs within a group, the lower of the two.
        groups (tuple[list[int], list[int]]): The images of each group, the smaller one first.
        by_camera (bool): Whether no camera has images of both, so that the cameras may be the reason.
    """

    pid: int
    alike: float
    within: float
    groups: tuple[list[int], list[int]]
    by_camera: bool


@dataclass(frozen=True)
class WrongIdentity:
    """An image that looks like another identity than its own.

    Attributes:
        image (int): The image.
        pid (int): Its identity.
        looks_like (int): The other one.
        alike (float): Fraction of the queries of the other one that have it among their first places.
        own (float): Fraction of the pairs with images of its own identity that score at least the threshold.
    """

    image: int
    pid: int
    looks_like: int
    alike: float
    own: float


class IdentityImages:
    """The images of each identity, spread evenly if there are many.

    Args:
        pids (torch.Tensor): Identities, shape (N,).
    """

    def __init__(self, pids: torch.Tensor) -> None:
        order = pids.argsort(stable=True)
        values, counts = pids[order].unique_consecutive(return_counts=True)
        self.of = dict(zip(values.tolist(), order.split(counts.tolist()), strict=True))

    def __call__(self, pid: int) -> torch.Tensor:
        """Returns up to ``MOST_IMAGES`` images of an identity."""
        images = self.of.get(pid, torch.zeros(0, dtype=torch.int64))
        if len(images) > MOST_IMAGES:
            images = images[torch.arange(MOST_IMAGES) * len(images) // MOST_IMAGES]
        return images


def find_same(
    confusions: Sequence[Confusion], images: IdentityImages, camids: torch.Tensor, scores: Scores, threshold: float
) -> list[SameIdentity]:
    """Finds confused identities that look like one person.

    The majority of their pairs scores at least the threshold, and the two are no further apart than the random halves
    of 90 % of the identities.

    Args:
        confusions (Sequence[Confusion]): Identities to look into, the most confused first.
        images (IdentityImages): The images of all identities.
        camids (torch.Tensor): Cameras of all images, shape (N,).
        scores (Scores): Scores two lists of images, (R, C).
        threshold (float): The score.

    Returns:
        list[SameIdentity]: The least apart first.
    """
    found = []
    for confusion in confusions[:MOST_PAIRS]:
        sides = [images(pid) for pid in confusion.pids]
        alike, apart = _compare(sides, camids, scores, threshold)
        if alike >= MAJORITY:
            found.append(SameIdentity(confusion.pids, alike, apart, tuple(side.tolist() for side in sides)))
    limit = _apart_of_halves(images, camids, scores, threshold) if found else 0.0
    return sorted((entry for entry in found if entry.apart <= limit), key=lambda entry: entry.apart)


def find_two(images: IdentityImages, camids: torch.Tensor, scores: Scores, threshold: float) -> list[TwoIdentities]:
    """Finds identities whose images fall into two groups of at least two images.

    Within a group, the majority of the pairs scores at least the threshold; across the groups, it does not.

    Args:
        images (IdentityImages): The images of all identities.
        camids (torch.Tensor): Cameras of all images, shape (N,).
        scores (Scores): Scores two lists of images, (R, C).
        threshold (float): The score.

    Returns:
        list[TwoIdentities]: Groups that the cameras do not explain first, then the least alike.
    """
    found = []
    for pid in images.of:
        own = images(pid)
        if len(own) < 4:
            continue
        accepted = scores(own, own) >= threshold
        side = _two_groups(accepted.double())
        first, second = side.nonzero().flatten(), (~side).nonzero().flatten()
        if min(len(first), len(second)) < 2:
            continue
        within = min(_off_diagonal(accepted[group][:, group]) for group in (first, second))
        alike = float(accepted[first][:, second].double().mean())
        if within >= MAJORITY > alike:
            groups = sorted((own[first], own[second]), key=len)
            apart = not set(camids[groups[0]].tolist()) & set(camids[groups[1]].tolist())
            found.append(TwoIdentities(pid, alike, within, tuple(group.tolist() for group in groups), apart))
    return sorted(found, key=lambda entry: (entry.by_camera, entry.alike - entry.within))


def find_wrong(
    ranking: RankingResult,
    q_pids: torch.Tensor,
    pids: torch.Tensor,
    images: IdentityImages,
    scores: Scores,
    threshold: float,
) -> list[WrongIdentity]:
    """Finds gallery images that look like another identity.

    The majority of the queries of the other identity has the image among its first places, and the majority of the
    pairs with its own identity scores below the threshold.

    Args:
        ranking (RankingResult): The result, with lists of the first images.
        q_pids (torch.Tensor): Identities of the queries, shape (Q,).
        pids (torch.Tensor): Identities of the queries and the gallery, shape (Q + G,).
        images (IdentityImages): The images of all identities.
        scores (Scores): Scores two lists of images, (R, C).
        threshold (float): The score.

    Returns:
        list[WrongIdentity]: The clearest first.
    """
    query, image, _ = first_places(ranking)
    image = image + len(q_pids)
    wrong = pids[image] != q_pids[query]
    num_queries = dict(zip(*(part.tolist() for part in q_pids[ranking.valid].unique(return_counts=True)), strict=True))
    votes: dict[tuple[int, int], int] = defaultdict(int)
    for key in zip(image[wrong].tolist(), q_pids[query[wrong]].tolist(), strict=True):
        votes[key] += 1
    found = []
    for (at, other), count in votes.items():
        alike = count / num_queries[other]
        own = images(int(pids[at]))
        own = own[own != at]
        if alike <= MAJORITY or not len(own):
            continue
        accepted = float((scores(torch.tensor([at]), own) >= threshold).double().mean())
        if accepted < MAJORITY:
            found.append(WrongIdentity(at, int(pids[at]), other, alike, accepted))
    return sorted(found, key=lambda entry: entry.own - entry.alike)


def _two_groups(alike: torch.Tensor) -> torch.Tensor:
    """Divides N images into two groups around the two that are least alike; a mask (N,)."""
    profile = alike + 1e-3 * (alike @ alike) / len(alike)  # neighbors in common decide where a pair does not
    far = int(profile.argmin())
    seeds = far // len(alike), far % len(alike)
    side = alike.new_zeros(len(alike), dtype=torch.bool)
    side[:] = profile[seeds[0]] > profile[seeds[1]]
    side[seeds[0]], side[seeds[1]] = True, False
    for _ in range(10):
        if side.all() or not side.any():
            break
        new = profile[:, side].mean(1) > profile[:, ~side].mean(1)
        if bool((new == side).all()):
            break
        side = new
    return side


def _off_diagonal(accepted: torch.Tensor) -> float:
    count = len(accepted)
    return float((accepted.sum() - accepted.diagonal().sum()) / (count * (count - 1)))


def _compare(
    sides: Sequence[torch.Tensor], camids: torch.Tensor, scores: Scores, threshold: float
) -> tuple[float, float]:
    """Returns ``alike`` and ``apart`` of two groups of images, from pairs of two cameras where there are any."""
    across = _pairs(*sides, camids, scores)
    apart = [_probability_higher(_pairs(side, side, camids, scores), across) for side in sides if len(side) > 1]
    return float((across >= threshold).double().mean()), sum(apart) / len(apart) if apart else 1.0


def _pairs(first: torch.Tensor, second: torch.Tensor, camids: torch.Tensor, scores: Scores) -> torch.Tensor:
    """Returns the scores of the pairs of two groups, without images of one camera where others are left."""
    table = scores(first, second)
    distinct = first[:, None] != second
    other_camera = distinct & (camids[first][:, None] != camids[second])
    return table[other_camera if other_camera.any() else distinct]


def _probability_higher(own: torch.Tensor, across: torch.Tensor) -> float:
    """Returns the probability that a score of ``own`` is higher than one of ``across``; ties count half."""
    across = across.sort().values
    below = torch.searchsorted(across, own) + torch.searchsorted(across, own, right=True)
    return float(below.double().mean()) / (2 * len(across))


def _apart_of_halves(images: IdentityImages, camids: torch.Tensor, scores: Scores, threshold: float) -> float:
    """Returns how far apart random halves of one identity are at most, except for the tenth that is most apart."""
    generator = torch.Generator().manual_seed(0)
    large = [pid for pid, own in images.of.items() if len(own) >= 4]
    values = []
    for pid in large[:: max(1, len(large) // MOST_HALVES)]:
        own = images(pid)
        own = own[torch.randperm(len(own), generator=generator)]
        halves = [half.sort().values for half in own.tensor_split(2)]
        values.append(_compare(halves, camids, scores, threshold)[1])
    return float(torch.tensor(values).quantile(0.9)) if values else 1.0
