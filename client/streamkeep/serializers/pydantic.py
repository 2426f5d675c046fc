"""Keys and values that are pydantic models, as JSON. Needs the extra `pydantic`."""

from __future__ import annotations

from typing import Generic, TypeVar

from pydantic import BaseModel

B = TypeVar("B", bound=BaseModel)


class PydanticSerializer(Generic[B]):
    """Instances of one model as its JSON, under the fields' aliases where they have some.

    Members stand in the order of the model's fields, so equal keys give equal bytes.
    """

    def __init__(self, model: type[B]) -> None:
        self._model = model
        self.name = model.__name__

    def encode(self, value: B) -> bytes:
        """The JSON text. Raises TypeError for another class, ValueError for what JSON has no word for."""
        if not isinstance(value, self._model):
            raise TypeError(f"a {self.name} is wanted, not {type(value).__name__}")
        return value.model_dump_json(by_alias=True).encode()

    def decode(self, data: bytes) -> B:
        """The validated model. Raises ValueError (pydantic.ValidationError) that names the wrong fields."""
        return self._model.model_validate_json(data)
