"""Pins drawn on a vector layer.

An open line or path is a pin that moves from its first point to its last; a closed shape (a dot, say) is a pin that
holds its centre. The layer is read as the SVG that Krita makes of it.
"""

import math
import re
import xml.etree.ElementTree as tree

from .failure import Failure
from .task import Pin
from .words import _

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_COMMAND = re.compile(r"([MmLlHhVvCcSsQqTtAaZz])([^MmLlHhVvCcSsQqTtAaZz]*)")
_STEPS = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Q": 4, "T": 2, "A": 7}
_UNIT = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
# The contract takes no more.
_MOST = 1000


def pins_of(layer, document):
    """The pins of a vector layer, in canvas pixels."""
    try:
        root = tree.fromstring(layer.toSvg())
    except tree.ParseError as error:
        raise Failure(_("The vector layer “{layer}” cannot be read.").format(layer=layer.name())) from error
    box = _numbers(root.get("viewBox", ""))
    # Krita writes points of the printed page; the page is the canvas.
    across = document.width() / box[2] if len(box) == 4 and box[2] else 1.0
    down = document.height() / box[3] if len(box) == 4 and box[3] else 1.0
    pins = [Pin(*(round(value * scale, 2) for value, scale in zip(ends, (across, down) * 2)))
            for ends in _ends(root, _UNIT)]
    if not pins:
        raise Failure(_("There are no shapes on the vector layer “{layer}”: draw a line from where a point is to where "
                        "it shall go, and dots on what shall stay.").format(layer=layer.name()))
    return pins[:_MOST]


def _ends(element, outer):
    """First and last point of every line below an element: x, y, x, y."""
    matrix = _times(outer, _matrix(element.get("transform", "")))
    kind = element.tag.rsplit("}", 1)[-1]
    if kind == "path":
        for points, closed in _lines(element.get("d", "")):
            points = [_at(matrix, point) for point in points]
            if closed:
                middle = [(min(axis) + max(axis)) / 2 for axis in zip(*points)]
                yield (*middle, *middle)
            else:
                yield (*points[0], *points[-1])
    elif kind in ("circle", "ellipse", "rect"):
        place = {name: float(element.get(name, 0)) for name in ("cx", "cy", "x", "y", "width", "height")}
        if kind == "rect":
            middle = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
        else:
            middle = place["cx"], place["cy"]
        yield _at(matrix, middle) * 2
    elif kind != "defs":
        for child in element:
            yield from _ends(child, matrix)


def _lines(path):
    """The points of each line in an SVG path (without its handles), and whether it is closed."""
    points, closed, at, start = [], False, (0.0, 0.0), (0.0, 0.0)
    for letter, text in _COMMAND.findall(path):
        kind, relative = letter.upper(), letter.islower()
        if kind == "Z":
            closed, at = True, start
            continue
        values, size = _numbers(text), _STEPS[kind]
        for step in range(0, len(values) - size + 1, size):
            before = at if relative else (0.0, 0.0)
            last = values[step:step + size]
            if kind == "H":
                at = before[0] + last[0], at[1]
            elif kind == "V":
                at = at[0], before[1] + last[0]
            else:
                at = before[0] + last[-2], before[1] + last[-1]
            if kind == "M" and step == 0:
                if points:
                    yield points, closed
                points, closed, start = [], False, at
            points.append(at)
    if points:
        yield points, closed


def _numbers(text):
    return [float(number) for number in _NUMBER.findall(text)]


def _matrix(text):
    """An SVG transform as a, b, c, d, e, f."""
    matrix = _UNIT
    for name, inside in re.findall(r"(\w+)\s*\(([^)]*)\)", text):
        v = _numbers(inside)
        if name == "matrix" and len(v) == 6:
            step = tuple(v)
        elif name == "translate" and v:
            step = (1.0, 0.0, 0.0, 1.0, v[0], v[1] if len(v) > 1 else 0.0)
        elif name == "scale" and v:
            step = (v[0], 0.0, 0.0, v[1] if len(v) > 1 else v[0], 0.0, 0.0)
        elif name == "rotate" and v:
            cos, sin = math.cos(math.radians(v[0])), math.sin(math.radians(v[0]))
            x, y = (v[1], v[2]) if len(v) > 2 else (0.0, 0.0)
            step = (cos, sin, -sin, cos, x - cos * x + sin * y, y - sin * x - cos * y)
        else:
            continue
        matrix = _times(matrix, step)
    return matrix


def _times(m, n):
    """The transform that does `n` first, then `m`."""
    return (m[0] * n[0] + m[2] * n[1], m[1] * n[0] + m[3] * n[1], m[0] * n[2] + m[2] * n[3], m[1] * n[2] + m[3] * n[3],
            m[0] * n[4] + m[2] * n[5] + m[4], m[1] * n[4] + m[3] * n[5] + m[5])


def _at(m, point):
    x, y = point
    return m[0] * x + m[2] * y + m[4], m[1] * x + m[3] * y + m[5]
