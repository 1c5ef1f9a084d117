"""What the workstation and the board share: sensors, clips, windows, data sets, metrics and the edge package."""

__version__ = "0.2.0"
