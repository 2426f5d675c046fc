from __future__ import annotations

from hypothesis import HealthCheck, settings

# No deadline: on a busy machine a slow example says nothing about the code.
settings.register_profile(
    "streamkeep", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("streamkeep")
