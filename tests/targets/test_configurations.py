from dataclasses import replace
from pathlib import Path

import pytest

from control_plane.domain.errors import InvalidInput
from control_plane.domain.spec import AnyTarget, Target, UrlTarget
from control_plane.targets.configurations import (
    BUILTIN_CONFIGURATIONS,
    find_configuration,
    install_servers,
    target_name,
)


def test_the_first_configuration_is_the_default() -> None:
    first = BUILTIN_CONFIGURATIONS[0]
    assert (first.name, first.target) == ("uvicorn, 1 worker, uvloop", Target())
    assert (first.builtin, first.available, first.missing_extra) == (True, True, None)


def test_servers_are_installed_as_looplab_was(tmp_path: Path) -> None:
    assert install_servers(tmp_path).endswith(' install "looplab[servers]"')
    (tmp_path / "pyproject.toml").touch()
    assert install_servers(tmp_path).endswith(f" install -e '{tmp_path}[servers]'")


def test_names_tell_all_configurations_apart() -> None:
    assert len({known.name for known in BUILTIN_CONFIGURATIONS}) == len(BUILTIN_CONFIGURATIONS)
    assert all(find_configuration(known.name) == known.target for known in BUILTIN_CONFIGURATIONS)


def test_an_unknown_name_is_refused_at_its_field() -> None:
    with pytest.raises(InvalidInput, match=r"no configuration 'caddy'.*uvicorn, 1 worker") as wrong:
        find_configuration("caddy")
    assert [field.field for field in wrong.value.fields] == ["target.configuration"]


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (replace(Target(), workers=3, loop="asyncio"), "uvicorn, 3 workers, asyncio"),
        (replace(Target(), http="h11", threads=1), "uvicorn, 1 worker, uvloop, h11, 1 thread"),
        (replace(Target(), keep_alive_s=60), "uvicorn, 1 worker, uvloop, keep-alive 60 s"),
        (replace(Target(), backlog=16), "uvicorn, 1 worker, uvloop, backlog 16"),
        (replace(Target(), settings={"log_s": 0.5}), "uvicorn, 1 worker, uvloop, log_s 0.5"),
        (UrlTarget("http://127.0.0.1:9000"), "http://127.0.0.1:9000"),
    ],
)
def test_any_target_has_a_name(target: AnyTarget, name: str) -> None:
    assert target_name(target) == name
