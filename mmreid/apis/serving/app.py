# Copyright (c) mmreid contributors. All rights reserved.
"""The web application that searches a gallery."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from mmreid.utils.optional_package import require

from ..gallery import Gallery
from ..threshold import Threshold
from .page import page
from .search_job import search_by_image
from .search_options import parse_options
from .thumbnails import thumbnail
from .upload import UploadError, discard, receive
from .work_queue import QueueFullError, WorkQueue

#: Sent with every answer: nothing is kept by browsers, shown in frames, or taken for what it is not.
HEADERS = {
    'Cache-Control': 'no-store',
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
}
LOOPBACK = ('127.0.0.1', 'localhost', '[::1]')
_FACTS = ('entries', 'identities', 'cameras', 'modalities', 'first_time', 'last_time', 'model')


@dataclass(frozen=True)
class Limits:
    """What a server accepts.

    Attributes:
        queue (int): Searches that run or wait; more are refused with status 429.
        max_bytes (int): Most bytes of an image.
        max_pixels (int): Most pixels of an image.
        seconds (float): Most seconds that an image may take to arrive.
    """

    queue: int = 16
    max_bytes: int = 20_000_000
    max_pixels: int = 25_000_000
    seconds: float = 20.0


def create_app(
    gallery: Gallery,
    threshold: Threshold | None = None,
    limits: Limits | None = None,
    hosts: Sequence[str] = LOOPBACK,
) -> Any:
    """Makes the web application.

    It answers ``GET /`` (the page), ``GET /health``, ``GET /gallery``, ``POST /search`` with an image as the body, and
    ``GET /image/KEY``. It changes nothing, and keeps no image that is sent.

    Args:
        gallery (Gallery): The gallery, opened with its model.
        threshold (Threshold, optional): Decides who is the same. Defaults to None.
        limits (Limits, optional): What it accepts.
        hosts (Sequence[str]): Names under which it may be asked; others are refused, so that no web page can reach it
            under a name of its own. Defaults to those of this machine.

    Returns:
        fastapi.FastAPI: The application.

    Raises:
        ImportError: If FastAPI is not installed.
        ValueError: If the gallery was opened without its model.
    """
    fastapi = require('fastapi', 'a server of a gallery', 'serve')
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.requests import ClientDisconnect

    if gallery.inferencer is None:
        raise ValueError(f'{gallery.store.place} was opened without its model, which searching by images needs')
    limits = limits or Limits()
    queue = WorkQueue(limits.queue)
    # The pages of FastAPI about itself load their scripts from elsewhere.
    app = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*hosts])

    def answer(content: Any, status: int = 200, **headers: str) -> fastapi.Response:
        return fastapi.responses.JSONResponse(content, status, HEADERS | headers)

    @app.exception_handler(ValueError)
    async def wrong_value(_, error: ValueError) -> fastapi.Response:
        return answer(dict(error=str(error)), 400)

    @app.exception_handler(UploadError)
    async def wrong_upload(_, error: UploadError) -> fastapi.Response:
        return answer(dict(error=str(error)), error.status, Connection='close')

    @app.exception_handler(QueueFullError)
    async def full(_, error: QueueFullError) -> fastapi.Response:
        return answer(dict(error=str(error)), 429, Connection='close', **{'Retry-After': '1'})

    @app.exception_handler(ClientDisconnect)
    async def gone(_, __) -> fastapi.Response:
        return fastapi.Response(status_code=400)  # which nobody reads

    @app.get('/')
    def show_page() -> fastapi.Response:
        text, headers = page()
        return fastapi.Response(text, media_type='text/html', headers=HEADERS | headers)

    @app.get('/health')
    async def health() -> fastapi.Response:
        return answer(dict(status='ok', searches=queue.taken, places=queue.places))

    @app.get('/gallery')
    def facts() -> fastapi.Response:
        info = gallery.info()
        return answer(
            {name: info[name] for name in _FACTS}
            | dict(
                threshold=None if threshold is None else threshold.value,
                query_modalities=list(gallery.inferencer.contract.modalities),
                max_bytes=limits.max_bytes,
            )
        )

    @app.get('/image/{key}')
    def image(key: str) -> fastapi.Response:
        content = thumbnail(gallery, key, limits.max_pixels)
        if content is None:
            return answer(dict(error=f'there is no image {key!r:.60}'), 404)
        return fastapi.Response(content, media_type='image/jpeg', headers=HEADERS)

    @app.post('/search')
    async def search(request: fastapi.Request) -> fastapi.Response:
        body, announced = request.stream(), request.headers.get('content-length')
        try:
            options = parse_options(request.query_params.multi_items())
            with queue.place():
                content = await receive(body, announced, limits.max_bytes, limits.seconds)
                job = partial(search_by_image, gallery, content, options, threshold, limits.max_pixels)
                return answer(await queue.run(job))
        except (ValueError, QueueFullError):
            await discard(body, limits.max_bytes, limits.seconds)
            raise

    return app
