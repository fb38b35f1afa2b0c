# SPDX-License-Identifier: MIT
"""Messages as the platforms' packages give them, in objects of every kind: a call in them is found, or a TypeError is raised."""

import collections
import dataclasses
import functools
import itertools
import json
import signal
import types

import pytest

from recoptout._message import message_bytes
from recoptout.control import Client

CALL = {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "recording_opt_out", "arguments": "{}"}}]}
GEMINI = {"function_call": {"name": "recording_opt_out", "args": {}}}


class Slots:
    __slots__ = ("role", "tool_calls")

    def __init__(self):
        self.role, self.tool_calls = CALL["role"], CALL["tool_calls"]


class OfDict(collections.UserDict):
    pass


class Protobuf:
    """As google.protobuf's messages: nothing in __dict__, fields by their descriptors."""

    __slots__ = ("_fields",)
    DESCRIPTOR = object()

    def __init__(self, **members):
        self._fields = members

    def ListFields(self):
        return [(types.SimpleNamespace(name=name), value) for name, value in self._fields.items()]


class Repeated(collections.abc.MutableSequence):
    """As its repeated fields."""

    def __init__(self, *items):
        self._items = list(items)

    def __getitem__(self, i):
        return self._items[i]

    def __setitem__(self, i, value):
        raise AssertionError

    __delitem__ = insert = __setitem__

    def __len__(self):
        return len(self._items)


class Kind(type):
    def to_dict(cls, message):
        return message._members


class OfItsKind(metaclass=Kind):
    """The class converts, by its own class, and the object does not, as in proto-plus."""

    def __init__(self):
        self._members = CALL


class ProtoPlus:
    def __init__(self, pb):
        self._pb = pb


class Json:
    def __init__(self):
        self._hidden = None

    def to_json(self):
        return json.dumps(CALL)


class Raises:
    def model_dump(self):
        raise RuntimeError("no")


class Dumps:
    def __init__(self, found):
        self._found = found

    def model_dump(self):
        return self if self._found is None else self._found


class Endless:
    def to_dict(self):
        return Endless()


@dataclasses.dataclass
class Data:
    tool_calls: list


def pb():
    call = Protobuf(name="recording_opt_out", args=OfDict())
    return Protobuf(content=Protobuf(role="model", parts=Repeated(Protobuf(function_call=call))))


def deep(levels):
    found = {}
    for _ in range(levels):
        found = {"a": found}
    return found


def itself():
    found = dict(CALL)
    found["self"] = found
    return found


def with_arguments(arguments):
    return {"type": "tool_use", "id": "t", "name": "recording_opt_out", "input": arguments}


FOUND = {
    "slots": Slots,
    "user dict": lambda: collections.UserDict(CALL),
    "chain map": lambda: collections.ChainMap({}, CALL),
    "proxy": lambda: types.MappingProxyType(CALL),
    "user list": lambda: collections.UserList([CALL]),
    "generator": lambda: (each for each in [CALL]),
    "values": lambda: {"a": CALL}.values(),
    "deque": lambda: collections.deque([CALL]),
    "protobuf": pb,
    "proto-plus": lambda: ProtoPlus(pb()),
    "its class": OfItsKind,
    "to_json": Json,
    "data": lambda: Data(CALL["tool_calls"]),
    "named tuple": lambda: collections.namedtuple("Named", CALL)(**CALL),
    "named tuple inside": lambda: {"message": collections.namedtuple("Named", CALL)(**CALL)},
    "namespace": lambda: types.SimpleNamespace(**CALL),
    "dumps": lambda: Dumps(CALL),
    "dumps twice": lambda: Dumps(Dumps(CALL)),
    "beside what raises": lambda: dict(CALL, extra=Raises()),
    "beside itself": itself,
    "beside what dumps itself": lambda: dict(CALL, extra=Dumps(None)),
    "beside what has no end": lambda: dict(CALL, extra=Endless(), more=itertools.count()),
    "beside a long number": lambda: dict(CALL, extra=10**5000),
    "other keys": lambda: {1: 2, (1, 2): 3, b"x": 4, **CALL},
    "deep arguments": lambda: with_arguments(deep(100000)),
    "deep arguments of objects": lambda: with_arguments(collections.UserDict(deep(5000))),
}


@pytest.mark.parametrize("name", FOUND)
def test_a_call_is_found(engine, name):
    call = engine.session("c")
    leg = call.add_leg("caller")
    call.start()
    assert call.tool_call(FOUND[name]()).calls == 1
    assert not call.push(leg, bytes(160))


class Mute:
    __slots__ = ()


class Hidden:
    def __init__(self):
        self._inner = object()


@pytest.mark.parametrize("message", [Mute(), Hidden(), Raises(), Endless(), {"message": [Mute()]}])
def test_what_cannot_be_read_is_told(engine, tmp_path, message):
    engine.serve(tmp_path / "socket")
    with engine.session("c") as call, Client(tmp_path / "socket") as client:
        call.start()
        for ask in (call.tool_call, lambda m: client.tool_call("c", m)):
            with pytest.raises(TypeError, match="Mute|Hidden|Raises|Endless|object"):
                ask(message)


def test_a_source_that_is_none_loses_no_objection(engine, caplog):
    """As on the control socket: it is left out."""
    for i, source in enumerate(("Agent Tool", "", "x" * 32, "a\nb", "é", 5, "a\0b")):
        with engine.session(f"tool{i}") as call:
            call.start()
            assert call.tool_call(CALL, source=source).receipt.source == "agent-tool"
        with engine.session(f"call{i}") as call:
            call.start()
            assert call.opt_out(source=source).source == "python"
        assert engine.opt_out(f"early{i}", source).source == "python"
    assert len(caplog.records) == 21 and "source" in caplog.text
    with engine.session("named") as call:
        call.start()
        assert call.tool_call(CALL, source="my.agent-2_x").receipt.source == "my.agent-2_x"


class _Node:
    def __init__(self):
        self.others = []
        self.calls = None


@pytest.mark.parametrize("group", [list, lambda nodes: {str(i): node for i, node in enumerate(nodes)}])
def test_objects_that_hold_each_other(group):
    nodes = [_Node() for _ in range(12)]
    for node in nodes:
        node.others = group(nodes)
    nodes[-1].calls = [{"name": "recording_opt_out"}]
    data = message_bytes(nodes[0])
    assert b"recording_opt_out" in data and len(data) < 1 << 21


def test_what_stands_in_two_places_is_in_both():
    call = {"name": "recording_opt_out"}
    assert message_bytes([call, {"calls": [call]}]) == b'[{"name":"recording_opt_out"},{"calls":[{"name":"recording_opt_out"}]}]'


class _TooLong(Exception):
    pass


class _Limit:
    def raised(self, *_):
        raise _TooLong

    def __call__(self, *_):
        raise _TooLong


class _Slow:
    def to_dict(self):
        signal.raise_signal(signal.SIGUSR1)
        return {}


@pytest.mark.parametrize("handler", [_Limit().raised, _Limit(), functools.partial(_Limit().raised, 1)])
def test_what_a_signals_handler_raises_comes_through(handler):
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with pytest.raises(_TooLong):
            message_bytes([_Slow()])
    finally:
        signal.signal(signal.SIGUSR1, before)
