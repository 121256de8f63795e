# Copyright (c) mmreid contributors. All rights reserved.
from .vector_matchers import CosineMatcher, EuclideanMatcher

__all__ = ['CosineMatcher', 'EuclideanMatcher']
