"""The bodies that Bedrock's older text models take through InvokeModel."""

from .codec import InvokeModel
from .dialect import FAMILIES, TextFamily, family_of

__all__ = ["FAMILIES", "InvokeModel", "TextFamily", "family_of"]
