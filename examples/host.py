#!/usr/bin/env python3
"""A whole host with the standard library alone: learns a subject from a selection, gives it a new pose, writes a PNG.

    python3 examples/host.py target/release/librepose.so LIBRARY_FOLDER photo.png mask.png result.png 120,80:150,60 40,200

A pin is FROM_X,FROM_Y:TO_X,TO_Y; one point alone stays where it is. Without pins the subject is erased. With --again
before the paths, the saved request is replayed, and must give the same pixels. Ctrl+C cancels the job at work. The exit
status is the plugin's status code. Pictures are PNG, not interlaced, 8 or 16 bits a sample, grey or RGB, with or without
alpha; the mask is an 8-bit or 16-bit grey one.
"""

import ctypes
import struct
import sys
import time
import zlib
from ctypes import POINTER, byref, c_char, c_char_p, c_double, c_float, c_int32, c_size_t, c_uint32, c_uint64, c_void_p

# ---- repose.h, name by name (tests/abi.rs compares every number, size and offset) ----

REPOSE_VERSION = 2
REPOSE_OK, REPOSE_CALLER, REPOSE_FILES, REPOSE_REFUSED = 0, 1, 2, 3
REPOSE_DEVICE, REPOSE_CANCELLED, REPOSE_BUG, REPOSE_BUSY = 4, 5, 6, 7
REPOSE_STATE_QUEUED, REPOSE_STATE_RUNNING, REPOSE_STATE_DONE = 1, 2, 3
REPOSE_STATE_FAILED, REPOSE_STATE_CANCELLED = 4, 5
REPOSE_DEPTH_U8, REPOSE_DEPTH_U16, REPOSE_DEPTH_F16, REPOSE_DEPTH_F32 = 1, 2, 3, 4
REPOSE_CHANNELS_GREY, REPOSE_CHANNELS_GREY_ALPHA = 1, 2
REPOSE_CHANNELS_RGB, REPOSE_CHANNELS_RGBA, REPOSE_CHANNELS_BGRA = 3, 4, 5
REPOSE_SPACE_SRGB, REPOSE_SPACE_LINEAR_SRGB, REPOSE_SPACE_ICC = 1, 2, 3
REPOSE_REFINE_AUTO, REPOSE_REFINE_ALWAYS, REPOSE_REFINE_NEVER = 0, 1, 2
REPOSE_PRECISION_F32, REPOSE_PRECISION_BF16 = 0, 1
REPOSE_ROLE_BACKGROUND, REPOSE_ROLE_SUBJECT = 1, 2
REPOSE_BYTES_MESSAGE, REPOSE_BYTES_HISTORY, REPOSE_BYTES_XMP, REPOSE_BYTES_REQUEST = 1, 2, 3, 4


class ReposeBytes(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("size", c_size_t)]


class ReposeEngineOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("threads", c_uint32), ("queue", c_uint32), ("precision", c_uint32),
                ("library", c_char_p), ("models", c_char_p)]


class ReposePicture(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("width", c_uint32), ("height", c_uint32), ("depth", c_uint32),
                ("channels", c_uint32), ("space", c_uint32), ("pixels", c_void_p), ("pixels_size", c_size_t),
                ("stride", c_size_t), ("icc", c_void_p), ("icc_size", c_size_t)]


class ReposeSelection(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("depth", c_uint32), ("x", c_int32), ("y", c_int32), ("width", c_uint32),
                ("height", c_uint32), ("samples", c_void_p), ("samples_size", c_size_t), ("stride", c_size_t)]


class ReposePin(ctypes.Structure):
    _fields_ = [(name, c_float) for name in ("from_x", "from_y", "to_x", "to_y", "angle", "depth")]


class ReposeTraining(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("steps", c_uint32), ("recipe", c_char_p), ("model", c_char_p),
                ("rank", c_uint32), ("earlier", c_uint32), ("seed", c_uint64)]


