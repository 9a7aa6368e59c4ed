"""The subjects in the user's library, with their pictures."""

import base64

from .engine import shared
from .qt import (QAbstractItemView, QIcon, QImage, QListView, QListWidget, QListWidgetItem, QPainter, QPixmap, QSize,
                 Qt, pyqtSignal)
from .words import _

_SIDE = 56
_WORD, _CAPTION = int(Qt.ItemDataRole.UserRole), int(Qt.ItemDataRole.UserRole) + 1


def _why_not(subject):
    """Why a subject cannot be used; None if it can."""
    if subject["problem"]:
        return subject["problem"]
    standing = subject["consent"]["standing"]
    return {
        "valid": None,
        "expired": _("The consent to use this subject has expired."),
        "revoked": _("The consent to use this subject was revoked."),
    }.get(standing, _("It is not known whether this subject may be used."))


class SubjectList(QListWidget):
    """One row of pictures with names. A subject that cannot be used is greyed and says why."""

    chosen = pyqtSignal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setMovement(QListView.Movement.Static)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setWrapping(False)
        self.setIconSize(QSize(_SIDE, _SIDE))
        self.setGridSize(QSize(_SIDE + 32, _SIDE + 26))
        self.setFixedHeight(_SIDE + 46)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName(_("Subject"))
        self.currentItemChanged.connect(lambda now, _before: self.chosen.emit(now.text() if now else ""))

    def subject(self):
        """The name of the chosen subject; empty if there is none."""
        return self.currentItem().text() if self.currentItem() else ""

    def words(self):
        """What the chosen subject is called in words, and what its picture shows; empty if it is not known."""
        item = self.currentItem()
        return (item.data(_WORD) or item.text(), item.data(_CAPTION) or "") if item else ("", "")

    def paintEvent(self, event):  # noqa: N802, Qt calls it so
        super().paintEvent(event)
        if self.count() == 0:
            painter = QPainter(self.viewport())
            painter.setPen(self.palette().color(self.foregroundRole()))
            painter.setOpacity(0.7)
            painter.drawText(self.viewport().rect(), int(Qt.AlignmentFlag.AlignCenter), _("Nothing was learned yet."))
            painter.end()

    def refresh(self, choose=""):
        """Reads the library again. Chooses the subject of that name, else the one that was chosen, else the first."""
        choose = choose or self.subject()
        self.blockSignals(True)
        self.clear()
        for subject in shared().library(command="list")["subjects"]:
            item = QListWidgetItem(_icon(subject["thumbnail_png"]), subject["name"])
            item.setData(_WORD, subject.get("word"))
            item.setData(_CAPTION, subject.get("caption"))
            why_not = _why_not(subject)
            if why_not:
                item.setFlags(item.flags() & ~(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable))
            item.setToolTip(why_not or f"{subject['name']}\n{subject['consent']['statement']}")
            self.addItem(item)
        usable = [self.item(row) for row in range(self.count()) if self.item(row).flags() & Qt.ItemFlag.ItemIsEnabled]
        named = [item for item in usable if item.text() == choose]
        if usable:
            self.setCurrentItem((named or usable)[0])
        self.blockSignals(False)
        self.chosen.emit(self.subject())


def _icon(png):
    image = QImage.fromData(base64.b64decode(png)) if png else QImage()
    side = QImage(_SIDE, _SIDE, QImage.Format.Format_ARGB32)
    side.fill(Qt.GlobalColor.transparent)
    picture = QPixmap.fromImage(image if not image.isNull() else side)
    icon = QIcon(picture)
    # Qt would tint the chosen one, as if it were faded.
    icon.addPixmap(picture, QIcon.Mode.Selected)
    return icon
