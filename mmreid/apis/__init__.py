# Copyright (c) mmreid contributors. All rights reserved.
from .inferencer import ReIDInferencer
from .model_building import get_model, init_model
from .model_list import list_models
from .search import SearchResult

__all__ = ['ReIDInferencer', 'SearchResult', 'get_model', 'init_model', 'list_models']
