# Copyright (c) mmreid contributors. All rights reserved.
"""Features with the structure of re-ID features: people, cameras, and few directions that matter."""

import numpy as np

IMAGES = 20  # of a person, on average
CAMERAS = 6
#: Spread of people, of cameras and of single images; cosines are then about 0.7 within a person and 0.2 between people.
PERSON, CAMERA, IMAGE = 1.0, 0.45, 0.55
STEP = 50_000


class People:
    """People whose images can be drawn in any number.

    Args:
        count (int): Images that a gallery will have; decides the number of people.
        dims (int): Length of a feature.
        seed (int): Of all random numbers.
    """

    def __init__(self, count: int, dims: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        # The n-th direction has a standard deviation of n ** -0.5, in a random rotation, beside a common part.
        self.scale = (np.arange(1, dims + 1) ** -0.5).astype(np.float32)
        self.scale /= np.linalg.norm(self.scale)
        self.rotation = np.linalg.qr(rng.normal(size=(dims, dims)))[0].astype(np.float32)
        self.common = 0.5 * self.scale * rng.normal(size=dims).astype(np.float32)
        self.people = self._noise(rng, max(1, count // IMAGES)) * PERSON
        self.cameras = self._noise(rng, CAMERAS) * CAMERA

    def images(self, count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draws images: features (N, D) of length 1, float32; who they show (N,); their cameras (N,)."""
        rng = np.random.default_rng(seed)
        ids = rng.integers(0, len(self.people), count)
        cameras = rng.integers(0, CAMERAS, count)
        features = np.empty((count, len(self.scale)), np.float32)
        for start in range(0, count, STEP):
            part = slice(start, start + STEP)
            drawn = self.common + self.people[ids[part]] + self.cameras[cameras[part]]
            drawn += IMAGE * self._noise(rng, len(drawn))
            features[part] = drawn @ self.rotation
            features[part] /= np.linalg.norm(features[part], axis=1, keepdims=True)
        return features, ids, cameras

    def _noise(self, rng: np.random.Generator, count: int) -> np.ndarray:
        return rng.standard_normal((count, len(self.scale)), np.float32) * self.scale
