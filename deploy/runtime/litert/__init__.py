"""LiteRT backend: translates ONNX graphs to TFLite flatbuffers."""
