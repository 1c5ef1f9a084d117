"""The evaluation protocols behind the published figures."""
