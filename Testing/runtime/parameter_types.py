"""The value types of slicer.parameterNodeWrapper: annotations, and each type as text."""

import dataclasses
import enum
import pathlib
import typing

import slicer

from .standin import NotInStandIn

NoneType = type(None)
PUBLIC = (
    "WithinRange",
    "Minimum",
    "Maximum",
    "Choice",
    "NotNone",
    "Default",
    "Decimals",
    "SingleStep",
    "Label",
    "FloatRange",
    "RangeBounds",
    "Validator",
)


class Validator:
    def validate(self, value):
        raise NotImplementedError


@dataclasses.dataclass
class WithinRange(Validator):
    minimum: float
    maximum: float

    def validate(self, value):
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value must be within range [{self.minimum}, {self.maximum}], is {value}")


@dataclasses.dataclass
class Minimum(Validator):
    minimum: float

    def validate(self, value):
        if value < self.minimum:
            raise ValueError(f"Value must be at least {self.minimum}, is {value}")


@dataclasses.dataclass
class Maximum(Validator):
    maximum: float

    def validate(self, value):
        if value > self.maximum:
            raise ValueError(f"Value must be at most {self.maximum}, is {value}")


@dataclasses.dataclass
class Choice(Validator):
    choices: typing.Sequence

    def validate(self, value):
        if value not in self.choices:
            raise ValueError(f"Value is {value}, but must be one of {self.choices}")


class NotNone(Validator):
    def validate(self, value):
        if value is None:
            raise ValueError("Value must not be None")


class Default:
    """The value of a parameter that has not been set; generator is called for each new one."""

    def __init__(self, value=None, *, generator=None):
        self._value, self.generator = value, generator

    @property
    def value(self):
        return self.generator() if self.generator is not None else self._value


@dataclasses.dataclass
class Decimals:
    value: int


@dataclasses.dataclass
class SingleStep:
    value: float


@dataclasses.dataclass
class Label:
    value: str


@dataclasses.dataclass
class FloatRange:
    minimum: float
    maximum: float


@dataclasses.dataclass
class RangeBounds(Validator):
    minimum: float
    maximum: float

    def validate(self, value):
        if not (self.minimum <= value.minimum and value.maximum <= self.maximum):
            raise ValueError(f"Range must lie within [{self.minimum}, {self.maximum}], is {value}")


def splitAnnotations(annotated):
    """(plain type, [annotations]); an annotation class stands for its instance."""
    if typing.get_origin(annotated) is typing.Annotated:
        base, *notes = typing.get_args(annotated)
        return base, [note() if isinstance(note, type) else note for note in notes]
    return annotated, []


def first(notes, kind):
    return next((note for note in notes if isinstance(note, kind)), None)


def nodeClasses(datatype):
    """The MRML classes of a node type, of an Optional or a Union of them; [] for any other type."""
    base, _notes = splitAnnotations(datatype)
    members = typing.get_args(base) if typing.get_origin(base) is typing.Union else (base,)
    members = [m for m in members if m is not NoneType]
    isNode = all(isinstance(m, type) and issubclass(m, slicer.vtkMRMLNode) for m in members)
    return members if members and isNode else []


class Codec:
    """How values of one type are checked, written as text and read back."""

    def __init__(self, kinds, toText, fromText, default):
        self.kinds, self.toText, self.fromText, self.default = kinds, toText, fromText, default

    def check(self, value):
        wrongBool = isinstance(value, bool) and bool not in self.kinds
        if wrongBool or not isinstance(value, self.kinds):
            raise TypeError(f"Value must be of type {self.kinds}, is {type(value)} {value!r}")


_SIMPLE = {
    bool: Codec((bool,), lambda v: "True" if v else "False", lambda t: t == "True", lambda: False),
    int: Codec((int,), str, int, lambda: 0),
    float: Codec((int, float), str, float, lambda: 0.0),
    str: Codec((str,), str, str, lambda: ""),
    NoneType: Codec((NoneType,), lambda _none: "True", lambda _text: None, lambda: None),
    pathlib.Path: Codec((pathlib.Path,), str, pathlib.Path, pathlib.Path),
}


def codec(datatype):
    """The codec of a simple type or an Enum; anything else is refused."""
    if datatype in _SIMPLE:
        return _SIMPLE[datatype]
    if isinstance(datatype, type) and issubclass(datatype, enum.Enum):
        return Codec((datatype,), lambda v: v.name, lambda t: datatype[t], lambda: next(iter(datatype)))
    if datatype is FloatRange:
        return Codec(
            (FloatRange,),
            lambda v: f"{v.minimum} {v.maximum}",
            lambda t: FloatRange(*map(float, t.split())),
            lambda: FloatRange(0.0, 0.0),
        )
    raise NotInStandIn(f"a parameter of type {datatype} is not part of the stand-in")
