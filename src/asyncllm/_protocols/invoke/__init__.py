"""The bodies that Bedrock's older text models take through InvokeModel."""

from .codec import InvokeModel
from .families import FAMILIES, Family, family_of

__all__ = ["FAMILIES", "Family", "InvokeModel", "family_of"]
