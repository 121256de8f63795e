# Copyright (c) mmreid contributors. All rights reserved.
"""Drives a headless Chromium through the pipe of its DevTools protocol, without any package."""

import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

NAMES = ('chromium', 'chromium-browser', 'google-chrome')
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
SECONDS = 60


class Browser:
    """One page of a headless browser, offline but for this machine.

    Args:
        profile (Path): An empty folder for what the browser writes.
        size (tuple[int, int]): Width and height of the window.
    """

    def __init__(self, profile: Path, size: tuple[int, int] = (1280, 900)) -> None:
        command_read, self.command = os.pipe()
        self.reply, reply_write = os.pipe()
        options = ['--headless=new', '--remote-debugging-pipe', f'--user-data-dir={profile}', '--disable-gpu']
        options += ['--no-first-run', '--disable-background-networking', f'--window-size={size[0]},{size[1]}']
        options += ['--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1', '--disable-dev-shm-usage']
        options += ['--no-sandbox'] if os.geteuid() == 0 else []  # which root cannot have

        def use_pipes() -> None:
            first, second = os.dup(command_read), os.dup(reply_write)
            os.dup2(first, 3)
            os.dup2(second, 4)

        self.process = subprocess.Popen(
            [CHROMIUM, *options, 'about:blank'],
            pass_fds=(3, 4, command_read, reply_write),
            preexec_fn=use_pipes,  # noqa: PLW1509  the child of a process without threads that matter
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )
        os.close(command_read)
        os.close(reply_write)
        self.number, self.buffer, self.session, self.events = 0, b'', None, []
        target = next(t for t in self.call('Target.getTargets')['targetInfos'] if t['type'] == 'page')
        self.session = self.call('Target.attachToTarget', targetId=target['targetId'], flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'DOM', 'Log', 'Network'):
            self.call(f'{domain}.enable')

    def call(self, method: str, **parameters: Any) -> dict:
        """Calls a method of the protocol and returns its result."""
        self.number += 1
        message = dict(id=self.number, method=method, params=parameters)
        if self.session:
            message['sessionId'] = self.session
        os.write(self.command, json.dumps(message).encode() + b'\0')
        while True:
            reply = self._read()
            if reply.get('id') == self.number:
                assert 'error' not in reply, f'{method}: {reply["error"]}'
                return reply['result']
            self.events.append(reply)

    def _read(self) -> dict:
        while b'\0' not in self.buffer:
            part = os.read(self.reply, 2**20)
            assert part, 'the browser has ended'
            self.buffer += part
        line, _, self.buffer = self.buffer.partition(b'\0')
        return json.loads(line)

    def value(self, expression: str) -> Any:
        """Evaluates JavaScript in the page; waits for a promise."""
        result = self.call('Runtime.evaluate', expression=expression, returnByValue=True, awaitPromise=True)
        assert 'exceptionDetails' not in result, result['exceptionDetails']
        return result['result'].get('value')

    def wait_for(self, expression: str) -> Any:
        """Waits until JavaScript gives something true; returns it."""
        end = time.monotonic() + SECONDS
        while not (value := self.value(expression)):
            assert time.monotonic() < end, f'{expression} stayed {value!r}'
            time.sleep(0.05)
        return value

    def open(self, address: str) -> None:
        """Opens an address, and waits until the page is loaded."""
        self.call('Page.navigate', url=address)
        self.wait_for('document.readyState === "complete" && location.href !== "about:blank"')

    def choose_file(self, selector: str, path: Path) -> None:
        """Chooses a file in an input."""
        root = self.call('DOM.getDocument')['root']['nodeId']
        node = self.call('DOM.querySelector', nodeId=root, selector=selector)['nodeId']
        self.call('DOM.setFileInputFiles', nodeId=node, files=[str(path)])

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drags the mouse from one place of the window to another."""
        for kind, place in (('mousePressed', start), ('mouseMoved', end), ('mouseReleased', end)):
            self.call(
                'Input.dispatchMouseEvent', type=kind, x=place[0], y=place[1], button='left', buttons=1, clickCount=1
            )

    def screenshot(self, path: Path) -> None:
        """Writes what the window shows as PNG."""
        path.write_bytes(base64.b64decode(self.call('Page.captureScreenshot')['data']))

    def complaints(self) -> list[str]:
        """What the console complained about."""
        self.value('0')
        logged = [event['params']['entry'] for event in self.events if event.get('method') == 'Log.entryAdded']
        thrown = [str(event) for event in self.events if event.get('method') == 'Runtime.exceptionThrown']
        return thrown + [f'{entry["text"]} {entry.get("url")}' for entry in logged]

    def asked(self) -> list[str]:
        """Addresses that the page asked for."""
        sent = [event for event in self.events if event.get('method') == 'Network.requestWillBeSent']
        return [event['params']['request']['url'] for event in sent]

    def close(self) -> None:
        """Ends the browser."""
        self.process.kill()
        self.process.wait()
        os.close(self.command)
        os.close(self.reply)
