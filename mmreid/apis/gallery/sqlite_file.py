# Copyright (c) mmreid contributors. All rights reserved.
"""The SQLite file of a gallery: connections, transactions, and what their errors mean."""

import errno
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .store import GalleryBusyError, GalleryDamagedError

APPLICATION = 0x6D6D7265  # 'mmre': what `file` and SQLite show of the file
VERSION = 1
PAGE = 32_768  # bytes; in the usual 4096, one vector of 512 numbers leaves half a page empty
TABLES = {
    'facts': 'name TEXT PRIMARY KEY, value NOT NULL',
    # Keys are never used again, so that an answer that somebody noted down cannot come to mean another person.
    'entries': (
        'key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT, camera TEXT, time REAL, modality TEXT, image TEXT, '
        'extra TEXT, digest TEXT UNIQUE, crc INTEGER NOT NULL'
    ),
    # Apart from the entries, so that reading those does not read the vectors.
    'features': 'key INTEGER PRIMARY KEY, feature BLOB NOT NULL',
}
INDEXES = {'entries_id': 'entries (id)', 'entries_time': 'entries (time)', 'entries_camera': 'entries (camera)'}


def connect(path: Path, wait: float, create: bool) -> sqlite3.Connection:
    """Opens the file of a gallery; makes it if it is absent.

    Args:
        path (Path): The file.
        wait (float): Seconds to wait for another process that writes.
        create (bool): Whether it may be made.

    Raises:
        FileNotFoundError: If it is absent and may not be made, or its folder is absent.
        GalleryDamagedError: If it is another file.
    """
    exists = path.exists()
    if not exists and not create:
        raise FileNotFoundError(f'there is no gallery {path}; make it with `tools/gallery.py create`')
    if not exists and not path.absolute().parent.is_dir():
        raise FileNotFoundError(f'the folder {path.absolute().parent} does not exist; make it first')
    if exists and not path.is_file():
        raise GalleryDamagedError(f'{path} is a folder, or no file at all; a gallery is a single file')
    with explained(path):
        connection = sqlite3.connect(path, timeout=wait, isolation_level=None, check_same_thread=False)
        try:
            _prepare(connection, path, wait, create)
        except BaseException:
            connection.close()
            raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, wait: float, create: bool) -> None:
    # The file may come from anybody: no function runs because a schema says so, and pages are looked at before use.
    connection.execute('PRAGMA trusted_schema = OFF')
    connection.execute('PRAGMA cell_size_check = ON')
    if _is_empty(connection):
        if not create:
            raise FileNotFoundError(f'{path} is empty, not a gallery; make it with `tools/gallery.py create`')
        connection.execute(f'PRAGMA page_size = {PAGE}')
        _begin_log(connection, wait)
        _make(connection)
    _check(connection, path)
    connection.execute('PRAGMA synchronous = FULL')  # a commit is on the disk when it returns
    connection.execute('PRAGMA secure_delete = ON')  # what was deleted cannot be read from the file


def _is_empty(connection: sqlite3.Connection) -> bool:
    """Whether there is nothing in the database: it is new, or who makes it has not ended, or was killed."""
    return not any(
        connection.execute(statement).fetchone()[0]
        for statement in ('PRAGMA application_id', 'SELECT count(*) FROM sqlite_master')
    )


def _begin_log(connection: sqlite3.Connection, wait: float) -> None:
    """Turns on the log (WAL). SQLite itself does not wait here for another process that does the same."""
    deadline = time.monotonic() + wait
    while True:
        try:
            connection.execute('PRAGMA journal_mode = WAL')
            return
        except sqlite3.OperationalError as error:
            if 'locked' not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _make(connection: sqlite3.Connection) -> None:
    with transaction(connection):
        if connection.execute('SELECT count(*) FROM sqlite_master').fetchone()[0]:
            return  # another process was faster
        for name, columns in TABLES.items():
            connection.execute(f'CREATE TABLE {name} ({columns})')
        for name, target in INDEXES.items():
            connection.execute(f'CREATE INDEX {name} ON {target}')
        connection.execute(f'PRAGMA application_id = {APPLICATION}')
        connection.execute(f'PRAGMA user_version = {VERSION}')
    connection.execute('PRAGMA wal_checkpoint')  # so that the file itself says what it is


def _check(connection: sqlite3.Connection, path: Path) -> None:
    application = connection.execute('PRAGMA application_id').fetchone()[0]
    version = connection.execute('PRAGMA user_version').fetchone()[0]
    if application != APPLICATION:
        raise GalleryDamagedError(f'{path} is a database of another program, not a gallery')
    if version != VERSION:
        raise GalleryDamagedError(
            f'{path} has the format {version}, but this version of mmreid reads {VERSION}; use the one that wrote it'
        )
    listed = connection.execute('SELECT type, name FROM sqlite_master').fetchall()
    found = {(kind, name) for kind, name in listed if not name.startswith('sqlite_')}
    wanted = {('table', name) for name in TABLES} | {('index', name) for name in INDEXES}
    if found != wanted:
        odd = sorted(found ^ wanted)[0]
        raise GalleryDamagedError(f'{path} is not a gallery: the {odd[0]} {odd[1]:.60} is missing or foreign')


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Does all of the block or nothing; waits for another process that writes."""
    connection.execute('BEGIN IMMEDIATE')
    try:
        yield
        connection.execute('COMMIT')
    except BaseException:
        if connection.in_transaction:  # a full disk may have ended it already
            connection.execute('ROLLBACK')
        raise


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Reads in the block what one moment had, whatever other processes write."""
    connection.execute('BEGIN')
    try:
        yield
    finally:
        connection.execute('ROLLBACK')


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns errors of SQLite into sentences that say what to do.

    Raises:
        GalleryBusyError: If another process writes.
        GalleryDamagedError: If the file is damaged, or no database.
        OSError: If the disk is full, or the file cannot be written to.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        text = str(error)
        if 'locked' in text or 'busy' in text:
            raise GalleryBusyError(
                f'another process writes to {path} and did not end in time; try again, or wait longer (wait=)'
            ) from error
        if 'full' in text:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        if 'readonly' in text or 'unable to open' in text:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path)) from error
        if 'disk I/O' in text:
            raise OSError(errno.EIO, 'the disk failed, or is full', str(path)) from error
        if isinstance(error, (sqlite3.OperationalError, sqlite3.IntegrityError, sqlite3.ProgrammingError)) and not (
            'malformed' in text or 'no such' in text
        ):
            raise
        raise GalleryDamagedError(
            f'{path} is damaged, or is not a gallery ({text}); restore it from a backup'
        ) from error
