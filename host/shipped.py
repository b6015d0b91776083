# SPDX-License-Identifier: BSD-2-Clause
"""Where the files that come with the package lie: beside the sources in a checkout, below the package in a wheel."""

from pathlib import Path


def shipped(folder: str, name: str) -> Path:
    """Return the path of `folder/name`, for instance ("data", "japanese_vowels_test.npz").

    Raises FileNotFoundError where neither a checkout nor an installed package holds it.
    """
    here = Path(__file__).resolve().parent
    places = [here / "shipped" / folder / name, here.parent / folder / name]
    for place in places:
        if place.is_file():
            return place
    raise FileNotFoundError(f"{folder}/{name} does not come with this installation: looked for {places[0]}")