class ReposeLearnRequest(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("refine", c_uint32), ("picture", POINTER(ReposePicture)),
                ("selection", POINTER(ReposeSelection)), ("name", c_char_p), ("consent", c_char_p),
                ("expires", c_char_p), ("person", c_uint32), ("person_agrees", c_uint32), ("caption", c_char_p),
                ("word", c_char_p), ("training", POINTER(ReposeTraining))]


class ReposeText(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("steps", c_uint32), ("model", c_char_p), ("negative", c_char_p),
                ("source", c_char_p), ("word", c_char_p), ("sampler", c_char_p), ("strength", c_float),
                ("guidance", c_float), ("rescale", c_float), ("identity", c_float), ("clip_skip", c_uint32),
                ("side", c_uint32), ("guided", c_float), ("reuse", c_uint32), ("variant", c_char_p)]


class ReposePoseRequest(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("candidates", c_uint32), ("picture", POINTER(ReposePicture)),
                ("selection", POINTER(ReposeSelection)), ("subject", c_char_p), ("pins", POINTER(ReposePin)),
                ("pin_count", c_uint32), ("version", c_uint32), ("guide", POINTER(ReposePicture)),
                ("prompt", c_char_p), ("offset_x", c_float), ("offset_y", c_float), ("scale", c_float),
                ("angle", c_float), ("seed", c_uint64), ("grow", c_uint32), ("refine", c_uint32),
                ("text", POINTER(ReposeText))]


class ReposeEraseRequest(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("candidates", c_uint32), ("picture", POINTER(ReposePicture)),
                ("selection", POINTER(ReposeSelection)), ("seed", c_uint64), ("grow", c_uint32),
                ("reserved", c_uint32)]


class ReposeJobStatus(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("state", c_uint32), ("code", c_int32), ("layer_count", c_uint32),
                ("done", c_uint32), ("total", c_uint32), ("eta_seconds", c_double), ("preview_serial", c_uint64),
                ("stage", c_char * 32)]


class ReposeLayer(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("candidate", c_uint32), ("role", c_uint32), ("x", c_uint32),
                ("y", c_uint32), ("width", c_uint32), ("height", c_uint32), ("depth", c_uint32),
                ("channels", c_uint32), ("space", c_uint32), ("mask_depth", c_uint32), ("reserved", c_uint32),
                ("name", c_char_p), ("pixels", c_void_p), ("stride", c_size_t), ("mask", c_void_p),
                ("mask_stride", c_size_t), ("icc", c_void_p), ("icc_size", c_size_t)]


def _function(result, *arguments):
    return ctypes.CFUNCTYPE(result, *arguments)


_ENGINE, _JOB, _OUT, _TEXT = c_void_p, c_void_p, POINTER(c_void_p), POINTER(POINTER(ReposeBytes))


class ReposeApi(ctypes.Structure):
    _fields_ = [
        ("version", c_uint32), ("struct_size", c_uint32), ("plugin_version", c_char_p),
        ("engine_open", _function(c_int32, POINTER(ReposeEngineOptions), _OUT, _TEXT)),
        ("engine_close", _function(None, _ENGINE)),
        ("job_learn", _function(c_int32, _ENGINE, POINTER(ReposeLearnRequest), _OUT, _TEXT)),
        ("job_repose", _function(c_int32, _ENGINE, POINTER(ReposePoseRequest), _OUT, _TEXT)),
        ("job_erase", _function(c_int32, _ENGINE, POINTER(ReposeEraseRequest), _OUT, _TEXT)),
        ("job_replay", _function(c_int32, _ENGINE, c_char_p, c_size_t, _OUT, _TEXT)),
        ("job_status", _function(c_int32, _JOB, POINTER(ReposeJobStatus))),
        ("job_cancel", _function(c_int32, _JOB)),
        ("job_preview", _function(c_int32, _JOB, POINTER(c_uint32), POINTER(c_uint32), _TEXT)),
        ("job_layer", _function(c_int32, _JOB, c_uint32, POINTER(ReposeLayer))),
        ("job_picture", _function(c_int32, _JOB, POINTER(ReposePicture))),
        ("job_bytes", _function(c_int32, _JOB, c_uint32, _TEXT)),
        ("job_free", _function(None, _JOB)),
        ("library_command", _function(c_int32, _ENGINE, c_char_p, _TEXT, _TEXT)),
        ("bytes_free", _function(None, POINTER(ReposeBytes))),
    ]


