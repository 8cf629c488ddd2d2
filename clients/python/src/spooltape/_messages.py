"""The messages and enum values of the protos, made from their descriptors when this module is imported.

Code that protoc generates is tied to a range of protobuf versions, and checks it. This module uses only calls that
protobuf 4 to 6 have in common. The pool is its own, so that messages of the same names in a program do not collide.
_messages.pyi has the types.
"""

import pkgutil

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message as Message

_files = descriptor_pb2.FileDescriptorSet.FromString(pkgutil.get_data(__package__, "descriptors.binpb"))
_pool = descriptor_pool.DescriptorPool()
# The definitions of options, which the protos import.
_pool.AddSerializedFile(descriptor_pb2.DESCRIPTOR.serialized_pb)
for _file in _files.file:
    _pool.AddSerializedFile(_file.SerializeToString())

if hasattr(message_factory, "GetMessageClass"):
    _class_of = message_factory.GetMessageClass
else:  # Before protobuf 4.22.
    _class_of = message_factory.MessageFactory(_pool).GetPrototype

for _file in _files.file:
    for _message in _file.message_type:
        _name = f"{_file.package}.{_message.name}"
        globals()[_message.name] = _class_of(_pool.FindMessageTypeByName(_name))
    for _enum in _file.enum_type:
        globals().update((_value.name, _value.number) for _value in _enum.value)
