"""The store of a city: an Elasticsearch cluster, 8.19 or newer."""

from soc.store.elastic.store import ElasticStore

__all__ = ["ElasticStore"]
