# Copyright (c) mmreid contributors. All rights reserved.
"""The two collections of a gallery in Milvus: entries with their features, and the facts that hold for all."""

import json
from collections.abc import Mapping
from typing import Any

from mmreid.utils.json_text import parse_json

from .entries import GalleryEntry, NewEntry

TEXTS = dict(id=1000, camera=1000, modality=16, image=4096, extra=65_535)  # longest, in bytes
DIGEST, GROUP = 64, 1024
NEVER = 0.0  # the time of an entry without one, whose `timed` is false
ENTRY_FIELDS = ['key', *TEXTS, 'time', 'timed']
BYTES_OF_A_CHARACTER = 4


def make_entries(client: Any, name: str, dims: int, metric: str, index: str) -> None:
    """Makes the collection of entries. Its partitions follow the cameras, so that a filter by camera reads its own.

    Args:
        client (pymilvus.MilvusClient): The connection.
        name (str): The collection.
        dims (int): Length of a feature.
        metric (str): ``'IP'`` or ``'L2'``.
        index (str): ``'FLAT'`` or ``'AUTOINDEX'``.
    """
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field('key', DataType.INT64, is_primary=True)
    for field, longest in (TEXTS | dict(digest=DIGEST, person=GROUP)).items():
        longest = min(65_535, longest * (1 if field in ('digest', 'modality') else BYTES_OF_A_CHARACTER))
        schema.add_field(field, DataType.VARCHAR, max_length=longest, is_partition_key=field == 'camera')
    schema.add_field('time', DataType.DOUBLE)
    schema.add_field('timed', DataType.BOOL)
    schema.add_field('feature', DataType.FLOAT_VECTOR, dim=dims)
    parameters = client.prepare_index_params()
    parameters.add_index('feature', index_type=index, metric_type=metric)
    client.create_collection(name, schema=schema, index_params=parameters, consistency_level='Strong')


def make_facts(client: Any, name: str) -> None:
    """Makes the collection of facts; Milvus wants a vector in each row."""
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field('name', DataType.VARCHAR, max_length=64, is_primary=True)
    schema.add_field('value', DataType.VARCHAR, max_length=65_535)
    schema.add_field('nothing', DataType.FLOAT_VECTOR, dim=2)
    parameters = client.prepare_index_params()
    parameters.add_index('nothing', index_type='FLAT', metric_type='L2')
    client.create_collection(name, schema=schema, index_params=parameters, consistency_level='Strong')


def row_of(key: int, entry: NewEntry, digest: str | None) -> dict[str, Any]:
    """Returns an entry as a row, without its feature; no row has None."""
    return dict(
        key=key,
        id=entry.id or '',
        camera=entry.camera or '',
        modality=entry.modality or '',
        image=entry.image or '',
        extra='' if entry.extra is None else json.dumps(entry.extra),
        time=NEVER if entry.time is None else entry.time,
        timed=entry.time is not None,
        digest=digest or '',
        # Who answers by identity: a text that no id can be stands for an entry without one.
        person=f'\t{key}' if entry.id is None else entry.id,
    )


def entry_of(row: Mapping[str, Any]) -> GalleryEntry:
    """Makes an entry of a row; raises ValueError if it is none."""
    return GalleryEntry(
        **{name: row[name] or None for name in ('id', 'camera', 'modality', 'image')},
        extra=parse_json(row['extra']) if row['extra'] else None,
        time=row['time'] if row['timed'] else None,
        key=int(row['key']),
    )
