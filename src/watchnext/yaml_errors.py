"""What reading YAML raises where the text is none."""

from typing import Final

import yaml

# PyYAML lets a day 2026-02-30 out as ValueError, and values that are not of their tag in its own ways.
YAML_ERRORS: Final = (yaml.YAMLError, ValueError, KeyError, AttributeError, RecursionError)