class Failure(Exception):
    """A status code and a sentence for the user."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def sized(kind, **fields):
    """A struct with its size set."""
    return kind(struct_size=ctypes.sizeof(kind), **fields)


class Host:
    """One engine of the plugin, called directly."""

    def __init__(self, plugin, library):
        get = ctypes.CDLL(plugin).repose_api
        get.restype, get.argtypes = POINTER(ReposeApi), [c_uint32]
        table = get(REPOSE_VERSION)
        if not table:
            raise Failure(REPOSE_FILES, f"{plugin} is too old")
        self.api = table.contents
        self.engine = c_void_p()
        options = sized(ReposeEngineOptions, library=library.encode())
        self.call(self.api.engine_open, byref(options), byref(self.engine))

    def close(self):
        self.api.engine_close(self.engine)

    def call(self, function, *arguments):
        """Calls a function that has an error text for its last output."""
        error = POINTER(ReposeBytes)()
        code = function(*arguments, byref(error))
        if code != REPOSE_OK:
            raise Failure(code, self.take(error).decode() if error else "no reason was given")

    def take(self, text):
        """Copies the plugin's bytes and gives them back."""
        copy = ctypes.string_at(text.contents.data, text.contents.size)
        self.api.bytes_free(text)
        return copy

    def submit(self, function, *arguments):
        job = c_void_p()
        self.call(function, self.engine, *arguments, byref(job))
        return job

    def bytes_of(self, job, kind):
        text = POINTER(ReposeBytes)()
        code = self.api.job_bytes(job, kind, byref(text))
        if code != REPOSE_OK:
            raise Failure(code, "job_bytes")
        return self.take(text)

    def wait(self, job, what):
        """Polls until the end, as a host's timer would. Gives the number of layers."""
        status = sized(ReposeJobStatus)
        while True:
            try:
                self.api.job_status(job, byref(status))
                left = f" {status.eta_seconds:5.1f} s left" if status.eta_seconds >= 0 else ""
                line = f"\r{what}: {status.stage.decode():<24} {status.done:3}/{status.total:<3}{left}"
                print(line, end="", file=sys.stderr)
                if status.state == REPOSE_STATE_DONE:
                    print(file=sys.stderr)
                    return status.layer_count
                if status.state > REPOSE_STATE_DONE:
                    print(file=sys.stderr)
                    raise Failure(status.code, self.bytes_of(job, REPOSE_BYTES_MESSAGE).decode())
                time.sleep(0.03)
            except KeyboardInterrupt:
                self.api.job_cancel(job)


# ---- Pictures: rows of samples in native byte order ----


class Image:
    def __init__(self, width, height, channels, size, data):
        self.width, self.height, self.channels, self.size = width, height, channels, size
        self.data = bytearray(data)

    def row(self):
        return self.width * self.channels * self.size

    def swapped(self):
        """The samples between PNG's byte order and this machine's."""
        data = bytearray(self.data)
        if self.size == 2 and sys.byteorder == "little":
            data[0::2], data[1::2] = self.data[1::2], self.data[0::2]
        return data


PNG = b"\x89PNG\r\n\x1a\n"
PNG_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}


