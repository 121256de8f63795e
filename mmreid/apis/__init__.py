# Copyright (c) mmreid contributors. All rights reserved.
from .gallery import Gallery, GalleryAnswer, GalleryEntry, GalleryFilter, ModelInfo
from .inferencer import ReIDInferencer
from .model_building import get_model, init_model
from .model_list import list_models
from .publishing import publish_folder
from .search import SearchResult
from .threshold import Comparison, Threshold, read_threshold

__all__ = [
    'Comparison',
    'Gallery',
    'GalleryAnswer',
    'GalleryEntry',
    'GalleryFilter',
    'ModelInfo',
    'ReIDInferencer',
    'SearchResult',
    'Threshold',
    'get_model',
    'init_model',
    'list_models',
    'publish_folder',
    'read_threshold',
]
