"""repose.h, name by name: the Python twin of the contract. tests/abi.rs compares every number, size and offset."""

import ctypes
from ctypes import POINTER, c_char, c_char_p, c_double, c_float, c_int32, c_size_t, c_uint32, c_uint64, c_void_p

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
