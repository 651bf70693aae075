"""One file = one data set, with what is done to its transfer set as knobs."""

from workbench.base import Registry, only_class
from workbench.data._data import Data, Samples, as_address, as_numbers

DATA: Registry[type[Data]] = Registry(
    "data set", __name__, lambda module: {(found := only_class(module, Data)).key(): found}
)

__all__ = ["DATA", "Data", "Samples", "as_address", "as_numbers"]