def png_read(path):
    with open(path, "rb") as file:
        data = file.read()
    try:
        if data[:8] != PNG:
            raise ValueError("not a PNG file")
        at, packed, head = 8, b"", None
        while at < len(data):
            length, kind = struct.unpack(">I4s", data[at:at + 8])
            body = data[at + 8:at + 8 + length]
            if kind == b"IHDR":
                head = struct.unpack(">IIBBBBB", body)
            elif kind == b"IDAT":
                packed += body
            at += 12 + length
        width, height, bits, colour, _, _, interlaced = head
        if bits not in (8, 16) or colour not in PNG_CHANNELS or interlaced or width * height > 1 << 29:
            raise ValueError("8 or 16 bits, grey or RGB, not interlaced, at most 2^29 pixels were expected")
        image = Image(width, height, PNG_CHANNELS[colour], bits // 8, b"")
        wanted = (image.row() + 1) * height
        rows = zlib.decompressobj().decompress(packed, wanted)
        if len(rows) != wanted:
            raise ValueError("the file ends too early")
        image.data = png_unfiltered(rows, image.row(), image.channels * image.size)
        image.data = image.swapped()
        return image
    except (ValueError, TypeError, struct.error, zlib.error) as error:
        raise Failure(REPOSE_CALLER, f"{path}: {error}") from error


def png_unfiltered(rows, length, pixel):
    """Undoes the prediction of each row (PNG specification, 9.2)."""
    data, above = bytearray(), bytearray(length)
    for at in range(0, len(rows), length + 1):
        kind, line = rows[at], bytearray(rows[at + 1:at + 1 + length])
        if kind > 4:
            raise ValueError("an unknown filter")
        for i in range(length if kind else 0):
            a, b = line[i - pixel] if i >= pixel else 0, above[i]
            c = above[i - pixel] if i >= pixel else 0
            if kind == 4:
                p = a + b - c
                distances = abs(p - a), abs(p - b), abs(p - c)
                guess = (a, b, c)[distances.index(min(distances))]
            else:
                guess = (a, b, (a + b) // 2)[kind - 1]
            line[i] = (line[i] + guess) & 255
        data += line
        above = line
    return data


def png_write(path, image):
    data, row = image.swapped(), image.row()
    rows = b"".join(b"\0" + data[y * row:(y + 1) * row] for y in range(image.height))
    colour = {channels: colour for colour, channels in PNG_CHANNELS.items()}[image.channels]
    head = struct.pack(">IIBBBBB", image.width, image.height, image.size * 8, colour, 0, 0, 0)
    with open(path, "wb") as file:
        file.write(PNG)
        for kind, body in ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
            file.write(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)))


# ---- The job ----


def picture_of(image):
    return sized(ReposePicture, width=image.width, height=image.height, channels=image.channels,
                 depth=REPOSE_DEPTH_U8 if image.size == 1 else REPOSE_DEPTH_U16, space=REPOSE_SPACE_SRGB,
                 pixels=ctypes.addressof(c_char.from_buffer(image.data)), pixels_size=len(image.data),
                 stride=image.row())


def selection_of(mask):
    return sized(ReposeSelection, depth=REPOSE_DEPTH_U8 if mask.size == 1 else REPOSE_DEPTH_U16, width=mask.width,
                 height=mask.height, samples=ctypes.addressof(c_char.from_buffer(mask.data)),
                 samples_size=len(mask.data), stride=mask.row())


def rows_of(address, stride, length, height, size):
    """A layer's rows as lists of samples."""
    kind = "B" if size == 1 else "H"
    return [memoryview(ctypes.string_at(address + y * stride, length)).cast(kind) for y in range(height)]


