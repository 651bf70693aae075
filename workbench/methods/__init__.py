"""A folder is a family, a file in it is a method: found by walking, no list to edit."""

from workbench.base import Method, Registry, only_class

METHODS: Registry[type[Method]] = Registry(
    "method", __name__, lambda module: {(found := only_class(module, Method)).key(): found}
)
