"""Options for the reading of images, which a study sets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """The form in which the images of a folder are read: by default that of the files.

    size: `(height, width)` in pixels; channels: 1 for grey, 3 for RGB, 4 for RGB with transparency; drop_unreadable:
    whether files that cannot be read are left out.
    """

    size: tuple[int, int] | None = None
    channels: int | None = None
    drop_unreadable: bool = False

    @property
    def given(self) -> tuple[str, ...]:
        """The keys of a study file that are set."""
        keys = {"image_size": self.size, "image_channels": self.channels, "drop_unreadable": self.drop_unreadable}
        return tuple(key for key, value in keys.items() if value)
