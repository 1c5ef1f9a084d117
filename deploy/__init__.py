"""Board side: recognise, stream, quantise, verify and measure with numpy and onnxruntime."""

from deploy.recognizer import Recognizer, load
from deploy.stream import StreamRecognizer

__all__ = ["Recognizer", "StreamRecognizer", "load"]
