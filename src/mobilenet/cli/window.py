"""A window that shows pictures, by tkinter, which comes with most Pythons."""

import time

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobilenet.errors import ConfigError

__all__ = ["Window", "WindowClosedError"]

_PART = 0.8
"""Of the width and height of the screen that a picture takes at most."""

_ELSE = "leave out --show, and use --save drawn=FILE.mp4 to watch it later"


class WindowClosedError(Exception):
    """Somebody has closed the window."""


class Window:
    """A window for the frames of a video; ConfigError where none can be opened."""

    def __init__(self, title: str) -> None:
        try:
            import tkinter
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"--show needs tkinter, which this Python lacks; install python3-tk, or {_ELSE}"
            ) from error
        try:
            self._root = tkinter.Tk()
        except tkinter.TclError as error:
            raise ConfigError(f"no window can be shown here: {error}; {_ELSE}") from error
        self._root.title(title)
        self._open = True
        self._root.protocol("WM_DELETE_WINDOW", self._close)
        self._label = tkinter.Label(self._root, borderwidth=0)
        self._label.pack()
        self._began_s: float | None = None

    def add(self, pixels: NDArray[np.uint8], time_s: float) -> None:
        """Shows a frame, (H, W, 3) uint8 RGB, not before its time counted from the first one; WindowClosedError."""
        from PIL import ImageTk

        self._began_s = time.monotonic() - time_s if self._began_s is None else self._began_s
        time.sleep(max(0.0, self._began_s + time_s - time.monotonic()))
        picture = Image.fromarray(pixels)
        picture.thumbnail((_PART * self._root.winfo_screenwidth(), _PART * self._root.winfo_screenheight()))
        image = ImageTk.PhotoImage(picture, master=self._root)
        self._label.configure(image=image)
        # tkinter itself does not keep the picture that it shows.
        self._image = image
        self._root.update()
        if not self._open:
            raise WindowClosedError

    def finish(self) -> None:
        """Closes it."""
        self._root.destroy()

    def _close(self) -> None:
        self._open = False
