"""Board side: recognise, stream, quantise, verify and measure with numpy and onnxruntime."""

from deploy.recognizer import Recognizer, load
from deploy.segments import Activity, Segmenter
from deploy.stream import StreamRecognizer

__all__ = ["Activity", "Recognizer", "Segmenter", "StreamRecognizer", "load"]
