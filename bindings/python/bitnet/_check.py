# SPDX-License-Identifier: MIT
"""Arguments as the native module takes them. What it would not take is a TypeError or an ArgumentError that names the
parameter."""

from __future__ import annotations

import math
import numbers
import operator
import os
from collections.abc import Mapping, Set
from typing import Any, Callable, NoReturn, Type, TypeVar

from ._errors import ArgumentError

T = TypeVar("T")

_INT32 = 2**31 - 1
_UINT32 = 2**32 - 1
_UINT64 = 2**64 - 1
_FLOAT32 = 3.4028234663852886e38


def wrong_type(what: str, wanted: str, value: Any) -> NoReturn:
    raise TypeError(f"{what} must be {wanted}, not {type(value).__name__}")


def instance(value: Any, of: Type[T], what: str) -> T:
    if not isinstance(value, of):
        wrong_type(what, f"bitnet.{of.__name__}", value)
    return value


def is_bool(value: Any) -> bool:
    """Also NumPy's, which this must not import."""
    return isinstance(value, bool) or type(value).__module__ == "numpy" and type(value).__name__ in ("bool", "bool_")


def boolean(value: Any, what: str) -> bool:
    """None is False."""
    if value is None:
        return False
    if not is_bool(value):
        wrong_type(what, "bool", value)
    return bool(value)


def integer(value: Any, what: str, least: int, most: int) -> int:
    if is_bool(value):
        wrong_type(what, "int", value)
    try:
        number = operator.index(value)
    except TypeError:
        wrong_type(what, "int", value)
    if not least <= number <= most:
        raise ArgumentError(f"{what} is {number}; it must be from {least} to {most}")
    return number


def count(value: Any, what: str) -> int:
    """None is 0, which stands for the default."""
    return 0 if value is None else integer(value, what, 0, _UINT32)


def seed(value: Any, what: str) -> int:
    return 0 if value is None else integer(value, what, 0, _UINT64)


def token(value: Any, what: str) -> int:
    return integer(value, what, -_INT32 - 1, _INT32)


def real(value: Any, what: str) -> float:
    """None is 0."""
    if value is None:
        return 0.0
    if is_bool(value) or not isinstance(value, numbers.Real):
        wrong_type(what, "float", value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isinf(number) and not isinstance(value, float) or _FLOAT32 < abs(number) < math.inf:
        raise ArgumentError(f"{what} does not fit a 32-bit float: {value}")
    return number


def choice(choices: Mapping[Any, int], value: Any, what: str) -> int:
    """The number of a name."""
    names = " or ".join(repr(name) for name in choices if name is not None)
    if value is not None and not isinstance(value, str):
        wrong_type(what, names, value)
    if value not in choices:
        raise ArgumentError(f"{what} is {value!r}; it may be {names}")
    return choices[value]


def not_unicode(what: str, error: UnicodeEncodeError) -> ArgumentError:
    return ArgumentError(f"{what} is no Unicode text: it has half a surrogate pair at {error.start}")


def string(value: Any, what: str) -> bytes:
    if not isinstance(value, str):
        wrong_type(what, "str", value)
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise not_unicode(what, error) from None


def is_text(value: Any) -> bool:
    return isinstance(value, (str, bytes, bytearray, memoryview))


def text(value: Any, what: str) -> Any:
    """str, or any bytes."""
    if isinstance(value, str):
        return string(value, what)
    if not is_text(value):
        wrong_type(what, "str or bytes", value)
    return value


def buffer(value: Any, what: str, wanted: str = "bytes or another contiguous buffer") -> Any:
    """The native module looks at what is in it."""
    try:
        with memoryview(value) as view:
            good = view.c_contiguous and "O" not in view.format
    except (TypeError, ValueError, BufferError):
        good = False
    if not good:
        wrong_type(what, wanted, value)
    return value


def items(value: Any, what: str, wanted: str) -> Any:
    """What can be iterated over, in an order, and is no text."""
    if not is_text(value) and not isinstance(value, (Mapping, Set)):
        try:
            iter(value)
            return value
        except TypeError:
            pass
    wrong_type(what, wanted, value)


def tokens(value: Any, what: str, wanted: str = "a sequence of int") -> Any:
    """The native module looks at each of them."""
    return items(value, what, wanted)


def path(value: Any, what: str) -> bytes:
    try:
        name = os.fsencode(value)
    except TypeError:
        wrong_type(what, "str, bytes or os.PathLike", value)
    except UnicodeEncodeError:
        raise ArgumentError(f"{what} has letters that names of files cannot have on this system") from None
    if b"\0" in name:
        raise ArgumentError(f"{what} contains a zero byte")
    return name


def chat_template(value: Any) -> bytes:
    """The name of a known template, its text or a file's path, as str; or a file as os.PathLike."""
    what = "chat_template"
    if isinstance(value, os.PathLike):
        # As an absolute path it is the name of no known template.
        name = os.path.abspath(path(value, what))
        if b"{{" in name or b"{%" in name:
            raise ArgumentError(f"{what}: the path has {{{{ or {{%, by which a template's text is known; pass that text")
        return name
    if not isinstance(value, str):
        wrong_type(what, "str or os.PathLike", value)
    if not value:
        raise ArgumentError(f"{what} is empty; None stands for the file's own")
    if "\0" in value:
        raise ArgumentError(f"{what} contains a zero byte")
    try:
        return value.encode(errors="surrogateescape")  # as names of files have
    except UnicodeEncodeError as error:
        raise not_unicode(what, error) from None


def callback(value: Any, what: str) -> Callable[..., Any] | None:
    if value is not None and not callable(value):
        wrong_type(what, "callable", value)
    return value


def texts(value: Any, what: str) -> list[bytes]:
    """None, one str, or several."""
    if value is None:
        return []
    if isinstance(value, str):
        return [string(value, what)]
    return [string(item, f"{what}[{i}]") for i, item in enumerate(items(value, what, "str or a list of str"))]


def biases(value: Any, what: str) -> list[tuple[int, float]]:
    if value is None:
        return []
    if not isinstance(value, Mapping):
        wrong_type(what, "a dict of token to float", value)
    result = []
    for key, bias in value.items():
        number = token(key, f"a token of {what}")
        if bias is None:
            wrong_type(f"{what}[{number}]", "float", bias)
        result.append((number, real(bias, f"{what}[{number}]")))
    return result


def pairs(value: Any, what: str, wanted: str) -> list[tuple[Any, Any]]:
    result = []
    for i, item in enumerate(items(value, what, f"a list of {wanted}")):
        if not isinstance(item, (tuple, list)) or len(item) != 2:
            wrong_type(f"{what}[{i}]", wanted, item)
        result.append((item[0], item[1]))
    return result
