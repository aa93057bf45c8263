"""The canvas: outlines painted at several times the size of the image and averaged down, for smooth edges."""

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from mobilenet.scenes.background import Pixels
from mobilenet.scenes.colours import Colour, Paint
from mobilenet.scenes.geometry import Points, Pose
from mobilenet.scenes.shapes import Part

__all__ = ["Canvas"]

_ENLARGED = 3
_BLACK = (0, 0, 0)


class Canvas:
    """An image of `side` × `side` pixels in progress, and the masks of the objects in it: those that are finished, and
    the one that is being drawn."""

    def __init__(self, surface: Pixels) -> None:
        """Start from a background (side, side, 3) with pixel values 0–255."""
        self.side = surface.shape[0]
        self._size = (self.side * _ENLARGED, self.side * _ENLARGED)
        ground = np.clip(surface, 0, 255).astype(np.uint8)
        self._picture = Image.fromarray(ground.repeat(_ENLARGED, 0).repeat(_ENLARGED, 1))
        self._object = Image.new("L", self._size)
        self._finished: list[Image.Image] = []
        self._whole: list[int] = []

    def fill(self, outline: Points, colour: Colour) -> None:
        """Paint something that is not the object over the image; `outline` (n, 2) is in image pixels."""
        corners = _corners(outline)
        ImageDraw.Draw(self._picture).polygon(corners, colour)
        for mask in (self._object, *self._finished):
            ImageDraw.Draw(mask).polygon(corners, 0)

    def cast(self, shadow: Pixels) -> None:
        """Darken the image by `shadow` (side, side), 0 (unchanged) to 1 (black)."""
        veil = Image.fromarray((shadow * 255).astype(np.uint8))
        left, top, right, bottom = veil.getbbox() or (0, 0, 0, 0)
        size = ((right - left) * _ENLARGED, (bottom - top) * _ENLARGED)
        if size[0] and size[1]:
            soft = veil.resize(size, Image.Resampling.BILINEAR, (left, top, right, bottom))
            self._picture.paste(_BLACK, (left * _ENLARGED, top * _ENLARGED), soft)

    def outline(self, parts: tuple[Part, ...], pose: Pose, paint: Paint) -> None:
        """Mark the area of the object, including its contour; nothing is painted yet, and `rub_out` takes it back."""
        pen = ImageDraw.Draw(self._object)
        for part in parts:
            corners = _corners(pose.place(part.outline))
            pen.polygon(corners, 255)
            if paint.contour:
                pen.line(corners + corners[:2], 255, width=round(paint.contour * _ENLARGED))

    def paint(self, parts: tuple[Part, ...], pose: Pose, paint: Paint) -> None:
        """Paint the object where `outline` put it: contour, parts in order, pattern on those of tone `body`."""
        if paint.contour:
            place = self._object.getbbox()
            self._picture.paste(paint.tones["ink"], place, self._object.crop(place))
        pen = ImageDraw.Draw(self._picture)
        stencil = self._stencil(pose, paint)
        for part in parts:
            corners = _corners(pose.place(part.outline))
            pen.polygon(corners, paint.tones[part.tone])
            if paint.motif and part.tone == "body":
                self._print(corners, stencil, paint.second)

    def finish(self) -> None:
        """The object is painted; the next outline is that of another one, which may hide this one."""
        for mask in self._finished:
            mask.paste(0, mask=self._object)
        self._whole.append(_pixels(self._object))
        self._finished.append(self._object)
        self._object = Image.new("L", self._size)

    def rub_out(self) -> None:
        """Take back the outline of an object that is not painted."""
        self._object = Image.new("L", self._size)

    def hidden(self) -> float:
        """The largest share (0–1) of a finished object that is hidden, the object that is being drawn included."""
        shares = [0.0]
        for mask, whole in zip(self._finished, self._whole, strict=True):
            left = mask.copy()
            left.paste(0, mask=self._object)
            shares.append(1 - _pixels(left) / whole)
        return max(shares)

    def hidden_by(self, outline: Points) -> float:
        """The share of the object (0–1) that `outline` (n, 2), in image pixels, would hide."""
        left = self._object.copy()
        ImageDraw.Draw(left).polygon(_corners(outline), 0)
        return 1 - _pixels(left) / _pixels(self._object)

    def cover(self) -> Pixels:
        """The coverage of each pixel by the object: (side, side), 0–1."""
        return _cover(self._object)

    def covers(self) -> list[Pixels]:
        """The coverage of each pixel by each finished object, in the order of painting: (side, side), 0–1."""
        return [_cover(mask) for mask in self._finished]

    def picture(self) -> Pixels:
        """The image so far: (side, side, 3), 0–255."""
        return np.asarray(self._picture.reduce(_ENLARGED), dtype=np.float32)

    def _stencil(self, pose: Pose, paint: Paint) -> Image.Image:
        stencil = Image.new("L", self._size)
        pen = ImageDraw.Draw(stencil)
        for outline in paint.motif:
            pen.polygon(_corners(pose.place(outline)), 255)
        return stencil

    def _print(self, corners: list[float], stencil: Image.Image, colour: Colour) -> None:
        """Print the stencil in `colour` inside one outline."""
        part = Image.new("L", self._size)
        ImageDraw.Draw(part).polygon(corners, 255)
        place = part.getbbox()
        self._picture.paste(colour, place, ImageChops.darker(part.crop(place), stencil.crop(place)))


def _cover(mask: Image.Image) -> Pixels:
    return np.asarray(mask.reduce(_ENLARGED), dtype=np.float32) / np.float32(255)


def _pixels(mask: Image.Image) -> int:
    return int(mask.histogram()[255])


def _corners(outline: Points) -> list[float]:
    """Image pixels (n, 2) -> [x, y, x, y, …] on the enlarged canvas, where pixel centres have integer coordinates."""
    flat: list[float] = (outline * _ENLARGED - 0.5).ravel().tolist()
    return flat
