# Copyright (c) mmreid contributors. All rights reserved.
"""Features of invented people whose labels and images are known."""

from pathlib import Path

import torch
from tiny_data import write_image

from mmreid.engine.features.saved_features import FORMAT

CAMERAS = 3


def people(folder: Path, num_people: int = 8, noise: float = 0.25, seed: int = 0, draw: bool = True, dims: int = 16):
    """Gives query and gallery of people who look like themselves in every camera: a query and two images in each."""
    generator = torch.Generator().manual_seed(seed)
    centers = torch.nn.functional.normalize(torch.randn(num_people, dims, generator=generator), dim=1)
    sides = []
    for role, each in (('query', 1), ('gallery', 2)):
        pid = torch.arange(num_people).repeat_interleave(CAMERAS * each)
        camid = torch.arange(CAMERAS).repeat_interleave(each).repeat(num_people)
        feature = centers[pid] + noise * torch.randn(len(pid), dims, generator=generator) / dims**0.5
        paths = [folder / role / f'{i:03d}_p{p}_c{c}.png' for i, (p, c) in enumerate(zip(pid, camid, strict=True))]
        for number, path in enumerate(paths if draw else []):
            write_image(path, seed=1000 * each + number)
        start = 0 if role == 'query' else 10_000
        sides.append(
            dict(
                feature=feature, pid=pid + 1, camid=camid, sample_idx=list(range(start, start + len(pid))),
                img_path=[str(path) for path in paths],
            )
        )  # fmt: skip
    return sides


def write_features(path: Path, query: dict, gallery: dict, name: str = 'own', model: str = 'a.pth') -> Path:
    """Writes a features file with one test set."""
    test_set = dict(meta=dict(dataset_name=name), query=query, gallery=gallery)
    matcher = dict(config=dict(type='CosineMatcher'), state={})
    content = dict(format=FORMAT, matcher=matcher, test_sets=[test_set], model=dict(name=model, hash='0' * 16))
    torch.save(content, path)
    return path
