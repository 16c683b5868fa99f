"""KFP components: each hands its artifacts and parameters to one function of `watchnext.training`, and no more.

KFP ships the body of a component as text, so every import that a body needs stands inside it.
"""

from functools import partial

from kfp import dsl

IMAGE = "ghcr.io/watchnext/watchnext:0.1.0"
component = partial(dsl.component, base_image=IMAGE, install_kfp_package=False)
