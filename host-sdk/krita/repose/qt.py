"""Qt as this Krita has it: PyQt6 in Krita 6, PyQt5 before. The only file that knows of both.

Enumerations are written in full (`Qt.MouseButton.LeftButton`), which both understand.
"""

try:
    from PyQt6.QtCore import *  # noqa: F403
    from PyQt6.QtGui import *  # noqa: F403
    from PyQt6.QtWidgets import *  # noqa: F403
except ImportError:
    from PyQt5.QtCore import *  # noqa: F403
    from PyQt5.QtGui import *  # noqa: F403
    from PyQt5.QtWidgets import *  # noqa: F403
