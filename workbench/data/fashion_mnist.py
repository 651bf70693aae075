"""Fashion-MNIST: 70 000 pictures of clothes, 28 × 28 in grey, as large as MNIST and harder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from workbench.data._data import images, labelled
from workbench.data._official import NAMES, Idx, Sums


@dataclass(frozen=True)
class FashionMNIST(Idx):
    """Ten kinds of clothes: 55 000 train, 5000 validation, 10 000 test (the published one).

    Read from Debian's package dataset-fashion-mnist or from torchvision's cache; downloaded
    through torchvision where neither is there.
    """

    title: ClassVar[str] = "Fashion-MNIST"
    source: ClassVar[str] = "Xiao, Rasul & Vollgraf, 2017, arXiv:1708.07747"
    shape: ClassVar[tuple[int, ...]] = (1, 28, 28)
    classes: ClassVar[int] = 10
    TORCHVISION: ClassVar[str] = "FashionMNIST"
    FOLDERS: ClassVar[tuple[str, ...]] = ("/usr/share/datasets/fashion-mnist",)
    # Debian packs the same content anew, so it has an MD5 of its own
    SUMS: ClassVar[Mapping[str, Sums]] = {
        NAMES["train"][0]: Sums(
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        ),
        NAMES["train"][1]: Sums(
            "25c81989df183df01b3e8a0aad5dffbe",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ),
        NAMES["test"][0]: Sums(
            "bef4ecab320f06d8554ea6380940ec79",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        ),
        NAMES["test"][1]: Sums(
            "bb300cfdad3c16e7a12a480ee83cd310",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    }

    images: int = images(55_000)
    labelled: int = labelled(55_000)

    @property
    def names(self) -> tuple[str, ...]:
        """Kinds of clothes, in short."""
        return (
            "T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker",
            "bag", "boot",
        )  # fmt: skip
