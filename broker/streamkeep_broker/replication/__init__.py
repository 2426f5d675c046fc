"""Replicas of this broker: their roles, what is acknowledged, the in-sync sets, and what coordinators are
told of them."""
