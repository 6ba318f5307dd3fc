"""What a token may do. Light to import: the command line names scopes too."""

from __future__ import annotations

from typing import Literal, get_args

OPERATOR = "operator"  # of operators' tokens: everything, everywhere but /api/v2

TenantScope = Literal[
    "read:hooks",
    "create:hooks",
    "update:hooks",
    "delete:hooks",
    "read:logs",
    "read:executions",
    "update:executions",
    "run:triggers",
    "read:tokens",
    "create:tokens",
    "delete:tokens",
    "read:tenant",
]
TENANT_SCOPES: tuple[str, ...] = get_args(TenantScope)
