"""Explanations of a package's predictions on a board, with numpy and onnxruntime."""
