"""Detection by several processes: who works on what, the shards' side, the partitions' side."""
