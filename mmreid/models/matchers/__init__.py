# Copyright (c) mmreid contributors. All rights reserved.
from .qaconv import QAConvMatcher
from .vector_matchers import CosineMatcher, EuclideanMatcher

__all__ = ['CosineMatcher', 'EuclideanMatcher', 'QAConvMatcher']
