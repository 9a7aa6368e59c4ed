"""The plugin itself: found, loaded once, and called. The only file that touches its memory."""

import atexit
import ctypes
import json
import os
import sys
import threading
from collections import namedtuple
from ctypes import POINTER, byref, c_void_p

from . import abi
from .failure import Failure
from .words import _

Status = namedtuple("Status", "state code layers done total eta_seconds preview_serial stage")
Status.__doc__ = "Where a job is; the fields are those of ReposeJobStatus."

Layer = namedtuple("Layer", "name candidate role x y width height pixels mask_depth mask")
Layer.__doc__ = "A result: its place in the picture, pixels in the picture's own format, its coverage. Tight rows."

_FILES = {"win32": "repose.dll", "darwin": "librepose.dylib"}
_DEPTH_BYTES = {abi.REPOSE_DEPTH_U8: 1, abi.REPOSE_DEPTH_U16: 2, abi.REPOSE_DEPTH_F16: 2, abi.REPOSE_DEPTH_F32: 4}
_SAMPLES = {
    abi.REPOSE_CHANNELS_GREY: 1,
    abi.REPOSE_CHANNELS_GREY_ALPHA: 2,
    abi.REPOSE_CHANNELS_RGB: 3,
    abi.REPOSE_CHANNELS_RGBA: 4,
    abi.REPOSE_CHANNELS_BGRA: 4,
}


def library_path():
    """The shared library: in this folder, where the package puts it, else where REPOSE_PLUGIN says."""
    own = os.path.join(os.path.dirname(os.path.abspath(__file__)), _FILES.get(sys.platform, "librepose.so"))
    return own if os.path.exists(own) else os.environ.get("REPOSE_PLUGIN", own)


def sized(kind, **fields):
    """A struct with its size set."""
    return kind(struct_size=ctypes.sizeof(kind), **fields)


def address(data):
    """Where bytes lie; the caller keeps them alive during the call."""
    return ctypes.cast(ctypes.c_char_p(data), c_void_p)


class Engine:
    """One engine of the plugin with its background thread. Every call returns at once."""

    def __init__(self, library=None):
        path = library_path()
        try:
            get = ctypes.CDLL(path).repose_api
        except (OSError, AttributeError) as error:
            message = _("Repose's own library cannot be loaded. Import the plug-in again. ({reason})")
            raise Failure(message.format(reason=error), abi.REPOSE_FILES) from error
        get.restype, get.argtypes = POINTER(abi.ReposeApi), [ctypes.c_uint32]
        table = get(abi.REPOSE_VERSION)
        if not table:
            message = _("{path} is older than this plug-in. Import the plug-in again.")
            raise Failure(message.format(path=path), abi.REPOSE_FILES)
        self.api = table.contents
        self.version = self.api.plugin_version.decode()
        self._engine, self._replies = c_void_p(), []
        options = sized(abi.ReposeEngineOptions, library=library.encode() if library else None)
        self.call(self.api.engine_open, byref(options), byref(self._engine))

    def call(self, function, *arguments):
        """Calls a function whose last output is an error text."""
        error = POINTER(abi.ReposeBytes)()
        code = function(*arguments, byref(error))
        if code == abi.REPOSE_BUSY:
            raise Failure(_("Repose has too much to do already: try again when a job has ended."), code)
        if code != abi.REPOSE_OK:
            raise Failure(self.take(error).decode() if error else _("No reason was given."), code)

    def take(self, text):
        """Copies the plugin's bytes and gives them back."""
        copy = ctypes.string_at(text.contents.data, text.contents.size)
        self.api.bytes_free(text)
        return copy

    def submit(self, function, request):
        """Queues a request, which the plugin copies, and gives the job."""
        job = c_void_p()
        self.call(function, self._engine, byref(request), byref(job))
        return Job(self, job)

    def library(self, **command):
        """A command on the subject library (host-sdk/README.md); gives the decoded answer."""
        answer = POINTER(abi.ReposeBytes)()
        self.call(self.api.library_command, self._engine, json.dumps(command).encode(), byref(answer))
        return json.loads(self.take(answer))

    def library_later(self, **command):
        """The same on a thread of its own, for commands that read many files: gives a Reply."""
        self._replies = [reply for reply in self._replies if not reply.there()]
        self._replies.append(Reply(lambda: self.library(**command)))
        return self._replies[-1]

    def close(self):
        """Cancels what is at work and ends the thread."""
        for reply in self._replies:
            reply.wait()
        engine, self._engine = self._engine, c_void_p()
        self.api.engine_close(engine)


