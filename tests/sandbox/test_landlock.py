"""The ruleset allows nothing; what that stops is tried in test_lockdown.py."""

from __future__ import annotations

import pytest

from sandbox import landlock


def test_the_version_of_this_kernel_is_a_positive_number() -> None:
    try:
        assert landlock.version() >= 1
    except OSError as error:
        pytest.skip(f"this kernel has no landlock: {error}")


@pytest.mark.parametrize(("abi", "last_bit"), [(1, 12), (2, 13), (3, 14), (4, 14), (5, 15), (7, 15)])
def test_every_right_that_a_version_knows_is_handled(abi: int, last_bit: int) -> None:
    """Source: LANDLOCK_ACCESS_FS_* in <linux/landlock.h>: REFER is bit 13, TRUNCATE 14, IOCTL_DEV 15."""
    assert last_bit + 1 == landlock._FILE_RIGHTS.get(abi, 16)
