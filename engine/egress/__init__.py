"""The egress broker: the only way from a hook to another host. Every call is checked, pinned, bounded and recorded.

In the order of a call: `broker` (one job's calls: their number, their time, their record) → `urls`, `headers` (what is
asked for, under the `policy`) → a `transport`: the `network` (addresses, connections), or `recorded` answers.
"""
