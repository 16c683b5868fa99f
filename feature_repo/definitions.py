"""Entities, sources, views and versioned services, for `feast apply` and for readers.

`watchnext.contracts.rows` says which features there are, and `watchnext.store.schema` makes Feast's objects of them:
to add a feature, add a field there. A service's features never change; a new set is a new version, such as `user_v2`.
Paths come from the settings (`WATCHNEXT_*`), as in every process.
"""

from watchnext.contracts.names import Entity, FeatureService, View
from watchnext.settings import load_settings
from watchnext.store.schema import definitions

_feast = definitions(load_settings())

user = _feast.entities[Entity.USER]
video = _feast.entities[Entity.VIDEO]

# A view a source topic; TTL 0: the lists in a row carry their own times.
user_watches = _feast.views[View.USER_WATCHES]
user_searches = _feast.views[View.USER_SEARCHES]
user_impressions = _feast.views[View.USER_IMPRESSIONS]
user_servings = _feast.views[View.USER_SERVINGS]
user_profile = _feast.views[View.USER_PROFILE]
video_catalog = _feast.views[View.VIDEO_CATALOG]
video_counters = _feast.views[View.VIDEO_COUNTERS]

# What models and serving read: the views without the fold's bookkeeping.
user_v1 = _feast.services[FeatureService.USER]
video_v1 = _feast.services[FeatureService.VIDEO]
