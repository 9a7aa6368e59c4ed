"""Qt as this Krita has it: PyQt6 in Krita 6, PyQt5 before. The only file that knows of both.

Enumerations are written in full (`Qt.MouseButton.LeftButton`), which both understand.
"""

from krita import Krita

# The one that Krita's own classes are made with: loading the other one beside it would crash Krita.
_MADE_WITH = next(base.__module__ for base in Krita.__mro__ if base.__name__ == "QObject")

if _MADE_WITH.startswith("PyQt6"):
    from PyQt6.QtCore import QCoreApplication, QLocale, QObject, QPointF, QRect, QRectF, QSize, QTimer, Qt, pyqtSignal
    from PyQt6.QtGui import QBrush, QColor, QIcon, QImage, QPainter, QPen, QPixmap
    from PyQt6.QtWidgets import (QAbstractItemView, QCheckBox, QComboBox, QDockWidget, QDoubleSpinBox, QFileDialog,
                                 QFormLayout, QGridLayout, QHBoxLayout, QLabel, QLineEdit, QListView, QListWidget,
                                 QListWidgetItem, QMainWindow, QMenu, QProgressBar, QPushButton, QScrollArea, QSizePolicy, QSpinBox,
                                 QTabWidget, QToolButton, QVBoxLayout, QWidget)
else:
    from PyQt5.QtCore import QCoreApplication, QLocale, QObject, QPointF, QRect, QRectF, QSize, QTimer, Qt, pyqtSignal
    from PyQt5.QtGui import QBrush, QColor, QIcon, QImage, QPainter, QPen, QPixmap
    from PyQt5.QtWidgets import (QAbstractItemView, QCheckBox, QComboBox, QDockWidget, QDoubleSpinBox, QFileDialog,
                                 QFormLayout, QGridLayout, QHBoxLayout, QLabel, QLineEdit, QListView, QListWidget,
                                 QListWidgetItem, QMainWindow, QMenu, QProgressBar, QPushButton, QScrollArea, QSizePolicy, QSpinBox,
                                 QTabWidget, QToolButton, QVBoxLayout, QWidget)

__all__ = [name for name in dir() if name.startswith("Q") or name == "pyqtSignal"]


def point_of(event):
    """Where a mouse event happened in its widget."""
    return event.position() if hasattr(event, "position") else QPointF(event.pos())
