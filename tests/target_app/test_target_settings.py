from pathlib import Path

import pytest

from target_app.target_settings import TargetSettings


def test_without_variables_all_is_as_declared() -> None:
    assert TargetSettings.from_environment({}) == TargetSettings()


def test_each_variable_is_read() -> None:
    environment = {
        "TARGET_THREADS": "7",
        "TARGET_UPSTREAM_DELAY_S": "0.25",
        "TARGET_LOG_S": "0",
        "TARGET_WAIT_SCALE": "0.05",
        "TARGET_CPU_N": "1000.0",
        "TARGET_DATABASE": "sqlite",
        "TARGET_DIRECTORY": "/tmp/start",
        "TARGET_PATHS": "/items/{item_id} /users/",
    }
    assert TargetSettings.from_environment(environment) == TargetSettings(
        threads=7,
        upstream_delay_s=0.25,
        log_s=0,
        wait_scale=0.05,
        cpu_n=1000,
        database="sqlite",
        directory=Path("/tmp/start"),
        paths=("/items/{item_id}", "/users/"),
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TARGET_THREADS", "0"),
        ("TARGET_THREADS", "many"),
        ("TARGET_LOG_S", "-0.1"),
        ("TARGET_LOG_S", "nan"),
        ("TARGET_WAIT_SCALE", "inf"),
        ("TARGET_UPSTREAM_DELAY_S", "61"),
        ("TARGET_DATABASE", "postgresql"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is '{value}'"):
        TargetSettings.from_environment({name: value})