class Reply:
    """What a call will give that goes on beside the user interface."""

    def __init__(self, call):
        self._call, self._answer, self._failure = call, None, None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            self._answer = self._call()
        except Failure as failure:
            self._failure = failure
        except Exception as error:  # noqa: BLE001, nobody would hear of it on this thread
            self._failure = Failure(str(error), abi.REPOSE_BUG)

    def there(self):
        return not self._thread.is_alive()

    def wait(self):
        self._thread.join()

    def answer(self):
        """The answer, once it is there; fails as the call has failed."""
        if self._failure is not None:
            raise self._failure
        return self._answer


class Job:
    """One piece of work. Free it exactly once, by `free`, which may be called again."""

    def __init__(self, engine, job):
        self._engine, self._api, self._job = engine, engine.api, job

    def status(self):
        status = sized(abi.ReposeJobStatus)
        self._check(self._api.job_status(self._job, byref(status)))
        return Status(status.state, status.code, status.layer_count, status.done, status.total, status.eta_seconds,
                      status.preview_serial, status.stage.decode())

    def cancel(self):
        if self._job:
            self._api.job_cancel(self._job)

    def preview(self):
        """Width, height and RGBA bytes (8 bits, sRGB) of the newest preview; None if there is none."""
        width, height, pixels = ctypes.c_uint32(), ctypes.c_uint32(), POINTER(abi.ReposeBytes)()
        if self._api.job_preview(self._job, byref(width), byref(height), byref(pixels)) != abi.REPOSE_OK:
            return None
        return width.value, height.value, self._engine.take(pixels)

    def layers(self, count):
        """Copies of all results, bottom first within each candidate."""
        return [self._layer(index) for index in range(count)]

    def _layer(self, index):
        layer = sized(abi.ReposeLayer)
        self._check(self._api.job_layer(self._job, index, byref(layer)))
        row = layer.width * _SAMPLES[layer.channels] * _DEPTH_BYTES[layer.depth]
        mask_row = layer.width * _DEPTH_BYTES[layer.mask_depth]
        return Layer(layer.name.decode(), layer.candidate, layer.role, layer.x, layer.y, layer.width, layer.height,
                     _rows(layer.pixels, layer.stride, row, layer.height), layer.mask_depth,
                     _rows(layer.mask, layer.mask_stride, mask_row, layer.height))

    def text(self, kind):
        """One of the job's texts (REPOSE_BYTES_…); empty if there is none."""
        text = POINTER(abi.ReposeBytes)()
        if self._api.job_bytes(self._job, kind, byref(text)) != abi.REPOSE_OK:
            return ""
        return self._engine.take(text).decode()

    def free(self):
        job, self._job = self._job, None
        if job:
            self._api.job_free(job)

    @staticmethod
    def _check(code):
        if code != abi.REPOSE_OK:
            raise Failure(_("The plugin did not answer as expected."), abi.REPOSE_BUG)


def _rows(start, stride, length, height):
    """Copies rows of `length` bytes that lie `stride` apart."""
    if stride == length:
        return ctypes.string_at(start, length * height)
    return b"".join(ctypes.string_at(start + y * stride, length) for y in range(height))


_shared = None


def shared():
    """The process's one engine, opened at first use and closed when Krita ends."""
    global _shared
    if _shared is None:
        _shared = Engine()
        atexit.register(close_shared)
    return _shared


def close_shared():
    global _shared
    engine, _shared = _shared, None
    if engine is not None:
        engine.close()
