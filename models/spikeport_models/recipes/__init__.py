"""Shipped recipes, one TOML file a model."""

OTHER_NAMES = {"digits": "digits-conv"}  #: of recipes
