# Copyright (c) mmreid contributors. All rights reserved.
from .entries import GalleryAnswer, GalleryEntry
from .entry_filter import GalleryFilter
from .gallery import Gallery
from .model_info import ModelInfo, OtherModelError
from .store import GalleryBusyError, GalleryDamagedError

__all__ = [
    'Gallery',
    'GalleryAnswer',
    'GalleryBusyError',
    'GalleryDamagedError',
    'GalleryEntry',
    'GalleryFilter',
    'ModelInfo',
    'OtherModelError',
]
