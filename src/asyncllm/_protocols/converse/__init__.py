"""Amazon Bedrock's Converse format: one body for the models of every vendor there."""

from .codec import Converse
from .dialect import ConverseDialect

__all__ = ["Converse", "ConverseDialect"]