def flatten(host, job, count, image):
    """The first candidate over a copy of the picture. Fails if a pixel changes where all masks are 0."""
    kind = "B" if image.size == 1 else "H"
    result = Image(image.width, image.height, image.channels, image.size, image.data)
    samples, channels = memoryview(result.data).cast(kind), image.channels
    touched = bytearray(image.width * image.height)
    for index in range(count):
        layer = sized(ReposeLayer)
        if host.api.job_layer(job, index, byref(layer)) != REPOSE_OK:
            raise Failure(REPOSE_BUG, "job_layer")
        if layer.candidate != 0:
            continue
        print(f'layer "{layer.name.decode()}": {layer.width} x {layer.height} at {layer.x}, {layer.y}',
              file=sys.stderr)
        mask_size = 1 if layer.mask_depth == REPOSE_DEPTH_U8 else 2
        full = 255 if mask_size == 1 else 65535
        pixels = rows_of(layer.pixels, layer.stride, layer.width * channels * image.size, layer.height, image.size)
        masks = rows_of(layer.mask, layer.mask_stride, layer.width * mask_size, layer.height, mask_size)
        for y, (source, mask) in enumerate(zip(pixels, masks)):
            start = (layer.y + y) * image.width + layer.x
            for x, cover in enumerate(mask):
                if cover == 0:
                    continue
                touched[start + x] = 1
                for c in range(channels):
                    i = (start + x) * channels + c
                    samples[i] = (source[x * channels + c] * cover + samples[i] * (full - cover) + full // 2) // full
    changed, step = 0, channels * image.size
    for i in range(len(touched)):
        if result.data[i * step:(i + 1) * step] != image.data[i * step:(i + 1) * step]:
            if not touched[i]:
                raise Failure(REPOSE_BUG, "a pixel outside the masks has changed")
            changed += 1
    print(f"{changed} pixels changed, none of them outside the masks", file=sys.stderr)
    return result


def pin_parse(text):
    try:
        points = [tuple(float(v) for v in point.split(",")) for point in text.split(":")]
        (from_x, from_y), (to_x, to_y) = points[0], points[-1]
        if len(points) > 2:
            raise ValueError
    except ValueError as error:
        raise Failure(REPOSE_CALLER, f"{text}: a pin is FROM_X,FROM_Y:TO_X,TO_Y or X,Y") from error
    return ReposePin(from_x, from_y, to_x, to_y, float("nan"), 0)


def run(arguments):
    again = arguments[:1] == ["--again"]
    paths = arguments[again:again + 5]
    if len(paths) < 5:
        raise Failure(REPOSE_CALLER, __doc__)
    plugin, library, picture_path, mask_path, out = paths
    image, mask = png_read(picture_path), png_read(mask_path)
    if mask.channels != 1:
        raise Failure(REPOSE_CALLER, f"{mask_path}: a grey picture was expected")
    pins = [pin_parse(text) for text in arguments[again + 5:]]
    picture, selection = picture_of(image), selection_of(mask)
    host = Host(plugin, library)
    try:
        if pins:
            learn = sized(ReposeLearnRequest, picture=ctypes.pointer(picture), selection=ctypes.pointer(selection),
                          name=b"host.py", consent=b"the example's own subject, for trying the plugin")
            job = host.submit(host.api.job_learn, byref(learn))
            host.wait(job, "learn")
            host.api.job_free(job)
            answer = POINTER(ReposeBytes)()
            host.call(host.api.library_command, host.engine, b'{"command": "list"}', byref(answer))
            print(f"the library has {len(host.take(answer))} bytes to say about its subjects", file=sys.stderr)
            pose = sized(ReposePoseRequest, picture=ctypes.pointer(picture), selection=ctypes.pointer(selection),
                         subject=b"host.py", pins=(ReposePin * len(pins))(*pins), pin_count=len(pins))
            job = host.submit(host.api.job_repose, byref(pose))
        else:
            erase = sized(ReposeEraseRequest, picture=ctypes.pointer(picture), selection=ctypes.pointer(selection))
            job = host.submit(host.api.job_erase, byref(erase))
        result = flatten(host, job, host.wait(job, "re-pose" if pins else "erase"), image)
        print(host.bytes_of(job, REPOSE_BYTES_HISTORY).decode())
        if again:
            request = host.bytes_of(job, REPOSE_BYTES_REQUEST)
            second = host.submit(host.api.job_replay, request, len(request))
            if flatten(host, second, host.wait(second, "again"), image).data != result.data:
                raise Failure(REPOSE_BUG, "the replay gave other pixels")
            host.api.job_free(second)
        host.api.job_free(job)
    finally:
        host.close()
    png_write(out, result)


def main():
    try:
        run(sys.argv[1:])
    except Failure as failure:
        print(failure, file=sys.stderr)
        sys.exit(failure.code)
    except OSError as error:
        print(error, file=sys.stderr)
        sys.exit(REPOSE_FILES)


if __name__ == "__main__":
    main()
