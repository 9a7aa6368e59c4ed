"""The picture in the docker on which pins are set, dragged and removed."""

import math

from .qt import QBrush, QColor, QImage, QPainter, QPen, QPointF, QRect, QRectF, QSize, QSizePolicy, Qt, QWidget
from .qt import point_of, pyqtSignal
from .task import Pin

# How near the pointer must be to take a pin, in pixels of the screen.
REACH = 10
_ACCENT = QColor(255, 176, 32)
_HOLD = QColor(86, 180, 233)
_DARK = QColor(0, 0, 0, 170)


class PinView(QWidget):
    """Pins are kept in pixels of the picture; the widget shows `region` of it as large as it fits."""

    changed = pyqtSignal()
    selected = pyqtSignal()

    def __init__(self, parent=None):
        super().__init__(parent)
        self.pins, self.current = [], -1
        self._image, self._shade, self._region, self._live = QImage(), None, QRect(), None
        self._dragging, self._hint = False, ""
        self.setMinimumHeight(180)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setMouseTracking(True)
        self.setCursor(Qt.CursorShape.CrossCursor)

    def sizeHint(self):
        return QSize(300, 280)

    # ---- what is shown ----

    def show_scene(self, image, region, unselected=None):
        """A part of the picture (`region`, in its pixels). What is not selected is dimmed."""
        self._image, self._region = image, region
        self._shade = None
        if unselected is not None:
            shade = QImage(unselected.size(), QImage.Format.Format_ARGB32)
            shade.fill(QColor(20, 20, 24))
            shade.setAlphaChannel(unselected)
            self._shade = shade
        self.update()

    def show_nothing(self, hint):
        """No picture: a sentence instead."""
        self._image, self._region, self._shade, self._hint = QImage(), QRect(), None, hint
        self.update()

    def show_live(self, image):
        """A picture of the work at hand in place of the scene; None ends it."""
        self._live = image
        self.update()

    # ---- pins ----

    def set_pins(self, pins):
        self.pins, self.current = list(pins), len(pins) - 1
        self._told()

    def remove_current(self):
        if 0 <= self.current < len(self.pins):
            del self.pins[self.current]
            self.current = min(self.current, len(self.pins) - 1)
            self._told()

    def change_current(self, **fields):
        """Changes the selected pin's angle or depth."""
        if 0 <= self.current < len(self.pins):
            self.pins[self.current] = self.pins[self.current]._replace(**fields)
            self.update()
            self.changed.emit()

    def _told(self):
        self.update()
        self.changed.emit()
        self.selected.emit()

    # ---- places ----

    def _frame(self):
        """Where the picture lies in the widget."""
        wide, high = max(1, self._region.width()), max(1, self._region.height())
        share = min(self.width() / wide, self.height() / high)
        width, height = wide * share, high * share
        return QRectF((self.width() - width) / 2, (self.height() - height) / 2, width, height)

    def on_screen(self, x, y):
        """A point of the picture in the widget."""
        frame = self._frame()
        return QPointF(frame.x() + (x - self._region.x()) * frame.width() / max(1, self._region.width()),
                       frame.y() + (y - self._region.y()) * frame.height() / max(1, self._region.height()))

    def _in_picture(self, point):
        frame = self._frame()
        x = self._region.x() + (point.x() - frame.x()) * self._region.width() / frame.width()
        y = self._region.y() + (point.y() - frame.y()) * self._region.height() / frame.height()
        return round(x, 1), round(y, 1)

    def _pin_at(self, point):
        near = [(math.hypot(at.x() - point.x(), at.y() - point.y()), i)
                for i, pin in enumerate(self.pins) for at in [self.on_screen(pin.to_x, pin.to_y)]]
        distance, index = min(near, default=(math.inf, -1))
        return index if distance <= REACH else -1

    # ---- the mouse ----

    def mousePressEvent(self, event):
        if self._image.isNull() or self._live is not None:
            return
        point = point_of(event)
        hit = self._pin_at(point)
        if event.button() == Qt.MouseButton.RightButton:
            if hit >= 0:
                self.current = hit
                self.remove_current()
            return
        if event.button() != Qt.MouseButton.LeftButton:
            return
        if hit < 0:
            if not self._frame().contains(point):
                return
            x, y = self._in_picture(point)
            self.pins.append(Pin(x, y, x, y))
            hit = len(self.pins) - 1
        self.current, self._dragging = hit, True
        self._told()

    def mouseMoveEvent(self, event):
        point = point_of(event)
        if not self._dragging:
            over = self._pin_at(point) >= 0
            self.setCursor(Qt.CursorShape.OpenHandCursor if over else Qt.CursorShape.CrossCursor)
            return
        x, y = self._in_picture(point)
        self.pins[self.current] = self.pins[self.current]._replace(to_x=x, to_y=y)
        self.update()
        self.changed.emit()

    def mouseReleaseEvent(self, _event):
        self._dragging = False

    def keyPressEvent(self, event):
        if event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.remove_current()
        else:
            super().keyPressEvent(event)

    # ---- painting ----

    def paintEvent(self, _event):
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.fillRect(self.rect(), self.palette().color(self.backgroundRole()).darker(140))
        if self._live is not None:
            size = QSize(self._live.size()).scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
            place = QRect((self.width() - size.width()) // 2, (self.height() - size.height()) // 2, size.width(),
                          size.height())
            painter.drawImage(place, self._live)
        elif self._image.isNull():
            painter.setPen(self.palette().color(self.foregroundRole()))
            margins = QRectF(self.rect()).adjusted(16, 16, -16, -16)
            painter.drawText(margins, int(Qt.AlignmentFlag.AlignCenter) | int(Qt.TextFlag.TextWordWrap), self._hint)
        else:
            painter.drawImage(self._frame(), self._image)
            if self._shade is not None:
                painter.setOpacity(0.6)
                painter.drawImage(self._frame(), self._shade)
                painter.setOpacity(1.0)
            for index, pin in enumerate(self.pins):
                self._paint_pin(painter, pin, index == self.current)
        painter.end()

    def _paint_pin(self, painter, pin, current):
        start, end = self.on_screen(pin.from_x, pin.from_y), self.on_screen(pin.to_x, pin.to_y)
        moved = (pin.from_x, pin.from_y) != (pin.to_x, pin.to_y)
        colour = _ACCENT if moved else _HOLD
        if moved:
            for width, ink in ((4.5, _DARK), (2.0, colour)):
                painter.setPen(QPen(ink, width))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawLine(start, end)
                painter.drawEllipse(start, 3.5, 3.5)
        radius = 7.0 if current else 5.5
        if not math.isnan(pin.angle):
            # Where the top of the pin points after its turn.
            turn = math.radians(pin.angle)
            tip = QPointF(end.x() + 18 * math.sin(turn), end.y() - 18 * math.cos(turn))
            for width, ink in ((4.5, _DARK), (2.0, colour)):
                painter.setPen(QPen(ink, width))
                painter.drawLine(end, tip)
        painter.setPen(QPen(_DARK, 4.0 if current else 3.0))
        painter.setBrush(QBrush(colour))
        painter.drawEllipse(end, radius, radius)
        painter.setPen(QPen(QColor(255, 255, 255), 2.0 if current else 1.2))
        painter.drawEllipse(end, radius, radius)
